/** A recording becomes playable in the qualities that its session asks for. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { defaultProfiles, type PlaybackProfile } from '../../src/rooms/profiles.js';
import { makePlayable } from '../../worker/finalize/playable.js';
import { ladderFor, makeRenditions } from '../../worker/finalize/renditions.js';
import { cardInputs } from '../testkit/media-card.js';
import { contentReport } from '../testkit/media-report.js';

const tools = { ffmpeg: 'ffmpeg', ffprobe: 'ffprobe' };
const video = { codec: 'h264', profile: 'High', pixelFormat: 'yuv420p', fps: 30, frames: null, durationMs: null };

function recording(size: { width: number; height: number }, seconds: number) {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-renditions-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'recording.mp4');
  execFileSync('ffmpeg', [
    ...['-loglevel', 'error', '-y', ...cardInputs(size), '-t', `${seconds}`, '-c:v', 'libx264', '-preset', 'veryfast'],
    // As where two parts meet: key frames are not all two seconds apart.
    ...['-force_key_frames', '0,2,3.3,5.3', '-g', '600', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-ar', '48000', file],
  ]);
  return { folder, file };
}

const names = (ladder: readonly PlaybackProfile[]) => ladder.map(({ name }) => name);

test('what is larger than the recording is left out, and something is always left', () => {
  expect(names(ladderFor(defaultProfiles, { ...video, width: 640, height: 360 }))).toEqual(['240p0', '360p0']);
  expect(names(ladderFor(defaultProfiles, { ...video, width: 1280, height: 720 }))).toHaveLength(4);
  expect(names(ladderFor(defaultProfiles, { ...video, width: 320, height: 180 }))).toEqual(['240p0']);
});

test('all qualities show the same pictures, and can be changed over at the same times', async () => {
  const { folder, file } = recording({ width: 640, height: 360 }, 7);
  const progress: number[] = [];
  const made = await makeRenditions({
    ...{ file, folder, tools },
    profiles: defaultProfiles,
    onProgress: (fraction) => progress.push(fraction),
  });
  expect(made?.renditions).toMatchObject([
    { name: '240p0', width: 426, height: 240, isCopy: false },
    { name: '360p0', width: 640, height: 360, isCopy: true },
  ]);
  const playlists = (made?.renditions ?? []).map(({ playlist }) => readFileSync(playlist, 'utf8'));
  const lengths = playlists.map((text) =>
    [...text.matchAll(/#EXTINF:([\d.]+)/g)].map(([, seconds]) => Number(seconds)),
  );
  expect(lengths[0]).toEqual(lengths[1]);
  expect(lengths[0]?.reduce((sum, length) => sum + length, 0)).toBeCloseTo(7, 1);
  const source = await contentReport(file);
  const copy = await contentReport(made?.renditions[1]?.media as string);
  expect(copy).toMatchObject({ first: source.first, last: source.last, missing: [], unreadable: 0 });
  expect(copy.avOffsetMedianMs).toBeCloseTo(source.avOffsetMedianMs as number, 0);
  expect(progress.at(-1)).toBeGreaterThan(0.5);
  expect(progress).toEqual([...progress].sort((a, b) => a - b));
}, 60_000);

test('a rate of its own is kept, and a picture of another shape keeps its shape', async () => {
  const { folder, file } = recording({ width: 480, height: 360 }, 4);
  const profiles = [{ name: 'slow', fps: 10, bitrate: 300_000, width: 426, height: 240 }];
  const made = await makeRenditions({ file, folder, tools, profiles });
  expect(made?.renditions).toMatchObject([{ width: 320, height: 240, isCopy: false }]);
  const [{ media } = { media: '' }] = made?.renditions ?? [];
  const entries = [
    '-count_packets',
    '-select_streams',
    'v',
    '-show_entries',
    'stream=nb_read_packets',
    '-of',
    'csv=p=0',
  ];
  expect(Number(execFileSync('ffprobe', ['-v', 'error', ...entries, media], { encoding: 'utf8' }))).toBe(40);
}, 60_000);

test('what was broken off before is not encoded again', async () => {
  const { folder, file } = recording({ width: 640, height: 360 }, 3);
  const made = await makePlayable({ file, workFolder: folder, tools, profiles: defaultProfiles, asIs: true });
  expect(made?.files.map(({ about }) => about.name)).toEqual(['master.m3u8', '360p0.m3u8', '360p0.mp4']);
  expect(made?.pieces).toMatchObject({ source: { durationMs: 3_000 }, transcoded: { count: 0 } });
}, 60_000);

test.runIf(canMount())(
  'a disk with no room for renditions leaves the recording as it was, or nothing to play',
  async () => {
    const { folder, file } = recording({ width: 640, height: 360 }, 6);
    const { size } = statSync(file);
    // Room for a copy, not for what is larger.
    const large = [{ name: 'large', fps: 0, bitrate: 9_000_000, width: 640, height: 340 }];
    for (const [room, kinds] of [
      [size * 1.2, 3],
      [size / 4, null],
    ] as const) {
      const workFolder = smallDisk(folder, room);
      const problems: unknown[] = [];
      const profiles = [...large, ...defaultProfiles];
      const onProblem = (error: unknown) => problems.push(error);
      const made = await makePlayable({ file, workFolder, tools, profiles, onProblem });
      expect(made?.files.length ?? null).toBe(kinds);
      expect(problems).toHaveLength(kinds === null ? 2 : 1);
      expect(existsSync(join(workFolder, 'renditions'))).toBe(kinds !== null);
    }
  },
  60_000,
);

/** A file system of its own, unmounted when the test is finished. */
function smallDisk(within: string, bytes: number): string {
  const disk = join(within, `disk-${Math.round(bytes)}`);
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${Math.ceil(bytes)}`, 'tapedeck-test', disk]);
  onTestFinished(() => {
    execFileSync('umount', ['-l', disk]);
  });
  return disk;
}

function canMount(): boolean {
  return spawnSync('unshare', ['--mount', 'true']).status === 0;
}
