/** A split recording is cut while it goes on: every picture and every sound is in exactly one piece, whatever happens to the cutter. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PieceEntry, piecesFolder } from '../../src/jobs/capture.js';
import type { OutputFormat, RecordingOutput } from '../../src/recordings/config.js';
import { createPartLine } from '../../worker/outlets/part-line.js';
import { cutPieces } from '../../worker/outlets/pieces.js';
import { openManifest, readManifest } from '../../worker/parts/manifest.js';
import { audioEncodings, videoEncodings } from '../testkit/encodings.js';
import { decodingProblems, mediaTools, smallCard, temporaryFolder, writeEncodedPart } from '../testkit/media-parts.js';
import { readFrames, readOffsets, readSound, readTone } from '../testkit/media-read.js';
import { replayPart } from '../testkit/replayed-parts.js';

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
