/** How often something may be tried again within a time. */

/** Answers true, and counts it, at most `limit` times within any `windowMs`. */
export function createBudget(limit: number, windowMs: number): () => boolean {
  let taken: number[] = [];
  return () => {
    const now = performance.now();
    taken = taken.filter((at) => now - at <= windowMs);
    if (taken.length >= limit) return false;
    taken.push(now);
    return true;
  };
}
