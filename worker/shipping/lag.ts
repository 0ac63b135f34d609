/** Since when shipping lags, told so that a slow line is one warning, not one for each round that takes its time. */

/** A second of delay is usual, several happen on a busy line. */
const lagLimitMs = 10_000;
/** It is over when for so long nothing was late any more. */
const wellLimitMs = 30_000;

export interface Lag {
  /** All that was written until then, a time of `performance.now()`, is shipped. */
  shipped(untilMs: number): void;
  /** Epoch milliseconds when what waited first began to wait; null while shipping keeps up. */
  since(): number | null;
}

/** Follows shipping, of which nothing waits at first. */
export function createLag(): Lag {
  let shippedUntilMs = performance.now();
  let lateAtMs = Number.NEGATIVE_INFINITY;
  let since: number | null = null;

  function look(): void {
    const nowMs = performance.now();
    const lagMs = nowMs - shippedUntilMs;
    if (lagMs > lagLimitMs) {
      lateAtMs = nowMs;
      since ??= Math.round(Date.now() - lagMs);
    } else if (nowMs - lateAtMs > wellLimitMs) since = null;
  }

  return {
    shipped(untilMs) {
      // A round that took long was late just before it ended, whoever looked then.
      look();
      shippedUntilMs = untilMs;
    },
    since() {
      look();
      return since;
    },
  };
}
