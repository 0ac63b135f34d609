/** A split recording is cut while it goes on: every picture and every sound is in exactly one piece, whatever happens to the cutter. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PieceEntry, piecesFolder } from '../../src/jobs/capture.js';
import type { OutputFormat, RecordingOutput } from '../../src/recordings/config.js';
import { createLocalStorage } from '../../src/storage/local.js';
import { finalizeJob, removeParts } from '../../worker/finalize/finalize.js';
import type { FinalizeOptions } from '../../worker/finalize/finalize-options.js';
import { createPartLine } from '../../worker/outlets/part-line.js';
import { cutPieces } from '../../worker/outlets/pieces.js';
import { openManifest, readManifest } from '../../worker/parts/manifest.js';
import { audioEncodings, videoEncodings } from '../testkit/encodings.js';
import { decodingProblems, mediaTools, smallCard, temporaryFolder, writeEncodedPart } from '../testkit/media-parts.js';
import { readFrames, readOffsets, readSound, readTone } from '../testkit/media-read.js';
import { appendLater, replayPart } from '../testkit/replayed-parts.js';

const zeroAt = Date.UTC(2026, 0, 31, 23, 59, 50);
const splitMs = 2_000;
let root: string;
let folders = 0;
const source = (name: string) => join(root, `${name}.mkv`);
const folder = async () => {
  const path = join(root, `i${++folders}`);
  await mkdir(path);
  return path;
};

/** As a recorder encodes it that is to be split: a key frame wherever a piece begins, and others in between. */
const forced = [
  ...['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '2', '-g', '25', '-pix_fmt', 'yuv420p'],
  ...['-force_key_frames', 'expr:isnan(prev_forced_t)+gt(floor((t+0.001)/2),floor((prev_forced_t+0.001)/2))'],
];
/** As it comes from a source that knows nothing of pieces. */
const foreign = [
  '-c:v',
  'libx264',
  '-preset',
  'veryfast',
  '-bf',
  '2',
  '-g',
  '47',
  '-sc_threshold',
  '0',
  '-pix_fmt',
  'yuv420p',
];

beforeAll(async () => {
  root = await temporaryFolder();
  await writeEncodedPart(source('forced'), { seconds: 9, video: forced });
  await writeEncodedPart(source('foreign'), { seconds: 9, firstNumber: 300, video: foreign });
  await writeEncodedPart(source('sound'), { seconds: 5, video: null, audio: audioEncodings.mp3 });
  await writeEncodedPart(source('silent'), { seconds: 5, video: forced, audio: null });
  await writeEncodedPart(source('browser'), { seconds: 5, video: videoEncodings.vp8, audio: audioEncodings.opus });
}, 120_000);

afterAll(() => rm(root, { recursive: true, force: true }));

const output = (wanted: Partial<RecordingOutput> = {}): RecordingOutput => ({
  ...{ format: 'MP4', splitMs, fillGaps: false, hasVideo: true, hasAudio: true },
  ...wanted,
});

const piecesIn = (at: string) =>
  readManifest(at).entries.filter((entry): entry is PieceEntry => entry.type === 'piece');

/** Cuts while it is replayed; answers the pieces. */
async function cut(
  names: readonly string[],
  wanted: Partial<RecordingOutput> = {},
  at?: string,
): Promise<{ at: string; pieces: PieceEntry[]; files: string[] }> {
  const into = at ?? (await folder());
  const parts = createPartLine();
  const manifest = openManifest(into);
  const notes: string[] = [];
  const cutting = cutPieces({
    ...{ folder: into, parts, tools: mediaTools, signal: new AbortController().signal },
    outputOf: () => output(wanted),
    partZeroAt: (part) => zeroAt + part * 100_000,
    append: (entry) => manifest.append(entry),
    note: (text) => notes.push(text),
  });
  for (const [index, name] of names.entries()) {
    const part = index + 1;
    await replayPart(source(name), { folder: into, part, zeroAt: zeroAt + part * 100_000, line: parts });
  }
  parts.close();
  await cutting;
  manifest.close();
  expect(notes).toEqual([]);
  const pieces = piecesIn(into);
  return { at: into, pieces, files: pieces.map(({ file }) => join(into, piecesFolder, file)) };
}

async function numbersOf(file: string): Promise<(number | null)[]> {
  expect(await decodingProblems(file)).toBe('');
  return (await readFrames(file, smallCard)).map(({ number }) => number);
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);

/** All pieces' sound as one; where the tone breaks in it, as far as that is not at its very beginning. */
async function soundOf(files: readonly string[]) {
  const sounds = await Promise.all(files.map(readSound));
  const seconds = sounds.map(({ left, sampleRate }) => left.length / sampleRate);
  return {
    sounds,
    jumps: sounds.flatMap((sound) => readTone(sound).jumpsMs),
    seconds: seconds.reduce((a, b) => a + b, 0),
  };
}

describe('pieces of a recording that is encoded for it', () => {
  test('are exact to the picture, and there soon after the next one has begun', async () => {
    const into = await folder();
    const seen: [number, number][] = [];
    const parts = createPartLine();
    const manifest = openManifest(into);
    let writtenMs = 0;
    const cutting = cutPieces({
      ...{ folder: into, parts, tools: mediaTools, signal: new AbortController().signal, note: () => {} },
      ...{ outputOf: () => output(), partZeroAt: () => zeroAt },
      append(entry) {
        seen.push([entry.piece, writtenMs]);
        manifest.append(entry);
      },
    });
    const onWritten = (mediaMs: number) => {
      writtenMs = mediaMs;
    };
    await replayPart(source('forced'), { folder: into, part: 1, zeroAt, line: parts, pace: 1, onWritten });
    parts.close();
    await cutting;
    // What belongs to it may come for two and a half seconds after the next one has begun.
    for (const [piece, atMs] of seen.slice(0, 2)) expect(atMs).toBeLessThan((piece + 1) * splitMs + 4_500);
    const pieces = piecesIn(into);
    expect(pieces.map(({ piece, durationMs }) => [piece, durationMs])).toEqual([
      ...range(0, 4).map((piece) => [piece, splitMs]),
      [4, 1_000],
    ]);
    expect(pieces[0]?.at).toBe(zeroAt + (pieces[0]?.fromMs ?? 0));
    for (const { piece, file } of pieces)
      expect(await numbersOf(join(into, piecesFolder, file))).toEqual(range(piece * 60, piece < 4 ? 60 : 30));
  });

  test('have every sound once, and together with the pictures', async () => {
    const { files } = await cut(['forced']);
    const { sounds, jumps, seconds } = await soundOf(files);
    expect(jumps).toEqual([]);
    // An encoder puts a block in front, and fills the last one.
    expect(Math.abs(seconds - 9)).toBeLessThan(0.05);
    for (const [index, file] of files.entries()) {
      const offsets = readOffsets(await readFrames(file, smallCard), sounds[index] as (typeof sounds)[number]);
      for (const { offsetMs } of offsets) expect(Math.abs(offsetMs)).toBeLessThan(3);
    }
  });
});

test('pieces of what is copied begin at the first key frame after each multiple, and lose no picture', async () => {
  const { pieces, files } = await cut(['foreign']);
  const numbers = await Promise.all(files.map(numbersOf));
  expect(numbers.flat()).toEqual(range(300, 270));
  // Key frames are 47 pictures apart: after 2, 4, 6 and 8 s those at 94, 141, 188 and 282, of which there are three.
  expect(numbers.map(([first]) => first)).toEqual([300, 394, 441, 488]);
  expect(pieces.map(({ durationMs }) => durationMs).reduce((a, b) => a + b)).toBe(9_000);
});

test('each part is cut by itself, and all of both is there', async () => {
  const { pieces, files } = await cut(['foreign', 'forced']);
  expect(pieces.map(({ part }) => part)).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 2]);
  const numbers = (await Promise.all(files.map(numbersOf))).flat();
  expect(numbers).toEqual([...range(300, 270), ...range(0, 270)]);
});

describe('every format', () => {
  test.each<OutputFormat>(['MKV', 'MPEGTS', 'FLV', 'AVI'])('%s has every picture once', async (format) => {
    const { files } = await cut(['forced'], { format });
    expect((await Promise.all(files.map(numbersOf))).flat()).toEqual(range(0, 270));
    const { jumps } = await soundOf(files);
    expect(jumps).toEqual([]);
  });

  test('sound alone is cut where it is due, as MP3', async () => {
    const { pieces, files } = await cut(['sound'], { format: 'MP3', hasVideo: false });
    expect(pieces.map(({ file }) => file)).toEqual(range(0, 3).map((piece) => `p1-0000${piece}.mp3`));
    expect(Math.abs((pieces[1]?.fromMs ?? 0) - splitMs)).toBeLessThan(30);
    const { jumps } = await soundOf(files);
    expect(jumps).toEqual([]);
    expect(pieces.map(({ durationMs }) => durationMs).reduce((a, b) => a + b)).toBeGreaterThan(4_950);
  });

  test('pictures alone are cut to the picture', async () => {
    const { files } = await cut(['silent'], { hasAudio: false });
    expect((await Promise.all(files.map(numbersOf))).map(({ length }) => length)).toEqual([60, 60, 30]);
  });

  test('what the format does not hold is delivered in one that does', async () => {
    const { files } = await cut(['browser']);
    expect(files.every((file) => file.endsWith('.mkv'))).toBe(true);
    expect((await Promise.all(files.map(numbersOf))).flat()).toEqual(range(0, 150));
  });
});

describe('the files of a split recording', () => {
  const finalized = async (job: string, more: Partial<FinalizeOptions> = {}) => {
    const storage = join(job, 'storage');
    const made = await finalizeJob({
      ...{ jobFolder: job, jobId: 'job', name: 'Main program', tools: mediaTools, output: output(), ...more },
      storage: createLocalStorage(storage),
    });
    const pieces = made.files.filter(({ piece }) => piece !== undefined);
    return { made, pieces, files: pieces.map(({ storageKey }) => join(storage, storageKey)) };
  };
  /** A job of two parts, of which only the first was cut while it was recorded. */
  const job = async () => {
    const folderOf = join(await folder(), 'job');
    await mkdir(join(folderOf, 'i1'), { recursive: true });
    await cut(['foreign'], {}, join(folderOf, 'i1'));
    await replayPart(source('forced'), {
      folder: join(folderOf, 'i1'),
      part: 2,
      zeroAt: zeroAt + 200_000,
      pace: 1_000,
    });
    return folderOf;
  };
  const all = [...range(300, 270), ...range(0, 270)];
  const names = ['1-1-0', '1-1-1', '1-1-2', '1-1-3', '1-2-0', '1-2-1', '1-2-2', '1-2-3', '1-2-4'];

  test('are what was cut while it went on, and what was not', async () => {
    const { made, pieces, files } = await finalized(await job());
    expect(pieces.map(({ piece }) => piece)).toEqual(names);
    expect((await Promise.all(files.map(numbersOf))).flat()).toEqual(all);
    expect(made.recordedMs).toBe(18_000);
    expect(pieces[4]).toMatchObject({ name: 'Main program-2026-02-01_00-03-10.mp4', width: 320, videoCodec: 'h264' });
  });

  test('are no others than those that were not delivered yet', async () => {
    const delivered = new Set(names.filter((name) => name !== '1-1-2' && name !== '1-2-0'));
    const { pieces, files, made } = await finalized(await job(), { deliveredPieces: delivered });
    expect(pieces.map(({ piece }) => piece)).toEqual(['1-1-2', '1-2-0']);
    const numbers = await Promise.all(files.map(numbersOf));
    expect(numbers.map((found) => [found[0], found.length])).toEqual([
      [441, 47],
      [0, 60],
    ]);
    expect(made.deliveredBefore).toBe(7);
  });

  test('are the same although the length was changed after they were cut, and what follows goes by the new one', async () => {
    const { pieces, files } = await finalized(await job(), { output: output({ splitMs: 4_000 }) });
    expect(pieces.map(({ piece }) => piece)).toEqual([...names.slice(0, 4), '1-2-0', '1-2-1', '1-2-2']);
    expect((await Promise.all(files.map(numbersOf))).flat()).toEqual(all);
  });

  test('are cut anew from the parts, where what was cut is gone', async () => {
    const folderOf = await job();
    await rm(join(folderOf, 'i1', piecesFolder), { recursive: true });
    const { files } = await finalized(folderOf, { version: 2 });
    expect((await Promise.all(files.map(numbersOf))).flat()).toEqual(all);
  });

  test('go with the parts once these are removed', async () => {
    const folderOf = await job();
    await finalized(folderOf);
    await removeParts(folderOf);
    expect(await readdir(join(folderOf, 'i1'))).toEqual(['manifest.jsonl']);
  });
});

test('nothing is cut off where times jump at the end of a part, but what is of no time', async () => {
  const into = join(await folder(), 'job', 'i1');
  await mkdir(into, { recursive: true });
  await copyFile(source('silent'), join(root, 'jumped.mkv'));
  await appendLater(join(root, 'jumped.mkv'), source('silent'), 1_800_000, 1_000);
  const parts = createPartLine();
  const manifest = openManifest(into);
  const cutting = cutPieces({
    ...{ folder: into, parts, tools: mediaTools, signal: new AbortController().signal, note: () => {} },
    ...{
      outputOf: () => output({ hasAudio: false }),
      partZeroAt: () => zeroAt,
      append: (entry) => manifest.append(entry),
    },
  });
  await replayPart(join(root, 'jumped.mkv'), { folder: into, part: 1, zeroAt, line: parts, cause: 'TIME_JUMPED' });
  parts.close();
  await cutting;
  const pieces = piecesIn(into);
  const numbers = await Promise.all(pieces.map(({ file }) => numbersOf(join(into, piecesFolder, file))));
  expect(numbers.flat()).toEqual(range(0, 150));
});

test('pictures that refer to those before a cut stay with the picture that they are stored behind', async () => {
  await writeEncodedPart(source('open'), { seconds: 5, video: openGop, audio: audioEncodings.mp2 });
  const { files } = await cut(['open'], { format: 'MPEGTS' });
  const counted = files.map((file) => packetsOf(file));
  // Every picture is in one of them, also those that only show when they are played one after the other.
  expect(counted.reduce((a, b) => a + b)).toBe(150);
  const joined = join(root, 'open.ts');
  await writeFile(joined, Buffer.concat(await Promise.all(files.map((file) => readFile(file)))));
  const numbers = (await readFrames(joined, smallCard)).map(({ number }) => number);
  expect(new Set(numbers).size).toBe(150);
});

/** As broadcasters send it: pictures before a key frame may need the one before. */
const openGop = ['-c:v', 'mpeg2video', '-b:v', '3M', '-bf', '2', '-g', '15', '-sc_threshold', '1000000000'];

const packetsOf = (file: string): number => {
  const args = ['-v', 'error', '-count_packets', '-select_streams', 'v', '-show_entries', 'stream=nb_read_packets'];
  return Number.parseInt(execFileSync('ffprobe', [...args, '-of', 'csv=p=0', file], { encoding: 'utf8' }), 10);
};

test('a cutter that is killed again and again neither loses nor doubles a picture', async () => {
  const into = await folder();
  const replayed = replayPart(source('foreign'), { folder: into, part: 1, zeroAt, pace: 2 });
  for (let kill = 0; kill < 4; kill++) {
    const child = await startCutter(into);
    await sleep(900);
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  await replayed;
  const last = await startCutter(into, true);
  const [code] = await once(last, 'close');
  expect(code).toBe(0);
  const pieces = piecesIn(into);
  expect(pieces.map(({ piece }) => piece)).toEqual(range(0, 4));
  const numbers = await Promise.all(pieces.map(({ file }) => numbersOf(join(into, piecesFolder, file))));
  expect(numbers.flat()).toEqual(range(300, 270));
});

/** The same work in a process of its own; resolves when it begins. */
async function startCutter(into: string, isOver = false) {
  const module = (path: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, '../..', path)).href);
  const script = `
    const { cutPieces } = await import(${module('worker/outlets/pieces.ts')});
    const { createPartLine } = await import(${module('worker/outlets/part-line.ts')});
    const { openManifest } = await import(${module('worker/parts/manifest.ts')});
    const parts = createPartLine();
    parts.began(1, ${JSON.stringify(join(into, 'p1.mkv'))});
    if (${isOver}) { parts.ended(1); parts.close(); }
    process.stdout.write('begin');
    const manifest = openManifest(${JSON.stringify(into)});
    await cutPieces({ folder: ${JSON.stringify(into)}, parts, tools: ${JSON.stringify(mediaTools)},
      signal: new AbortController().signal, outputOf: () => (${JSON.stringify(output())}), partZeroAt: () => ${zeroAt},
      append: (entry) => manifest.append(entry), note: (text) => process.stderr.write(text) });`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}
