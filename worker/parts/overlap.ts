/** How much of each part is kept when two recorders of one job ran at the same time. */

export interface PlacedPart {
  incarnation: number;
  /** Wall clock (epoch ms) of the part's first picture; null when unknown. */
  startedAt: number | null;
  durationMs: number;
}

// A recorder that lost its worker goes on for at most the lease time of 5 minutes. More overlap is a clock that was set.
const longestOverlapMs = 360_000;

/**
 * Milliseconds kept of each part, from its beginning; 0 when all of it was recorded again. A later incarnation owns the
 * time from its first picture on: the end of an earlier one's part is cut there. Parts of one incarnation never overlap,
 * whatever their clock says.
 */
export function keptMs(parts: readonly PlacedPart[]): number[] {
  return parts.map((part) => {
    const { startedAt, durationMs } = part;
    if (startedAt === null) return durationMs;
    const laterStarts = parts.flatMap((other) =>
      other.incarnation > part.incarnation && other.startedAt !== null && other.durationMs > 0 ? [other.startedAt] : [],
    );
    const overlapMs = startedAt + durationMs - Math.min(...laterStarts);
    if (overlapMs <= 0 || overlapMs > longestOverlapMs) return durationMs;
    return Math.max(0, durationMs - overlapMs);
  });
}
