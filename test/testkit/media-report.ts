/** What a recording of the card really shows: its pictures counted, its sound heard, its offset measured. */
import { probe } from '../../worker/ffmpeg/probe.js';
import { readBeepsAndFlashes, readFrames, readSound, readTone } from './media-read.js';

export interface ContentReport {
  durationMs: number;
  /** Decoded pictures. */
  frames: number;
  /** Pictures whose strip could not be read. */
  unreadable: number;
  /** Different numbers seen. */
  distinct: number;
  first: number;
  last: number;
  /** Numbers seen on pictures that are not next to each other. */
  outOfOrder: number;
  /** Ranges of numbers never seen, both ends included. */
  missing: [number, number][];
  /** Share of the numbers between the first and the last that were seen. */
  hitShare: number;
  /** Beep minus flash of every second; positive means the sound comes late. */
  avOffsetsMs: number[];
  avOffsetMedianMs: number | null;
  tonePresent: boolean;
  /** Share of the time in which the tone was heard. */
  toneShare: number;
  /** Where the tone's phase jumps. */
  toneJumpsMs: number[];
}

/** Reads a recording of the card. Throws when the file has no picture. */
export async function contentReport(file: string): Promise<ContentReport> {
  const facts = await probe(file, { ffprobe: 'ffprobe' });
  if (!facts.video) throw new Error(`${file} has no picture.`);
  const frames = await readFrames(file, facts.video);
  const sound = facts.audio ? await readSound(file) : null;
  const numbers = frames.flatMap(({ number }) => (number === null ? [] : [number]));
  const seen = [...new Set(numbers)].sort((a, b) => a - b);
  const first = seen[0] ?? 0;
  const last = seen.at(-1) ?? 0;
  const missing: [number, number][] = [];
  seen.forEach((number, index) => {
    const next = seen[index + 1];
    if (next !== undefined && next > number + 1) missing.push([number + 1, next - 1]);
  });
  const avOffsetsMs = sound ? readBeepsAndFlashes(frames, sound) : [];
  const tone = sound ? readTone(sound) : { heardShare: 0, jumpsMs: [] };
  return {
    durationMs: facts.durationMs,
    frames: frames.length,
    unreadable: frames.length - numbers.length,
    distinct: seen.length,
    first,
    last,
    outOfOrder: numbers.filter((number, index) => index > 0 && number < (numbers[index - 1] as number)).length,
    missing,
    hitShare: seen.length / (last - first + 1),
    avOffsetsMs,
    avOffsetMedianMs: median(avOffsetsMs),
    tonePresent: tone.heardShare > 0.95,
    toneShare: tone.heardShare,
    toneJumpsMs: tone.jumpsMs,
  };
}

export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return null;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
