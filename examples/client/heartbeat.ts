/** A client of graphql-ws that notices when the service, or the way to it, has gone silent: nothing arrives that would say so. */
import { type Client, type ClientOptions, createClient } from 'graphql-ws';

/** A service that lives answers a ping in far less. */
const pingIntervalMs = 10_000;
const pongLimitMs = 5_000;
const connectLimitMs = 10_000;
/** For a service that answers pings but does not welcome. One that is frozen has been noticed by then, for the missing pong. */
const welcomeLimitMs = 20_000;

/** Gives up a connection that has been silent for 15 s; whether it is made again is up to the options, as for any that is lost. */
export function createClientWithHeartbeat({ webSocketImpl, ...options }: ClientOptions): Client {
  const client = createClient({
    ...options,
    webSocketImpl: withConnectLimit(webSocketImpl ?? (globalThis as { WebSocket?: unknown }).WebSocket),
    keepAlive: pingIntervalMs,
    connectionAckWaitTimeout: welcomeLimitMs,
  });
  let socket: { onmessage: unknown };
  let pongLimit: ReturnType<typeof setTimeout> | undefined;
  client.on('opened', (opened) => {
    socket = opened as typeof socket;
  });
  client.on('ping', (received) => {
    if (received) return;
    pongLimit = setTimeout(() => {
      // What the network still held back would be taken for answers on the next connection, and be told twice.
      socket.onmessage = null;
      client.terminate();
    }, pongLimitMs);
  });
  client.on('pong', (received) => {
    if (received) clearTimeout(pongLimit);
  });
  client.on('closed', () => clearTimeout(pongLimit));
  return client;
}

interface Closable {
  close(): void;
  addEventListener(type: string, listener: () => void): void;
}

/** The same class, but a socket that does not open in time is closed: a frozen service accepts connections and says nothing. */
function withConnectLimit(webSocket: unknown): unknown {
  if (typeof webSocket !== 'function') return webSocket;
  return new Proxy(webSocket, {
    construct(target, args) {
      const socket: Closable = Reflect.construct(target, args);
      const limit = setTimeout(() => socket.close(), connectLimitMs);
      for (const type of ['open', 'error', 'close']) socket.addEventListener(type, () => clearTimeout(limit));
      return socket as object;
    },
  });
}
