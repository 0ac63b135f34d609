/** A subscription that outlives its connections: subscribed again, after a pause, until it is over or hopeless. */
import type { Connection } from './connection.js';
import { TapedeckError } from './errors.js';
import { type Reading, subscribeOnce } from './subscription.js';

const firstPauseMs = 100;
const longestPauseMs = 10_000;

/** Subscribes again only when all that was received has been read: what was received last was then also read last. */
export async function* resubscribe<Result, Item>(
  connection: Connection,
  reading: Reading<Result, Item>,
  patienceMs: number,
  signal: AbortSignal,
): AsyncGenerator<Item, void, undefined> {
  let failures = 0;
  let failingSince = 0;
  while (!signal.aborted) {
    const ending = yield* subscribeOnce(connection, reading, signal);
    if (ending.why === 'left') return;
    if (ending.why === 'full') continue;
    if (ending.why === 'completed' && reading.kind === 'latest') return;
    const error = ending.error ?? new TapedeckError('UNAVAILABLE', 'The service ends this stream again and again.');
    if (!(error instanceof TapedeckError && error.temporary)) throw error;
    if (ending.healthy) failures = 0;
    if (failures === 0) failingSince = performance.now();
    if (performance.now() - failingSince > patienceMs) throw error;
    const pauseMs = Math.min(firstPauseMs * 2 ** failures, longestPauseMs);
    // Not all at once: a service that has just been started has all its clients come back.
    await pause(pauseMs * (0.5 + Math.random()), signal);
    failures++;
  }
}

/**
 * The generator that `run` makes, but `return` ends it at once, even while it waits; so does each of the signals, quietly.
 * What it waits for must heed the signal that `run` is given.
 */
export function endable<Item, Ended>(
  run: (signal: AbortSignal) => AsyncGenerator<Item, Ended, undefined>,
  signals: readonly (AbortSignal | undefined)[],
): AsyncGenerator<Item, Ended, undefined> {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  async function* running() {
    for (const signal of signals) {
      signal?.addEventListener('abort', leave);
      if (signal?.aborted) leave();
    }
    try {
      return yield* run(leaving.signal);
    } finally {
      for (const signal of signals) signal?.removeEventListener('abort', leave);
    }
  }
  const generator = running();
  const end = generator.return.bind(generator);
  generator.return = (value) => {
    leave();
    return end(value);
  };
  return generator;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
