import { expect, test } from 'vitest';
import { asSubscription } from '../../schema/streams.js';

/** A stream that never tells anything until it is told to end. */
function silent(ended: () => void) {
  return async function* (signal: AbortSignal): AsyncGenerator<number> {
    try {
      yield 1;
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    } finally {
      ended();
    }
  };
}

test('a stream ends at once when its client leaves, even while it waits for something to happen', async () => {
  let ended = false;
  const stream = asSubscription(
    silent(() => {
      ended = true;
    }),
    new AbortController().signal,
  );
  await stream.next();
  const waiting = stream.next();
  await stream.return?.();
  expect(ended).toBe(true);
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test('a stream that the server ends for a reason tells it to its client last', async () => {
  const ending = new AbortController();
  const stream = asSubscription(
    silent(() => {}),
    ending.signal,
  );
  await stream.next();
  const waiting = stream.next();
  ending.abort(new Error('These credentials have been revoked.'));
  await expect(waiting).rejects.toThrow('These credentials have been revoked.');
});

test('a stream leaves nothing behind in what ends it', async () => {
  const ending = new AbortController();
  let listeners = 0;
  const { signal } = ending;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  const stream = asSubscription(
    silent(() => {}),
    signal,
  );
  await stream.next();
  await stream.return?.();
  expect(listeners).toBe(0);
});
