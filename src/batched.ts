/** Loads that are asked for one by one, and done together. */

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
    const loaded = Promise.allSettled([running, new Promise((resolve) => setImmediate(resolve))]).then(() => {
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
