/** One subscription, from its start to whatever ends it. */
import type { Connection } from './connection.js';
import { errorOfAnswer } from './errors.js';

/** What is subscribed to, and what its results are to the reader. */
export interface Reading<Result, Item> {
  /** `events`: each one counts. `latest`: a newer value replaces one that has not been read yet. */
  kind: 'events' | 'latest';
  query: string;
  /** What to subscribe with now. */
  variables(): Record<string, unknown>;
  /** Called as soon as a result is there, which may be long before it is read. Undefined: it is not for the reader. */
  receive(data: Result): Item | undefined;
}

export interface Ending {
  why: 'left' | 'full' | 'completed' | 'failed';
  /** Whether something had been received, or it had lasted. */
  healthy: boolean;
  /** Given when it failed. */
  error: Error | undefined;
}

/** Some hundred kilobytes. A reader that far behind is better served from the service's database than from this memory. */
export const mostWaiting = 1_000;
/** Whoever has been connected for so long was not refused. */
const healthyMs = 10_000;

/** Yields what is received, in order. Ends, when all of that was read, with why there is no more. */
export async function* subscribeOnce<Result, Item>(
  connection: Connection,
  reading: Reading<Result, Item>,
  signal: AbortSignal,
): AsyncGenerator<Item, Ending, undefined> {
  const startedAt = performance.now();
  const waiting: Item[] = [];
  let received = false;
  let ending: Ending | undefined;
  let awaken = () => {};

  function end(why: Ending['why'], error?: Error): void {
    const lasted = performance.now() - Math.max(startedAt, connection.welcomedAt());
    ending ??= { why, error, healthy: received || lasted >= healthyMs };
    awaken();
  }

  const payload = {
    query: reading.query,
    // Read whenever it is sent: after a close code of 1000 the library subscribes again by itself.
    get variables() {
      return reading.variables();
    },
  };
  const leave = connection.subscribe<Result>(payload, {
    next({ data, errors }) {
      // Several may arrive in one turn of the event loop, before the library hears that no more are wanted.
      if (ending) return;
      try {
        if (errors) throw errorOfAnswer(errors);
        const item = reading.receive(data as Result);
        if (item === undefined) return;
        if (reading.kind === 'latest') waiting.length = 0;
        waiting.push(item);
        received = true;
      } catch (error) {
        leave();
        return end('failed', error as Error);
      }
      if (waiting.length >= mostWaiting) {
        leave();
        end('full');
      }
      awaken();
    },
    error: (error) => end('failed', error),
    complete: () => end('completed'),
  });
  const abort = () => {
    leave();
    waiting.length = 0;
    end('left');
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    for (;;) {
      const item = waiting.shift();
      if (item !== undefined) yield item;
      else if (ending) return ending;
      else {
        await new Promise<void>((resolve) => {
          awaken = resolve;
        });
      }
    }
  } finally {
    signal.removeEventListener('abort', abort);
    leave();
  }
}
