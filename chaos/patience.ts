/** Waiting for what comes true in the end, over everything that fails meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 100;

/** It can not come true any more: waiting ends at once. */
export class HopelessError extends Error {
  override name = 'HopelessError';
}

/**
 * Looks until there is something other than undefined, false or null, and answers it. A look that throws is repeated: the service that
 * is asked may just have been killed. Throws when the time is over, or HopelessError as soon as a look throws it.
 */
export async function eventually<T>(
  what: string,
  limitMs: number,
  look: () => Promise<T | undefined | null | false> | T | undefined | null | false,
): Promise<T> {
  const startedAt = performance.now();
  let last: unknown;
  while (performance.now() - startedAt < limitMs) {
    try {
      const found = await within(limitMs, look());
      if (found !== undefined && found !== null && found !== false) return found;
      last = undefined;
    } catch (error) {
      if (error instanceof HopelessError) throw error;
      last = error;
    }
    await sleep(pollMs);
  }
  const why = last instanceof Error ? ` Last it failed with: ${last.message}` : '';
  throw new Error(`Waited ${Math.round(limitMs / 1000)} s in vain for ${what}.${why}`);
}

/** An answer that never comes, because a process is stopped, counts as none. */
async function within<T>(limitMs: number, answer: Promise<T> | T): Promise<T> {
  const over = new AbortController();
  try {
    return await Promise.race([
      answer,
      sleep(limitMs, undefined, { signal: over.signal, ref: false }).then(() => {
        throw new Error('there was no answer');
      }),
    ]);
  } finally {
    over.abort();
  }
}
