/** The time a recording lost between its parts. */
import type { PartEnd } from './capture.js';

/** A part as far as gaps need it; one that never began (no start) or is empty bounds no gap. */
export interface PartTimes {
  /** Wall clock of the part's first media. */
  startedAt: Date | null;
  /** Media in the part, milliseconds; null while it is being written. */
  durationMs: number | null;
  /** Null: its host died before it could say. */
  endCause: PartEnd | null;
}

export interface Gap {
  from: Date;
  to: Date;
  lostMs: number;
  /** Why the part before the gap ended. */
  cause: PartEnd;
}

/** Milliseconds lost against anybody's will: all gaps but the pauses. */
export const lostMsOf = (gaps: readonly Gap[]): number =>
  gaps.reduce((sum, { lostMs, cause }) => sum + (cause === 'PAUSED' ? 0 : lostMs), 0);

/**
 * The gaps between parts, in order of time. Pauses and suspensions are gaps too: nothing was recorded in them. Parts that
 * touch or overlap have none between them.
 */
export function gapsBetween(parts: readonly PartTimes[]): Gap[] {
  const recorded = parts
    .flatMap(({ startedAt, durationMs, endCause }) =>
      startedAt && durationMs !== 0
        ? [{ from: startedAt.getTime(), to: startedAt.getTime() + (durationMs ?? Number.POSITIVE_INFINITY), endCause }]
        : [],
    )
    .sort((a, b) => a.from - b.from);
  const gaps: Gap[] = [];
  let [latest] = recorded;
  for (const part of recorded) {
    if (!latest || part === latest) continue;
    const lostMs = part.from - latest.to;
    if (lostMs > 0) {
      gaps.push({ from: new Date(latest.to), to: new Date(part.from), lostMs, cause: latest.endCause ?? 'HOST_DIED' });
    }
    if (part.to >= latest.to) latest = part;
  }
  return gaps;
}
