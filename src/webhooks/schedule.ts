/** When a callback that failed is tried again. */

const firstDelayMs = 1_000;
const longestDelayMs = 3_600_000;
/** From the first attempt to the last, not counting the attempts themselves or an outage of our own. */
export const retryPeriodMs = 24 * 3_600_000;
/** The same for a job's callbacks behind one that was given up after that, counted from the change. */
const impatientPeriodMs = 3_600_000;

/**
 * How long a receiver that took nothing for the whole period is tried with a change of that age, which may be 0. Without
 * this, each of a job's changes would be posted to a dead receiver for another day.
 */
export function impatientRetryPeriodMs(ageMs: number): number {
  return Math.max(0, impatientPeriodMs - ageMs);
}

/**
 * How long to wait after that many failed attempts, 1 or more; null when the last one was made. Doubles up to an hour,
 * `periodMs` together.
 */
export function retryDelayMs(attempts: number, periodMs = retryPeriodMs): number | null {
  let waitedMs = 0;
  for (let attempt = 1; ; attempt++) {
    const delayMs = Math.min(firstDelayMs * 2 ** (attempt - 1), longestDelayMs, periodMs - waitedMs);
    if (delayMs <= 0) return null;
    if (attempt === attempts) return delayMs;
    waitedMs += delayMs;
  }
}
