/** The WebSocket that all subscriptions of a client share: opened when the first begins, closed when the last has ended. */
import type { FormattedExecutionResult } from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { errorOfSubscription, isCloseEvent, refused, TapedeckError } from './errors.js';
import { createClientWithHeartbeat } from './heartbeat.js';

export type AskKey = () => string | Promise<string>;

export interface Sink<Result> {
  next(result: FormattedExecutionResult<Result, unknown>): void;
  error(error: Error): void;
  complete(): void;
}

export interface Connection {
  /** One subscription, over when its connection is. Answers how to leave it. */
  subscribe<Result>(payload: SubscribePayload, sink: Sink<Result>): () => void;
  /** When the service welcomed the present or last connection, `performance.now()`; Infinity while it has not. */
  welcomedAt(): number;
  close(): Promise<void>;
}

/** `renewable`: a key that was refused is asked for again, once, since it may have expired. */
export function createConnection(url: string, askKey: AskKey, renewable: boolean, webSocket: unknown): Connection {
  let welcomedAt = Number.POSITIVE_INFINITY;
  let key: string | undefined;
  let refusals = 0;

  const sockets = createClientWithHeartbeat({
    url: url.replace(/^http/, 'ws'),
    webSocketImpl: webSocket,
    async connectionParams() {
      const asked = await askKey();
      if (refusals > 0 && asked === key) throw keyRefused('The service refused the key, and there is no other.');
      key = asked;
      return { authorization: `Bearer ${key}` };
    },
    // Whoever subscribes does so again, with the cursor of then; the library would send what was asked for at first.
    retryAttempts: 0,
    on: {
      connecting() {
        welcomedAt = Number.POSITIVE_INFINITY;
      },
      connected() {
        welcomedAt = performance.now();
        refusals = 0;
      },
      closed(event) {
        if (isCloseEvent(event) && event.code === refused) refusals++;
      },
    },
  });

  return {
    subscribe: (payload, sink) =>
      sockets.subscribe(payload, {
        next: (result) => sink.next(result as Parameters<typeof sink.next>[0]),
        error(reason) {
          const wasRefused = isCloseEvent(reason) && reason.code === refused;
          const { message } = errorOfSubscription(reason);
          sink.error(wasRefused ? keyRefused(message, renewable && refusals === 1) : errorOfSubscription(reason));
        },
        complete: () => sink.complete(),
      }),
    welcomedAt: () => welcomedAt,
    // It rejects when a connection that was being made fails, which is what was wanted.
    close: async () => Promise.resolve(sockets.dispose()).catch(() => {}),
  };
}

function keyRefused(message: string, temporary = false): TapedeckError {
  return new TapedeckError('UNAUTHENTICATED', message, { temporary });
}
