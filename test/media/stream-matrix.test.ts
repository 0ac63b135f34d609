/** Every live input, as it comes and encoded anew, becomes every format: each file decoded from end to end, its pictures counted and its tone heard. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { MediaServer } from '../../src/media/media-server.js';
import type { InputType, OutputFormat, RecordingConfig } from '../../src/recordings/config.js';
import { fallbackFormat, formats } from '../../src/recordings/formats.js';
import { probe } from '../../worker/ffmpeg/probe.js';
import { sendCommand } from '../../worker/host/client.js';
import { readSound, readTone } from '../testkit/media-read.js';
import { contentReport } from '../testkit/media-report.js';
import { type OwnMediaServer, startMediaServer } from '../testkit/media-server.js';
import { usualAudio, usualVideo } from '../testkit/recording-config.js';
import type { SenderOptions } from '../testkit/senders.js';
import { type LiveSource, liveSource, makeFiles, outputOf, recordFrom } from '../testkit/streams.js';

const run = promisify(execFile);
const recordedMs = 4_000;
const testLimitMs = 240_000;
/** Pictures at the end that B-frames keep back. */
const openPictures = 4;
const apartMs = 60;
const beginningMs = 100;
/** RTSP says in its first report, here after 10 s, what belongs together: until then each track begins with what came of it first. */
const unsyncedMs = 200;

const inputs: (SenderOptions & { named?: string })[] = [
  { type: 'SRT_URL' },
  { type: 'SRT_SERVER', passphrase: 'correct-horse-battery' },
  { type: 'RTMP_URL' },
  { type: 'RTMP_SERVER' },
  { type: 'RTSP_URL' },
  { type: 'RTSP_SERVER' },
  { type: 'HLS' },
  { type: 'DASH' },
  { type: 'HTTP_FLV' },
  { type: 'UDP' },
  { type: 'RTP' },
  { type: 'RTP', described: true, named: 'RTP by session description' },
  { type: 'RIST' },
  { type: 'PARTICIPANT' },
];
const nameOf = ({ type, named }: (typeof inputs)[number]): string => named ?? type;

const treatments = {
  copied: { video: { mode: 'COPY' }, audio: { mode: 'COPY' } },
  encoded: { video: usualVideo, audio: usualAudio },
  'sound alone': { video: { mode: 'NONE' }, audio: { ...usualAudio, codec: 'MP3' } },
} as const satisfies Record<string, Pick<RecordingConfig, 'video' | 'audio'>>;
type Treatment = keyof typeof treatments;

const withPicture = ['MP4', 'MKV', 'MPEGTS', 'FLV', 'AVI', 'M3U8'] as const satisfies OutputFormat[];
const formatsOf: Record<Treatment, readonly OutputFormat[]> = {
  copied: withPicture,
  encoded: withPicture,
  'sound alone': ['MP3'],
};
/** What does not hold what participants send: H.264 and Opus. */
const fallenBack = (type: InputType, treatment: Treatment, format: OutputFormat): boolean =>
  type === 'PARTICIPANT' && treatment === 'copied' && ['FLV', 'AVI', 'M3U8'].includes(format);

const found = new Map<string, string>();

let own: OwnMediaServer;
let server: MediaServer;
beforeAll(async () => {
  own = await startMediaServer({ listening: false });
  server = await own.connect();
  // Recorder hosts find it where the stack would say.
  vi.stubEnv('JANUS_URL', own.address.url);
  vi.stubEnv('JANUS_API_SECRET', own.address.apiSecret);
  vi.stubEnv('JANUS_ADMIN_KEY', own.address.adminKey);
});
afterAll(() => own.close());

test.each(inputs.map((input) => [nameOf(input), input] as const))(
  '%s becomes every format',
  { timeout: testLimitMs },
  async (name, input) => {
    const room = input.type === 'PARTICIPANT' ? { server, roomId: 'room-matrix' } : null;
    const sources: { treatment: Treatment; source: LiveSource }[] = [];
    for (const treatment of Object.keys(treatments) as Treatment[]) {
      const identity = `person-${treatment.replace(' ', '-')}`;
      const place = room ? { room: { ...room, identity }, input: { roomId: room.roomId, identity } } : {};
      sources.push({ treatment, source: await liveSource({ ...input, ...place }) });
    }
    const hosts = await Promise.all(
      sources.map(async ({ treatment, source }) => {
        const output = outputOf(treatment === 'sound alone' ? 'MP3' : 'MP4');
        return { treatment, host: await recordFrom(source, { ...treatments[treatment], output }) };
      }),
    );
    await Promise.all(hosts.map(({ host }) => host.recordedFor(recordedMs)));
    await Promise.all(hosts.map(({ host }) => sendCommand(host.identity, { command: 'stop' })));
    for (const { host } of hosts) expect(await host.outcome()).toEqual({ kind: 'stopped' });

    const cells: string[] = [];
    for (const { treatment, host } of hosts) {
      const made: string[] = [];
      for (const [index, format] of formatsOf[treatment].entries()) {
        const { files } = await makeFiles(host, outputOf(format), index + 1);
        const isOther = fallenBack(input.type, treatment, format);
        const ending = `.${formats[isOther ? fallbackFormat : format].ending}`;
        const file = files.find((each) => extname(each) === ending);
        expect(file, `${treatment} ${format}: ${files.map((each) => basename(each)).join()}`).toBeDefined();
        await expectWhole(file as string, `${treatment} ${format}`, input.type);
        made.push(isOther ? `${format} as ${fallbackFormat}` : format);
      }
      cells.push(made.join(', '));
    }
    found.set(name, cells.join(' | '));
  },
);

afterAll(() => {
  if (found.size < inputs.length) return;
  const table = readFileSync(new URL('../../docs/formats.md', import.meta.url), 'utf8');
  for (const [name, cells] of found) expect(table).toContain(`| ${name} | ${cells} |`);
});

async function expectWhole(file: string, what: string, type: InputType): Promise<void> {
  const { video } = await probe(file, { ffprobe: 'ffprobe' });
  // To formats without times: what a player would make of times at a cut end is not what is asked.
  // In the file's own unit of time: in whole pictures two that came closely would be one.
  const untimed = ['-fps_mode', 'passthrough', '-enc_time_base', '-1', '-f', 'rawvideo', '-y', '/dev/null'];
  const picture = video ? ['-map', '0:v', ...untimed] : [];
  const decoding = ['-nostdin', '-v', 'error', '-i', file, ...picture, '-map', '0:a', '-f', 's16le', '-y', '/dev/null'];
  const { stderr } = await run('ffmpeg', decoding);
  // AVI has no times: which pictures a cut end has, and when, is guessed. What is decoded is asked here.
  const said = stderr
    .split('\n')
    .filter((line) => line !== '' && !(what.includes('AVI') && line.includes('monotonically')));
  expect(said, what).toEqual([]);
  if (!video) {
    const tone = readTone(await readSound(file));
    expect(tone, what).toMatchObject({ heardShare: expect.closeTo(1, 1), jumpsMs: [] });
    return;
  }
  const report = await contentReport(file);
  expect(report.distinct, what).toBeGreaterThan((recordedMs / 1000) * 30 * 0.9);
  expect(
    report.missing.filter(([from]) => from < report.last - openPictures),
    what,
  ).toEqual([]);
  // Where sound begins, a source on a busy machine may be a packet late: all formats but AVI have a time for that.
  const jumps = report.toneJumpsMs.filter((at) => !what.includes('AVI') || at > beginningMs);
  expect(jumps, what).toEqual([]);
  expect(report, what).toMatchObject({ unreadable: 0, tonePresent: true });
  expect(Math.abs(report.avOffsetMedianMs as number), what).toBeLessThan(type === 'RTSP_URL' ? unsyncedMs : apartMs);
}
