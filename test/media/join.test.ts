import { execFile } from 'node:child_process';
import { copyFile, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probe } from '../../worker/ffmpeg/probe.js';
import { joinParts } from '../../worker/parts/join.js';
import type { PartSource } from '../../worker/parts/measure.js';
import { keptMs } from '../../worker/parts/overlap.js';
import { expectPlayable } from '../testkit/media.js';
import { mediaTools, temporaryFolder, writeKilledPart, writePart } from '../testkit/media-parts.js';
import { contentReport } from '../testkit/media-report.js';

const run = promisify(execFile);
let folder: string;
let work: string;
/** Numbers 0 to 89, then killed parts, which begin at 100 and 300; the clean one begins at 600. */
let framesGiven: number[];
const file = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await temporaryFolder();
  work = await temporaryFolder();
  framesGiven = await Promise.all([
    writeKilledPart(file('killed-100.mkv'), 3, 100),
    writeKilledPart(file('killed-300.mkv'), 2.4, 300),
  ]);
  await writePart(file('whole-600.mkv'), 3, 600);
  await writePart(file('larger.mkv'), 2, 900, { width: 640, height: 360 });
}, 60_000);

afterAll(() => Promise.all([folder, work].map((path) => rm(path, { recursive: true, force: true }))));

const joinFiles = (parts: (string | Partial<PartSource>)[], name: string) =>
  joinParts({
    parts: parts.map((part) =>
      typeof part === 'string'
        ? { file: file(part), incarnation: 1, zeroAt: null }
        : { incarnation: 1, zeroAt: null, ...part, file: file(part.file as string) },
    ),
    output: (index) => join(work, `${name}-${index}.mp4`),
    workFolder: work,
    tools: mediaTools,
  });

describe('a part whose recorder was killed', () => {
  test('is whole up to its last cluster, each picture once, picture and sound together', async () => {
    const { deliverables, parts } = await joinFiles(['killed-100.mkv'], 'killed');
    expect(deliverables).toHaveLength(1);
    const report = await contentReport(deliverables[0]?.file as string);
    expect(report).toMatchObject({ unreadable: 0, outOfOrder: 0, missing: [], first: 100, tonePresent: true });
    expect(report.distinct).toBe(report.frames);
    // 8 pictures are in a cluster of 250 ms; the encoder itself looks ahead and holds back 20 and more.
    expect((framesGiven[0] as number) - report.frames).toBeLessThanOrEqual(36);
    expect(Math.abs(report.avOffsetMedianMs as number)).toBeLessThan(2);
    expect(parts[0]?.durationMs).toBeCloseTo((report.frames * 1000) / 30, -1);
  });

  test('gets its length measured although its header has none', async () => {
    const facts = await probe(file('killed-100.mkv'), mediaTools);
    expect(facts).toMatchObject({ closed: false, video: { codec: 'h264', width: 320, height: 240 } });
    const { parts } = await joinFiles(['killed-100.mkv'], 'measured');
    expect(Math.abs(facts.durationMs - (parts[0]?.durationMs as number))).toBeLessThan(100);
  });
});

describe('a part that begins later than at zero', () => {
  const begunLater = (from: string, to: string, streams: string[]) =>
    run('ffmpeg', ['-v', 'error', '-y', '-i', file(from), ...streams, '-output_ts_offset', '0.4', file(to)]);
  const packetsOf = async (media: string) => {
    const packets = ['-v', 'error', '-show_entries', 'packet=stream_index,size', '-of', 'csv=p=0', media];
    return [...(await run('ffprobe', packets)).stdout.matchAll(/^\d,\d+/gm)].map(String).sort();
  };

  test('has as much picture and sound in the file as one that begins at zero', async () => {
    await begunLater('whole-600.mkv', 'later.mkv', ['-c', 'copy']);
    const atZero = await joinFiles(['whole-600.mkv'], 'at-zero');
    const later = await joinFiles(['later.mkv'], 'later');
    expect(later.recordedMs).toBe(atZero.recordedMs);
    const [made, expected] = [later, atZero].map(({ deliverables }) => packetsOf(deliverables[0]?.file as string));
    expect(await made).toEqual(await expected);
  });

  test('has all of its sound where there is nothing else', async () => {
    await begunLater('whole-600.mkv', 'later-sound.mkv', ['-vn', '-c:a', 'libmp3lame']);
    const { deliverables, recordedMs } = await joinParts({
      parts: [{ file: file('later-sound.mkv'), incarnation: 1, zeroAt: null }],
      ...{ output: () => join(work, 'later-sound.mp3'), workFolder: work, tools: mediaTools },
      ...{ format: 'MP3', allowSoundAlone: true },
    });
    const made = deliverables[0]?.file as string;
    expect(await packetsOf(made)).toEqual(await packetsOf(file('later-sound.mkv')));
    expect(Math.abs((await probe(made, mediaTools)).durationMs - recordedMs)).toBeLessThan(30);
  });
});

describe('several parts', () => {
  test('become one file without a repeated or missing picture, gaps cut out, picture and sound together in each', async () => {
    const { deliverables, parts, recordedMs } = await joinFiles(
      ['killed-100.mkv', 'killed-300.mkv', 'whole-600.mkv'],
      'several',
    );
    expect(deliverables).toHaveLength(1);
    const output = deliverables[0]?.file as string;
    await expectPlayable(output, { width: 320, height: 240, durationMs: recordedMs, toleranceMs: 40 });
    const report = await contentReport(output);
    expect(report).toMatchObject({ unreadable: 0, outOfOrder: 0, first: 100, last: 689, tonePresent: true });
    expect(report.distinct).toBe(report.frames);
    // Missing are exactly the two gaps.
    expect(report.missing.map(([, to]) => to)).toEqual([299, 599]);
    expect(recordedMs).toBe(parts.reduce((sum, part) => sum + part.durationMs, 0));
    const kept = report.avOffsetsMs.filter((offset) => Math.abs(offset) < 2);
    // A beep cut in two at a seam has no beginning to measure.
    expect(report.avOffsetsMs.length - kept.length).toBeLessThanOrEqual(2);
    expect(kept.length).toBeGreaterThanOrEqual(5);
  });

  test('of another size become a file of their own', async () => {
    const { deliverables } = await joinFiles(['whole-600.mkv', 'larger.mkv', 'killed-300.mkv'], 'sizes');
    expect(deliverables.map(({ parts }) => parts)).toEqual([[0, 2], [1]]);
    await expectPlayable(deliverables[0]?.file as string, { width: 320 });
    await expectPlayable(deliverables[1]?.file as string, { width: 640 });
  });

  test('are joined without those that hold no media, which are named with the reason', async () => {
    await writeFile(file('empty.mkv'), '');
    await writeFile(file('noise.mkv'), Buffer.alloc(50_000, 'no media'));
    await copyFile(file('whole-600.mkv'), file('header.mkv'));
    await truncate(file('header.mkv'), 5_000);
    const { deliverables, parts } = await joinFiles(['empty.mkv', 'noise.mkv', 'header.mkv', 'whole-600.mkv'], 'bad');
    expect(parts.map(({ leftOut }) => leftOut)).toEqual(['empty', 'unreadable', 'empty', null]);
    expect(parts[1]?.problem).toContain('Invalid data');
    expect(deliverables.map((deliverable) => deliverable.parts)).toEqual([[3]]);
  });

  test('are joined as far as they arrived, also of one that was finished elsewhere', async () => {
    await copyFile(file('whole-600.mkv'), file('arrived.mkv'));
    await truncate(file('arrived.mkv'), Math.round((await stat(file('whole-600.mkv'))).size / 5));
    const { deliverables, recordedMs } = await joinFiles(['arrived.mkv'], 'arrived');
    expect(recordedMs).toBeGreaterThan(200);
    await expectPlayable(deliverables[0]?.file as string, { durationMs: recordedMs, toleranceMs: 100 });
  });

  test('are joined whole when reading one fails for a moment, as it does when a disk or memory is short', async () => {
    const ffprobe = join(work, 'ffprobe');
    // Fails the first two times it is asked for what a part is.
    await writeFile(
      ffprobe,
      `#!/bin/sh
case "$*" in *whole-600.mkv*) if [ "$(cat ${work}/tries)" != xx ]; then printf x >> ${work}/tries; echo 'Input/output error' >&2; exit 1; fi;; esac
exec ${mediaTools.ffprobe} "$@"
`,
      { mode: 0o755 },
    );
    await writeFile(join(work, 'tries'), '');
    const { parts, recordedMs } = await joinParts({
      parts: [{ file: file('whole-600.mkv'), incarnation: 1, zeroAt: null }],
      output: () => join(work, 'moment.mp4'),
      workFolder: work,
      tools: { ...mediaTools, ffprobe },
    });
    expect(await readFile(join(work, 'tries'), 'utf8')).toBe('xx');
    expect(parts[0]?.leftOut).toBeNull();
    expect(recordedMs).toBe(3_000);
  });

  test('of two recorders that ran at once show the common time once, as the later one saw it', async () => {
    // Number n was shown at n/30 s: the first recorder saw 600 to 689, the second one began with 300 at the time of 660.
    const { deliverables, parts } = await joinFiles(
      [
        { file: 'whole-600.mkv', zeroAt: 0 },
        { file: 'killed-300.mkv', incarnation: 2, zeroAt: 2_000 },
      ],
      'overlap',
    );
    expect(parts[0]?.durationMs).toBe(3_000);
    const report = await contentReport(deliverables[0]?.file as string);
    expect(report).toMatchObject({ unreadable: 0, missing: [[expect.any(Number), 599]] });
    expect(report.distinct).toBe(report.frames);
    expect(report.last).toBeLessThan(660);
    // Up to three pictures less where they are stored out of order.
    expect(report.last).toBeGreaterThanOrEqual(656);
    expect(parts[0]?.keptMs).toBeCloseTo(((report.last - 599) * 1000) / 30, -1);
  });

  test('give nothing when there are none', async () => {
    expect(await joinFiles([], 'none')).toEqual({ deliverables: [], parts: [], recordedMs: 0 });
  });

  test('report progress that rises to 1', async () => {
    const seen: number[] = [];
    await joinParts({
      parts: ['whole-600.mkv', 'killed-300.mkv'].map((name) => ({ file: file(name), incarnation: 1, zeroAt: null })),
      output: () => join(work, 'progress.mp4'),
      workFolder: work,
      tools: mediaTools,
      onProgress: (fraction) => seen.push(fraction),
    });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBeCloseTo(1, 1);
  });
});

test('joining the same parts again gives the same bytes', async () => {
  const outputs = [];
  for (const name of ['once', 'again']) {
    const { deliverables } = await joinFiles(['killed-100.mkv', 'whole-600.mkv'], name);
    outputs.push(await readFile(deliverables[0]?.file as string));
  }
  expect(outputs[0]?.equals(outputs[1] as Buffer)).toBe(true);
});

describe('what is kept of parts that overlap', () => {
  const part = (incarnation: number, startedAt: number | null, durationMs: number) => ({
    incarnation,
    startedAt,
    durationMs,
  });

  test('an earlier recorder loses its end to a later one', () => {
    expect(keptMs([part(1, 0, 10_000), part(2, 8_000, 5_000), part(3, 9_000, 5_000)])).toEqual([8_000, 1_000, 5_000]);
    expect(keptMs([part(1, 9_000, 1_000), part(2, 8_000, 5_000)])).toEqual([0, 5_000]);
  });

  test('everything is kept of one recorder, of a part without a clock, and when a clock was set', () => {
    expect(keptMs([part(1, 0, 10_000), part(1, 8_000, 5_000)])).toEqual([10_000, 5_000]);
    expect(keptMs([part(1, null, 10_000), part(2, 0, 5_000)])).toEqual([10_000, 5_000]);
    expect(keptMs([part(1, 7_200_000, 10_000), part(2, 0, 5_000)])).toEqual([10_000, 5_000]);
  });
});
