/** What a host shall be doing as long as it does not end: record, or hold with its source open. The newest wish counts. */
import type { RecorderWish } from '../../src/jobs/messages.js';

export interface Wish {
  current(): RecorderWish;
  /** Changes nothing when it is wished already. */
  set(wish: RecorderWish): void;
  /** Resolves when this is wished; at once when it is already. It may have changed again by the time that is acted upon. */
  until(wish: RecorderWish): Promise<void>;
  /** All the time for which recording was not wished, milliseconds, with what has passed of the present hold. */
  heldMs(): number;
  /** Called after every change. */
  onChange(listener: () => void): void;
}

export function createWish(first: RecorderWish): Wish {
  let current = first;
  // A host that begins with a hold takes up one that lasts: the time it needed to get here belongs to it.
  let heldSince = 0;
  let heldBeforeMs = 0;
  const listeners: (() => void)[] = [];
  const waiting: Record<RecorderWish, (() => void)[]> = { record: [], pause: [] };
  return {
    current: () => current,
    set(wish) {
      if (wish === current) return;
      if (wish === 'pause') heldSince = performance.now();
      else heldBeforeMs += performance.now() - heldSince;
      current = wish;
      for (const resolve of waiting[wish].splice(0)) resolve();
      for (const listener of listeners) listener();
    },
    until: (wish) =>
      new Promise((resolve) => {
        if (wish === current) resolve();
        else waiting[wish].push(resolve);
      }),
    heldMs: () => heldBeforeMs + (current === 'pause' ? performance.now() - heldSince : 0),
    onChange: (listener) => void listeners.push(listener),
  };
}
