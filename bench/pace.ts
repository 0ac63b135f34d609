/** An even pace for whatever makes load. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Pace {
  /** Resolves with how many calls were made, the last of them finished. Rejects when one failed. */
  stop(): Promise<number>;
}

/** Calls `act` so many times a second, one after the other; when late, at once until it has caught up. The first has number 1 and comes after `delayMs`. */
export function pace(perSecond: number, act: (number: number) => unknown, delayMs = 0): Pace {
  const startedAt = performance.now() + delayMs;
  let stopped = false;
  let count = 0;
  async function run(): Promise<void> {
    while (!stopped) {
      const aheadMs = startedAt + (count * 1000) / perSecond - performance.now();
      if (aheadMs > 0) await sleep(aheadMs);
      if (stopped) return;
      await act(++count);
    }
  }
  const running = run();
  // It is looked at when it is stopped.
  running.catch(() => {});
  return {
    async stop() {
      stopped = true;
      await running;
      return count;
    },
  };
}
