/** Loads that are asked for one by one, and done together. */

/** How long a query is waited for before the next one goes beside it: it may be one that is never answered. */
const patienceMs = 1_000;

interface Batch<Value> {
  ids: Set<string>;
  loaded: Promise<ReadonlyMap<string, Value>>;
}

/**
 * A load of one id that shares its query with the others that are asked for in the same turn of the event loop, and with all
 * that come while an earlier query runs: a page of rows is one query, and so is what a thousand clients ask that connect
 * again at once. It never begins before it was asked for, so that the answer is not older than the question. Null for an id
 * that `load` does not answer. All of them reject when it does.
 */
export function batched<Value>(
  load: (ids: string[]) => Promise<ReadonlyMap<string, Value>>,
): (id: string) => Promise<Value | null> {
  let waiting: Batch<Value> | undefined;
  let running: Promise<unknown> = Promise.resolve();

  function open(): Batch<Value> {
    const ids = new Set<string>();
    const loaded = Promise.all([settledOrLate(running), new Promise((resolve) => setImmediate(resolve))]).then(() => {
      waiting = undefined;
      return load([...ids]);
    });
    running = loaded;
    return { ids, loaded };
  }

  return async (id) => {
    waiting ??= open();
    waiting.ids.add(id);
    return (await waiting.loaded).get(id) ?? null;
  };
}

function settledOrLate(running: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patienceMs);
    const settle = () => {
      clearTimeout(timer);
      resolve();
    };
    running.then(settle, settle);
  });
}
