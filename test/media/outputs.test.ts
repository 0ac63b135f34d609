/** What a recording's files are made of its parts, in every format: all of it, together, and where it does not fit, in one that does. */
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PartEnd } from '../../src/jobs/capture.js';
import type { OutputFormat, RecordingOutput } from '../../src/recordings/config.js';
import { createLocalStorage } from '../../src/storage/local.js';
import { probe } from '../../worker/ffmpeg/probe.js';
import { finalizeJob } from '../../worker/finalize/finalize.js';
import type { FinalizeOptions } from '../../worker/finalize/finalize-options.js';
import { audioEncodings, videoEncodings } from '../testkit/encodings.js';
import { decodingProblems, mediaTools, smallCard, temporaryFolder, writeEncodedPart } from '../testkit/media-parts.js';
import { readFrames, readOffsets, readSound, readTone } from '../testkit/media-read.js';
import { median } from '../testkit/media-report.js';
import { appendLater, manifestOf } from '../testkit/replayed-parts.js';

const recordedAt = Date.UTC(2026, 0, 31, 23, 59, 50);
let root: string;
let jobs = 0;
const source = (name: string) => join(root, `${name}.mkv`);

beforeAll(async () => {
  root = await temporaryFolder();
  await writeEncodedPart(source('first'), { seconds: 3 });
  await writeEncodedPart(source('second'), { seconds: 3, firstNumber: 200 });
  await writeEncodedPart(source('other'), { seconds: 3, firstNumber: 400, video: otherEncoder });
  await writeEncodedPart(source('silent'), { seconds: 3, audio: null });
  await writeEncodedPart(source('sound'), { seconds: 3, video: null });
  await writeEncodedPart(source('mp3'), { seconds: 3, video: null, audio: audioEncodings.mp3 });
  await writeEncodedPart(source('lossy'), {
    ...{ seconds: 5, video: null },
    audio: [...audioEncodings.mp3, '-bsf:a', 'noise=drop=between(n\\,40\\,99)'],
  });
  await writeEncodedPart(source('browser'), { seconds: 3, video: videoEncodings.vp8, audio: audioEncodings.opus });
  await writeEncodedPart(source('browser-again'), {
    ...{ seconds: 3, firstNumber: 100, video: videoEncodings.vp8, audio: audioEncodings.opus },
  });
}, 120_000);

afterAll(() => rm(root, { recursive: true, force: true }));

/** Of the same size and profile, but with other settings in its head. */
const otherEncoder = [
  ...['-c:v', 'libx264', '-preset', 'ultrafast', '-profile:v', 'high', '-x264-params', '8x8dct=1:ref=4:bframes=1'],
  ...['-g', '30', '-pix_fmt', 'yuv420p'],
];

interface Part {
  name: string;
  /** Since the recording began. */
  atMs: number;
  cause?: PartEnd;
}

async function jobOf(parts: readonly Part[]): Promise<string> {
  const job = join(root, `job-${++jobs}`);
  const folder = join(job, 'i1');
  await mkdir(folder, { recursive: true });
  for (const [index, { name, atMs, cause = 'SOURCE_LOST' }] of parts.entries()) {
    const part = index + 1;
    const at = recordedAt + atMs;
    await copyFile(source(name), join(folder, `p${part}.mkv`));
    await manifestOf(
      folder,
      { type: 'first-frame', part, at },
      { type: 'part-ended', part, at: at + 3_000, durationMs: 3_000, bytes: 1, cause },
    );
  }
  return job;
}

const output = (wanted: Partial<RecordingOutput>): RecordingOutput => ({
  ...{ format: 'MP4', splitMs: null, fillGaps: false, hasVideo: true, hasAudio: true },
  ...wanted,
});

async function deliver(job: string, wanted: Partial<RecordingOutput>, more: Partial<FinalizeOptions> = {}) {
  const storage = join(job, 'storage');
  const made = await finalizeJob({
    ...{ jobFolder: job, jobId: 'job', name: 'Main program', tools: mediaTools, output: output(wanted), ...more },
    storage: createLocalStorage(storage),
  });
  const paths = made.files.map(({ storageKey }) => join(storage, storageKey));
  return { made, paths, videos: paths.filter((_, index) => made.files[index]?.kind === 'VIDEO') };
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);

async function numbersOf(file: string): Promise<(number | null)[]> {
  expect(await decodingProblems(file)).toBe('');
  return (await readFrames(file, smallCard)).map(({ number }) => number);
}

const two: Part[] = [
  { name: 'first', atMs: 0 },
  { name: 'second', atMs: 5_000 },
];

describe('two parts, one after the other', () => {
  test.each<[OutputFormat, string, string]>([
    ['MP4', 'mp4', 'video/mp4'],
    ['MKV', 'mkv', 'video/x-matroska'],
    ['MPEGTS', 'ts', 'video/mp2t'],
    ['FLV', 'flv', 'video/x-flv'],
    ['AVI', 'avi', 'video/x-msvideo'],
  ])('become one file of %s, with every picture, picture and sound together', async (format, ending, mediaType) => {
    const { made, videos } = await deliver(await jobOf(two), { format });
    expect(made.problems).toBeUndefined();
    expect(made.files).toMatchObject([
      { kind: 'VIDEO', name: `Main program-2026-01-31_23-59-50.${ending}`, mediaType, width: 320, height: 240 },
      { kind: 'THUMBNAIL', name: 'Main program-2026-01-31_23-59-50.jpg', width: 320, height: 240 },
    ]);
    expect(made.files[0]).toMatchObject({ videoCodec: 'h264', audioCodec: 'aac' });
    expect(Math.abs((made.files[0]?.durationMs ?? 0) - 6_000)).toBeLessThan(110);
    const file = videos[0] as string;
    expect(await numbersOf(file)).toEqual([...range(0, 90), ...range(200, 90)]);
    const offsets = readOffsets(await readFrames(file, smallCard), await readSound(file));
    expect(Math.abs(median(offsets.map(({ offsetMs }) => offsetMs)) ?? 0)).toBeLessThan(format === 'AVI' ? 12 : 3);
  });

  test('become a playlist that plays wherever its media lies beside it', async () => {
    const { made, paths } = await deliver(await jobOf(two), { format: 'M3U8' });
    expect(made.files).toMatchObject([
      { kind: 'PLAYLIST', name: 'Main program-2026-01-31_23-59-50.m3u8', mediaType: 'application/vnd.apple.mpegurl' },
      { kind: 'SEGMENTS', name: 'Main-program-2026-01-31_23-59-50.mp4', mediaType: 'video/mp4', videoCodec: 'h264' },
      { kind: 'THUMBNAIL' },
    ]);
    const folder = join(root, 'downloads');
    await mkdir(folder);
    for (const [index, { name }] of made.files.entries()) await copyFile(paths[index] as string, join(folder, name));
    const playlist = join(folder, made.files[0]?.name as string);
    expect(await readFile(playlist, 'utf8')).toMatch(/#EXT-X-ENDLIST\s*$/);
    expect(await numbersOf(playlist)).toEqual([...range(0, 90), ...range(200, 90)]);
  });

  test('can be looked for any place in: the index stands in front', async () => {
    const { videos } = await deliver(await jobOf(two), { format: 'MKV' });
    const bytes = await readFile(videos[0] as string);
    const cues = bytes.indexOf(Buffer.from('1c53bb6b', 'hex'));
    expect(cues).toBeGreaterThan(0);
    // Behind the list of where things are, which names it too.
    expect(bytes.lastIndexOf(Buffer.from('1c53bb6b', 'hex'))).toBeLessThan(
      bytes.indexOf(Buffer.from('1f43b675', 'hex')),
    );
  });
});

test('parts of two encoders with other settings are in one file, which is decoded from any place in it', async () => {
  const { videos } = await deliver(
    await jobOf([two[0] as Part, { name: 'other', atMs: 4_000 }, { name: 'second', atMs: 8_000 }]),
    {},
  );
  expect(videos).toHaveLength(1);
  const file = videos[0] as string;
  expect(await numbersOf(file)).toEqual([...range(0, 90), ...range(400, 90), ...range(200, 90)]);
});

describe('one kind of media alone', () => {
  test.each<[string, Partial<RecordingOutput>, string]>([
    ['sound of a source that sends nothing else, though pictures were wanted', { format: 'MP4' }, 'm4a'],
    ['sound alone that was asked for', { format: 'MKV', hasVideo: false }, 'mkv'],
    ['sound alone, in MPEG-TS', { format: 'MPEGTS', hasVideo: false }, 'ts'],
  ])('%s', async (_, wanted, ending) => {
    const { made, videos } = await deliver(await jobOf([{ name: 'sound', atMs: 0 }]), wanted);
    expect(made.files.map(({ name }) => name)).toEqual([`Main program-2026-01-31_23-59-50.${ending}`]);
    expect(made.files[0]).toMatchObject({ audioCodec: 'aac' });
    expect(made.files[0]?.videoCodec).toBeUndefined();
    expect(await decodingProblems(videos[0] as string)).toBe('');
    expect(readTone(await readSound(videos[0] as string)).jumpsMs).toEqual([]);
    expect(made.recordedMs).toBeGreaterThan(2_950);
  });

  test('are delivered as MP3 though the source lost some of it, which that has no place for, and say so', async () => {
    const { made } = await deliver(await jobOf([{ name: 'lossy', atMs: 0 }]), { format: 'MP3', hasVideo: false });
    expect(made.files).toMatchObject([{ kind: 'VIDEO', mediaType: 'audio/mpeg' }]);
    expect(made.files[0]?.durationMs).toBeLessThan(4_000);
    expect(made.problems).toEqual([expect.stringMatching(/^It is 1\d{3} ms shorter than what was recorded/)]);
  });

  test('MP3, with its length in front', async () => {
    const { made, videos } = await deliver(await jobOf([{ name: 'mp3', atMs: 0 }]), { format: 'MP3', hasVideo: false });
    expect(made.files).toMatchObject([{ name: 'Main program-2026-01-31_23-59-50.mp3', mediaType: 'audio/mpeg' }]);
    expect((await readFile(videos[0] as string)).subarray(0, 200).toString('latin1')).toMatch(/Xing|Info/);
    expect(readTone(await readSound(videos[0] as string)).jumpsMs).toEqual([]);
  });

  test('pictures of a source without sound', async () => {
    const { made, videos } = await deliver(await jobOf([{ name: 'silent', atMs: 0 }]), {});
    expect(made.files).toMatchObject([{ kind: 'VIDEO', videoCodec: 'h264' }, { kind: 'THUMBNAIL' }]);
    expect(await numbersOf(videos[0] as string)).toEqual(range(0, 90));
  });

  test('what both were recorded of, with one left out', async () => {
    const silent = await deliver(await jobOf(two), { hasAudio: false });
    expect((await probe(silent.videos[0] as string, mediaTools)).audio).toBeNull();
    expect(await numbersOf(silent.videos[0] as string)).toEqual([...range(0, 90), ...range(200, 90)]);
    const sound = await deliver(await jobOf(two), { hasVideo: false });
    expect(sound.made.files.map(({ name }) => name)).toEqual(['Main program-2026-01-31_23-59-50.m4a']);
    expect((await probe(sound.videos[0] as string, mediaTools)).video).toBeNull();
  });
});

describe('what the format does not hold', () => {
  const browser: Part[] = [
    { name: 'browser', atMs: 0 },
    { name: 'browser-again', atMs: 6_000 },
  ];

  test('is delivered as MKV, with the reason, and nothing is missing', async () => {
    const { made, videos } = await deliver(await jobOf(browser), { format: 'MP4' });
    expect(made.problems).toEqual(['MP4 does not hold vp8 and opus: a Matroska file was made.']);
    expect(made.files[0]).toMatchObject({ name: 'Main program-2026-01-31_23-59-50.mkv', videoCodec: 'vp8' });
    expect(await numbersOf(videos[0] as string)).toEqual([...range(0, 90), ...range(100, 90)]);
  });

  test('leaves what fits as it was asked for: another file is made of it', async () => {
    const { made, videos } = await deliver(await jobOf([...two, { name: 'browser', atMs: 9_000 }]), { format: 'FLV' });
    expect(made.files.filter(({ kind }) => kind === 'VIDEO').map(({ name }) => name)).toEqual([
      'Main program-2026-01-31_23-59-50.flv',
      'Main program-2026-01-31_23-59-59-2.mkv',
    ]);
    expect(await numbersOf(videos[1] as string)).toEqual(range(0, 90));
  });
});

test('what was recorded behind a jump of the source’s times is left out, and nothing before it', async () => {
  const job = await jobOf([{ name: 'first', atMs: 0, cause: 'TIME_JUMPED' }]);
  const part = join(job, 'i1', 'p1.mkv');
  // The tail of another part, half an hour later by its times.
  await appendLater(part, source('second'), 1_800_000, 1_000);
  const { made, videos } = await deliver(job, {});
  expect(made.recordedMs).toBe(3_000);
  expect(await numbersOf(videos[0] as string)).toEqual(range(0, 90));
});
