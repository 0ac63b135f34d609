/** Numbers the packets of a track so that whoever reads them sees losses, but never a hole that looks like another stream. */

export interface Sequence {
  /**
   * The number to pass a packet on with, and how many packets are missing right before it; negative: it is one that was missing.
   * Null for one that came twice in a row: ffmpeg would take it for two.
   */
  next(sequence: number): { sequence: number; missing: number } | null;
}

// ffmpeg takes a step of 3000 for a stranger and drops what follows; a track that was muted for a minute has one of 10,000.
const longestStep = 500;

export function createSequence(): Sequence {
  let newest: number | null = null;
  let shift = 0;
  const seen = new Set<number>();

  function forget(from: number, count: number): void {
    for (let number = from; number < from + count; number++) seen.delete((number - 2 * longestStep) & 0xffff);
  }

  return {
    next(sequence) {
      // As a signed number of 16 bits.
      const step = newest === null ? 1 : ((sequence - newest) << 16) >> 16;
      const isLate = step <= 0 && step > -longestStep;
      if (isLate && seen.has(sequence)) return null;
      const isHole = newest !== null && !isLate && Math.abs(step) > longestStep;
      if (isHole) seen.clear();
      else if (!isLate) forget(sequence - step + 1, step);
      seen.add(sequence);
      if (isLate) return { sequence: (sequence + shift) & 0xffff, missing: -1 };
      // One number is left out, so that the loss is seen.
      if (newest !== null && isHole) shift = (newest + shift + 2 - sequence) & 0xffff;
      newest = sequence;
      return { sequence: (sequence + shift) & 0xffff, missing: Math.abs(step) - 1 };
    },
  };
}
