/** What a benchmark says at its end: a table for people, one line of JSON for machines. */

export interface BenchResult {
  name: string;
  /** What ours took; null when nothing was measured. */
  value: number | null;
  unit: string;
  /** What the peer, or the unavoidable part, took. */
  floor: number | null;
  /** `value / floor`. */
  ratio: number | null;
  /** The highest ratio that is good, or with `goalIs` the lowest; null: the ratio is only told. */
  goal: number | null;
  /** Which side of the goal is good; `at most` unless told. */
  goalIs?: 'at most' | 'at least';
  ok: boolean;
  /** Further numbers worth keeping. */
  details: Record<string, unknown>;
}

/** Puts numbers under headings; every row has as many cells as there are headings. */
export function table(headings: string[], rows: (string | number)[][]): string {
  const cells = [headings, ...rows.map((row) => row.map(String))];
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  return cells.map((row) => row.map((cell, column) => cell.padStart(widths[column] as number)).join('   ')).join('\n');
}

// Twice what an idle desktop was seen to use.
const quietCores = 0.1;

/** What to say when other programs used so many cores while something was measured; null when the machine was quiet. */
export function noiseNote(othersCores: number): string | null {
  if (othersCores <= quietCores) return null;
  return `Other programs used up to ${othersCores.toFixed(1)} cores meanwhile: measure again on a quiet machine.`;
}

export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** Throws when there is nothing to sum up. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('Nothing was measured.');
  return { median: percentile(values, 0.5), min: Math.min(...values), max: Math.max(...values) };
}

/** Between neighbours in proportion. `share` is 0 to 1. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] as number;
  const above = sorted[Math.ceil(position)] as number;
  return below + (above - below) * (position - Math.floor(position));
}
