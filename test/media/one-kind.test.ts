/** Archives of one kind of media alone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { probe } from '../../worker/ffmpeg/probe.js';
import { type ArchiveKit, createArchiveKit } from '../testkit/archives.js';

const folder = mkdtempSync(join(tmpdir(), 'tapedeck-one-kind-'));
let kit: ArchiveKit;
beforeAll(() => {
  kit = createArchiveKit(inject('stack'));
});
afterAll(async () => {
  await kit.close();
  rmSync(folder, { recursive: true, force: true });
});

test.each([
  [{ hasVideo: false }, { video: false, audio: true }],
  [{ hasAudio: false }, { video: true, audio: false }],
])(
  'an archive that shall have one kind of media alone, %j, has the other in no file',
  async (wish, kinds) => {
    const archive = await kit.start({ ...wish, maxDuration: 3, width: 320, height: 240 });
    await archive.until('COMPLETE');
    const { video, audio, durationMs } = await probe(await archive.download(folder), { ffprobe: 'ffprobe' });
    expect({ video: video !== null, audio: audio !== null }).toEqual(kinds);
    expect(durationMs).toBeGreaterThan(1_500);
  },
  150_000,
);
