/** A live input that is lost and comes back is one recording with a gap, and nothing of what came before or after is missing. */
import { expect, test } from 'vitest';
import { inputTypes } from '../../src/recordings/config.js';
import { sendCommand } from '../../worker/host/client.js';
import { masterSize } from '../testkit/card-master.js';
import { readFrames } from '../testkit/media-read.js';
import { liveSource, makeFiles, outputOf, recordFrom } from '../testkit/streams.js';

const cardHz = 30;
/** Pictures at the end of what was sent that B-frames, or a network that ends, may keep back. */
const openPictures = 8;
/** A room is a page; one of its people, who is heard of by the media server, is lost in another test. */
const types = inputTypes.filter((type) => type !== 'ROOM' && type !== 'PARTICIPANT');

const usual = types.map((type) => ({ type, named: type as string, input: {} }));
const unmeasured = {
  type: 'SRT_SERVER',
  named: 'SRT_SERVER without link figures',
  input: { linkStats: false },
} as const;

test.each([...usual, unmeasured])(
  '$named: a source that is lost and returns leaves one gap, and no picture is missing beside it',
  async ({ type, input }) => {
    const source = await liveSource({ type, input });
    const host = await recordFrom(source);
    await host.recordedFor(4_000);
    await source.kill();
    await host.phase('RECONNECTING');
    await source.start({ fromSecond: 30 });
    await host.entry('first-frame', 2);
    await host.recordedFor(3_000);
    await sendCommand(host.identity, { command: 'stop' });
    expect(await host.outcome()).toEqual({ kind: 'stopped' });
    const ended = host.manifest().filter((entry) => entry.type === 'part-ended');
    expect(ended.map(({ cause }) => cause)).toEqual([expect.stringMatching(/^SOURCE_/), 'STOPPED']);
    expect(host.leftovers()).toEqual([]);

    const { outcome, files } = await makeFiles(host, outputOf('MP4'));
    expect(outcome.parts).toHaveLength(2);
    const [file] = files.filter((each) => each.endsWith('.mp4'));
    const numbers = (await readFrames(file as string, masterSize)).map(({ number }) => number as number);
    const back = numbers.findIndex((number) => number >= 20 * cardHz);
    for (const run of [numbers.slice(0, back), numbers.slice(back)]) {
      const first = run[0] as number;
      expect(run.length).toBeGreaterThan(2.5 * cardHz);
      const whole = run.slice(0, -openPictures);
      expect(whole).toEqual(whole.map((_, index) => first + index));
    }
  },
);
