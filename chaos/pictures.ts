/** What the pictures of a result tell: which moments of the page's clock are in it, and which are not. */
import { readFrames } from '../test/testkit/media-read.js';
import { probe } from '../worker/ffmpeg/probe.js';

/** A stretch of wall clock, epoch milliseconds. */
export interface Span {
  from: number;
  to: number;
}

export interface Pictures {
  /** Of the file as a whole. */
  durationMs: number;
  /** Pictures that were decoded, and how many of them could not be read. */
  decoded: number;
  unreadable: number;
  /** Wall clock of each different picture, ascending. */
  seen: number[];
  /** What was never seen between the first and the last. */
  missing: Span[];
  /** Single pictures that fell between two of the page's own, and are not counted as missing. */
  slips: number;
  /** Pictures that show an earlier moment than the one before. */
  outOfOrder: number;
}

/** What the strip of a recorded picture counts. */
export interface PictureClock {
  /** When it was at 0, epoch milliseconds. */
  since: number;
  /** How often it counts up, per second. */
  hz: number;
}

/**
 * Page and encoder count by two clocks: now and then a picture falls between two, and on a machine with much to do some
 * in a row. So long is no loss: the quickest restart of anything costs three times as much.
 */
const slipSeconds = 0.3;

/** Reads a recording whose pictures count by the clock. Throws when it is no media. */
export async function readPictures(file: string, { since, hz }: PictureClock): Promise<Pictures> {
  const frameMs = 1000 / hz;
  const slipFrames = Math.round(slipSeconds * hz);
  const facts = await probe(file, { ffprobe: 'ffprobe' });
  const frames = facts.video ? await readFrames(file, facts.video) : [];
  const numbers = frames.flatMap(({ number }) => (number === null ? [] : [number]));
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  const at = (number: number) => since + number * frameMs;
  const holes = distinct.flatMap((number, index) => {
    const next = distinct[index + 1] ?? number + 1;
    return next > number + 1 ? [{ first: number + 1, count: next - number - 1 }] : [];
  });
  return {
    durationMs: facts.durationMs,
    decoded: frames.length,
    unreadable: frames.length - numbers.length,
    seen: distinct.map(at),
    missing: holes
      .filter(({ count }) => count > slipFrames)
      .map(({ first, count }) => ({ from: at(first), to: at(first + count) })),
    slips: holes.filter(({ count }) => count <= slipFrames).reduce((sum, { count }) => sum + count, 0),
    outOfOrder: numbers.filter((number, index) => index > 0 && number < (numbers[index - 1] as number)).length,
  };
}

/** What is left of a span outside all of the others. */
export function outside(span: Span, others: readonly Span[]): Span[] {
  return others
    .reduce<Span[]>(
      (left, other) =>
        left.flatMap(({ from, to }) => [
          ...(from < other.from ? [{ from, to: Math.min(to, other.from) }] : []),
          ...(to > other.to ? [{ from: Math.max(from, other.to), to }] : []),
        ]),
      [span],
    )
    .filter(({ from, to }) => to > from);
}

export const widened = ({ from, to }: Span, byMs: number): Span => ({ from: from - byMs, to: to + byMs });

export const lengthOf = (spans: readonly Span[]): number => spans.reduce((sum, { from, to }) => sum + to - from, 0);
