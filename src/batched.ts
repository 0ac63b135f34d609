/** Loads that are asked for one by one, and done together. */

/**
 * A load of one id that waits for the others asked for in the same turn of the event loop, so that the rows of a page share
 * one query. Null for an id that `load` does not answer. All of them reject when it does.
 */
export function batched<Value>(
  load: (ids: string[]) => Promise<ReadonlyMap<string, Value>>,
): (id: string) => Promise<Value | null> {
  let waiting: Set<string> | undefined;
  let loaded: Promise<ReadonlyMap<string, Value>>;

  function loadSoon(): Set<string> {
    const ids = new Set<string>();
    loaded = new Promise((resolve) => setImmediate(resolve)).then(() => {
      waiting = undefined;
      return load([...ids]);
    });
    return ids;
  }

  return async (id) => {
    waiting ??= loadSoon();
    waiting.add(id);
    return (await loaded).get(id) ?? null;
  };
}
