/** The clients of the realtime benchmarks: thousands of sockets in one process, which check every event that they receive. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { answer } from './child.js';

/** One socket, and the one operation on it. */
export interface Subscription {
  query: string;
  variables: Record<string, unknown>;
}

export interface Report {
  /** Events that arrived within the window. */
  received: number;
  /** Deliveries of events that occurred within it, whenever they arrived. */
  occurred: number;
  /** From `occurredAt` to receipt, milliseconds, of the events that occurred within the window; null when there were none. */
  latency: { mean: number; p50: number; p99: number; max: number } | null;
  /** Of a message, mean. */
  bytes: number;
}

interface Client {
  socket: WebSocket;
  /** Number of the latest event; 0 before the first. */
  sequence: number;
}

// More at once only wait in the server's queue, until it gives them up.
const connectingAtOnce = 64;
// Parsing every message would cost more than the server under test spends on it; gaps and repeats show in the numbers alone.
const parsedShare = 1 / 512;
const keptFailures = 5;
const settlePollMs = 20;
/** For a socket from its opening to its welcome. */
const welcomeLimitMs = 30_000;
const [sequenceField, occurredAtField] = ['"sequence":', '"occurredAt":"'].map((text) => Buffer.from(text)) as [
  Buffer,
  Buffer,
];
const isoLength = '2026-01-01T00:00:00.000Z'.length;

const clients: Client[] = [];
const failures: string[] = [];
let failureCount = 0;
let messages = 0;
let bytes = 0;
let times = 0;
/** When each event arrived and when it had occurred, milliseconds since 1970, in turns. */
let log = new Float64Array(1 << 16);

function fail(what: string): void {
  failureCount++;
  if (failures.length < keptFailures) failures.push(what);
}

function open(url: string, token: string, { query, variables }: Subscription): Promise<Client> {
  const socket = new WebSocket(url, 'graphql-transport-ws', { perMessageDeflate: false, skipUTF8Validation: true });
  const client: Client = { socket, sequence: 0 };
  // As graphql-ws clients make them.
  const id = randomUUID();
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => reject(new Error(`A socket was not welcome within ${welcomeLimitMs / 1000} s.`)),
      welcomeLimitMs,
    );
    socket.on('error', reject);
    socket.on('close', (code, reason) => {
      fail(`A socket was closed with ${code} ${reason}.`);
      reject(new Error(`A socket was closed with ${code} ${reason} before it was welcome.`));
    });
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })),
    );
    socket.on('message', (data: Buffer) => {
      const at = Date.now();
      const place = data.indexOf(sequenceField);
      if (place >= 0 && client.sequence > 0 && messages % (1 / parsedShare) !== 0)
        return count(client, data, place, at);
      const message = JSON.parse(data.toString());
      if (message.type === 'connection_ack') {
        socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query, variables } }));
        clearTimeout(limit);
        resolve(client);
      } else if (message.type === 'ping') socket.send('{"type":"pong"}');
      else if (message.type === 'next' && message.id === id && place >= 0) receive(client, data, place, at, message);
      else fail(`Unexpected message: ${data}`);
    });
  });
}

/** A message that is read in full. */
function receive(client: Client, data: Buffer, place: number, at: number, message: { payload?: Payload }): void {
  const event = message.payload?.data?.jobEvents;
  if (event?.__typename === 'JobSnapshot' && client.sequence === 0) client.sequence = event.sequence;
  else if (event?.__typename !== 'JobFileAdded' || message.payload?.errors || !event.name || event.cursor.length < 16) {
    fail(`Not the event that was asked for: ${data}`);
  } else {
    // Whoever sends no snapshot begins with any event.
    if (client.sequence === 0) client.sequence = event.sequence - 1;
    count(client, data, place, at);
  }
}

interface Payload {
  data?: { jobEvents?: { __typename: string; cursor: string; sequence: number; name?: string } };
  errors?: unknown;
}

function count(client: Client, data: Buffer, place: number, at: number): void {
  let sequence = 0;
  for (let index = place + sequenceField.length; ; index++) {
    const digit = (data[index] as number) - 48;
    if (!(digit >= 0 && digit <= 9)) break;
    sequence = sequence * 10 + digit;
  }
  if (sequence !== client.sequence + 1) fail(`After event ${client.sequence} came: ${data}`);
  client.sequence = sequence;
  const begin = data.indexOf(occurredAtField) + occurredAtField.length;
  messages++;
  bytes += data.length;
  if (times + 2 > log.length) {
    const longer = new Float64Array(log.length * 2);
    longer.set(log);
    log = longer;
  }
  log[times++] = at;
  log[times++] = Date.parse(data.toString('latin1', begin, begin + isoLength));
}

const handlers = {
  /** Opens a socket for each; resolves when all are welcome and have subscribed. */
  async connect(input: { url: string; token: string; subscriptions: Subscription[] }): Promise<void> {
    const waiting = [...input.subscriptions.keys()].reverse();
    const from = clients.length;
    const opened: Client[] = [];
    async function openNext(): Promise<void> {
      for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
        opened[index] = await open(input.url, input.token, input.subscriptions[index] as Subscription);
      }
    }
    await Promise.all(Array.from({ length: connectingAtOnce }, openNext));
    clients.splice(from, 0, ...opened);
  },
  /** How many have received something. */
  heard: (_: null): number => clients.filter(({ sequence }) => sequence > 0).length,
  /** Forgets what has been counted, not what every client must receive next. */
  begin(_: null): void {
    messages = bytes = times = 0;
  },
  /** Waits until every client, in the order they were opened, has received just up to its number; false after the limit. */
  async settle({ sequences, limitMs }: { sequences: number[]; limitMs: number }): Promise<boolean> {
    const there = () => clients.every(({ sequence }, index) => sequence === sequences[index]);
    for (const endsAt = Date.now() + limitMs; Date.now() < endsAt && !there(); ) await sleep(settlePollMs);
    return there();
  },
  /** What was wrong so far. */
  failures: (_: null): { count: number; first: string[] } => ({ count: failureCount, first: failures }),
  /** Of a window between two times, milliseconds since 1970. */
  report({ from, to }: { from: number; to: number }): Report {
    const latencies: number[] = [];
    let received = 0;
    for (let index = 0; index < times; index += 2) {
      const [at, occurredAt] = [log[index] as number, log[index + 1] as number];
      if (at >= from && at < to) received++;
      if (occurredAt >= from && occurredAt < to) latencies.push(at - occurredAt);
    }
    const sorted = Float64Array.from(latencies).sort();
    const share = (part: number) => sorted[Math.floor((sorted.length - 1) * part)] as number;
    const mean = sorted.reduce((sum, latency) => sum + latency, 0) / sorted.length;
    const latency = sorted.length === 0 ? null : { mean, p50: share(0.5), p99: share(0.99), max: share(1) };
    return { received, occurred: sorted.length, latency, bytes: bytes / messages };
  },
};
export type SocketClients = typeof handlers;

answer(handlers);
