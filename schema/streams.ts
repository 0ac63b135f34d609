/** Streams of a service as subscriptions that end at once when the client leaves or the server ends them. */

/**
 * A stream as a subscription. `ending` ends it from our side; when its reason is an error other than a plain abort,
 * that error is what the client hears last.
 */
export function asSubscription<Item>(
  open: (signal: AbortSignal) => AsyncIterable<Item>,
  ending: AbortSignal,
): AsyncIterableIterator<Item> {
  const controller = new AbortController();
  const end = () => controller.abort();
  ending.addEventListener('abort', end, { once: true });
  if (ending.aborted) end();
  const iterator = open(controller.signal)[Symbol.asyncIterator]();
  const close = () => {
    ending.removeEventListener('abort', end);
    end();
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      try {
        const result = await iterator.next();
        if (!result.done) return result;
      } catch (error) {
        close();
        throw error;
      }
      close();
      if (ending.aborted && ending.reason instanceof Error && ending.reason.name !== 'AbortError') throw ending.reason;
      return { done: true, value: undefined };
    },
    async return() {
      // The signal comes first: a generator that waits for its next item does not hear `return`.
      close();
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}
