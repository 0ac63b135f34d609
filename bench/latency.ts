/** From the commit of an event to the client while nothing else happens, over WebSocket and server-sent events, beside a bare NOTIFY. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { WebSocket } from 'ws';
import type { Transaction } from '../src/db.js';
import { appendJobEvent, createWake, eventsChannel } from '../src/events/outbox.js';
import { encodeId } from '../src/global-id.js';
import { createJobRow } from '../test/testkit/jobs.js';
import { type ApiStack, startApiStack } from './api-stack.js';
import { type BenchResult, percentile, table } from './result.js';

const wantedMs = 20;
/** Pauses between events: at random, or they might fall in step with a poll. */
const pauseMs = { shortest: 100, longest: 200 };
const patienceMs = 10_000;
const bareChannel = 'bench_bare';

type Path = 'WebSocket' | 'server-sent events' | 'bare NOTIFY';
/** Milliseconds from before the commit was sent, and from when it was answered: that may be later than the receipt. */
interface Delays {
  before: number[];
  after: number[];
}

/** About 35 s; 20 s when quick. */
export async function benchLatency(quick: boolean): Promise<BenchResult> {
  const events = quick ? 50 : 100;
  const stack = await startApiStack();
  const paths = new Map<Path, Delays>();
  try {
    const { db } = stack;
    const wake = createWake(db);
    const jobId = await createJobRow(db, stack.projectId);
    const bareJobId = await createJobRow(db, stack.projectId);
    const followers: [Path, Follower][] = [
      ['WebSocket', await followSocket(stack, jobId)],
      ['server-sent events', await followServerSent(stack, jobId)],
    ];
    const bare: [Path, Follower][] = [['bare NOTIFY', await followNotify(stack)]];
    // The first events warm up what the first request of a day would find cold as well; they count.
    for (let number = 0; number < events; number++) {
      await sleep(randomPause());
      await once(
        followers,
        (receipt) => write(jobId, receipt),
        () => wake(eventsChannel),
      );
      await sleep(randomPause());
      await once(bare, (receipt) =>
        write(bareJobId, receipt, (to) => to.$executeRaw`SELECT pg_notify(${bareChannel}, '')`),
      );
    }
    for (const [, { close }] of [...followers, ...bare]) await close();

    /** One more event of a job; `onCommit` is called just before the commit is sent. */
    async function write(id: string, onCommit: () => void, also?: (to: Transaction) => Promise<unknown>) {
      await db.$transaction(async (transaction) => {
        const job = await transaction.job.update({ where: { id }, data: { eventSequence: { increment: 1 } } });
        const file = { fileId: id, name: `recording-${job.eventSequence}.mp4`, kind: 'VIDEO' };
        await appendJobEvent(transaction, job, { type: 'JobFileAdded', ...file });
        await also?.(transaction);
        onCommit();
      });
    }
  } finally {
    await stack.stop();
  }

  /** Writes one event and notes when each follower had it. */
  async function once(
    followers: [Path, Follower][],
    happen: (onCommit: () => void) => Promise<unknown>,
    afterCommit: () => void = () => {},
  ): Promise<void> {
    const receipts = followers.map(([, follower]) => follower.next());
    let before = 0;
    await happen(() => {
      before = performance.now();
    });
    const after = performance.now();
    afterCommit();
    for (const [index, receipt] of receipts.entries()) {
      const at = await receipt;
      const [path] = followers[index] as [Path, Follower];
      const delays = paths.get(path) ?? { before: [], after: [] };
      paths.set(path, delays);
      delays.before.push(at - before);
      delays.after.push(at - after);
    }
  }

  const shares = [0.5, 0.95, 0.99];
  const rows = [...paths].map(([path, { before, after }]) => [
    path,
    ...[before, after].flatMap((delays) => shares.map((share) => percentile(delays, share).toFixed(1))),
  ]);
  const headings = ['ms', 'p50 from before commit', 'p95', 'p99', 'p50 from after commit', 'p95', 'p99'];
  console.log(`\n${table(headings, rows)}`);
  const delaysOf = (path: Path) => paths.get(path)?.before ?? [];
  const [value, floor] = [percentile(delaysOf('WebSocket'), 0.5), percentile(delaysOf('bare NOTIFY'), 0.5)];
  const ok = value < wantedMs && delaysOf('WebSocket').length === events;
  console.log(`\np50 ${value.toFixed(1)} ms, under ${wantedMs} ms wanted: ${ok ? 'good' : 'missed'}`);
  const told = ({ before, after }: Delays) => ({
    beforeCommit: shares.map((share) => percentile(before, share)),
    afterCommit: shares.map((share) => percentile(after, share)),
  });
  return {
    ...{ name: 'latency', value, unit: 'ms', floor, ratio: value / floor, goal: null, ok },
    details: {
      wantedMs,
      events,
      shares,
      paths: Object.fromEntries([...paths].map(([path, each]) => [path, told(each)])),
    },
  };
}

interface Follower {
  /** Resolves with the time of the next receipt. Rejects after a while. */
  next(): Promise<number>;
  close(): Promise<unknown>;
}

const query = 'subscription Follow($jobId: ID!) { jobEvents(jobId: $jobId) { __typename cursor sequence occurredAt } }';

async function followSocket(stack: ApiStack, jobId: string): Promise<Follower> {
  const { next, receive } = receipts();
  const socket = new WebSocket(stack.socketUrl, 'graphql-transport-ws');
  const first = next();
  socket.on('open', () =>
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${stack.apiKey}` } })),
  );
  socket.on('message', (data) => {
    const at = performance.now();
    const { type } = JSON.parse(String(data));
    const payload = { query, variables: { jobId: encodeId('Job', jobId) } };
    if (type === 'connection_ack') socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload }));
    else if (type === 'next') receive(at);
  });
  socket.on('error', () => {});
  await first;
  return { next, close: async () => socket.terminate() };
}

async function followServerSent(stack: ApiStack, jobId: string): Promise<Follower> {
  const { next, receive } = receipts();
  const ending = new AbortController();
  const first = next();
  const response = await fetch(stack.url, {
    method: 'POST',
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      authorization: `Bearer ${stack.apiKey}`,
    },
    body: JSON.stringify({ query, variables: { jobId: encodeId('Job', jobId) } }),
    signal: ending.signal,
  });
  const { body } = response;
  if (!response.ok || !body) throw new Error(`The service answered ${response.status}: ${await response.text()}`);
  async function read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of stream) if (Buffer.from(chunk).includes('event: next')) receive(performance.now());
  }
  read(body).catch(() => {});
  await first;
  return { next, close: async () => ending.abort() };
}

async function followNotify(stack: ApiStack): Promise<Follower> {
  const { next, receive } = receipts();
  const client = new pg.Client({ connectionString: stack.databaseUrl });
  client.on('notification', () => receive(performance.now()));
  await client.connect();
  await client.query(`LISTEN ${bareChannel}`);
  return { next, close: () => client.end() };
}

function receipts(): Pick<Follower, 'next'> & { receive(at: number): void } {
  let receive: (at: number) => void = () => {};
  return {
    receive: (at) => receive(at),
    next: () =>
      new Promise((resolve, reject) => {
        const limit = setTimeout(
          () => reject(new Error(`Nothing was received for ${patienceMs / 1000} s.`)),
          patienceMs,
        );
        receive = (at) => {
          clearTimeout(limit);
          resolve(at);
        };
      }),
  };
}

const randomPause = (): number => pauseMs.shortest + Math.random() * (pauseMs.longest - pauseMs.shortest);
