/** What a test may promise of a finished file. */
import { open } from 'node:fs/promises';
import { expect } from 'vitest';
import { type MediaFacts, probe } from '../../worker/ffmpeg/probe.js';
import { median } from './media-report.js';

/** Expects a file that any player plays: mp4 with its index in front, H.264 and AAC, of the given size and length. */
export async function expectPlayable(
  file: string,
  expected: { width?: number; height?: number; durationMs?: number; toleranceMs?: number } = {},
): Promise<MediaFacts> {
  const facts = await probe(file, { ffprobe: 'ffprobe' });
  expect(facts.format).toContain('mp4');
  expect(facts.video).toMatchObject({ codec: 'h264', pixelFormat: 'yuv420p' });
  expect(facts.audio).toMatchObject({ codec: 'aac', sampleRate: 48_000, channels: 2 });
  if (expected.width) expect(facts.video?.width).toBe(expected.width);
  if (expected.height) expect(facts.video?.height).toBe(expected.height);
  if (expected.durationMs !== undefined) {
    expect(Math.abs(facts.durationMs - expected.durationMs)).toBeLessThanOrEqual(expected.toleranceMs ?? 100);
  }
  const boxes = await topLevelBoxes(file);
  expect(boxes).toEqual(expect.arrayContaining(['ftyp', 'moov', 'mdat']));
  expect(boxes.indexOf('moov')).toBeLessThan(boxes.indexOf('mdat'));
  return facts;
}

/** Expects sound and picture together: these are beeps minus their flashes, milliseconds. A single one is off where the machine hangs. */
export function expectTogether(lagsMs: readonly number[]): void {
  expect(Math.abs(median(lagsMs) ?? 0)).toBeLessThan(40);
  for (const lag of lagsMs) expect(Math.abs(lag)).toBeLessThan(120);
}

async function topLevelBoxes(file: string): Promise<string[]> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const names: string[] = [];
    const head = Buffer.alloc(16);
    for (let at = 0; at + 8 <= size; ) {
      await handle.read(head, 0, 16, at);
      names.push(head.toString('latin1', 4, 8));
      const short = head.readUInt32BE(0);
      const length = short === 1 ? Number(head.readBigUInt64BE(8)) : short;
      if (length < 8) break;
      at += length;
    }
    return names;
  } finally {
    await handle.close();
  }
}
