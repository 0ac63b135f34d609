/** How many sockets, each with its own job and an event a second, one API process carries while everything shares this machine. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeId } from '../src/global-id.js';
import { type ApiStack, startApiStack } from './api-stack.js';
import { type Child, startChild } from './child.js';
import { type BusyJob, createBusyJobs, writeEverySecond } from './job-writer.js';
import { machineSeconds, ownProcessorSeconds, processorSeconds, residentBytes } from './process-tree.js';
import { type BenchResult, noiseNote, table } from './result.js';
import type { SocketClients } from './socket-clients.js';

/** Hasura's published figure on 2 cores, with its database on another machine, at the same limit of latency. */
const published = 10_000;
const steps = { full: [1_000, 2_500, 5_000, 7_500, published], quick: [2_000] };
/** Hasura's own condition for a valid run. */
const meanLimitMs = 1_000;
/** Of the events that were to be written in a second; below it the load was another one. */
const writtenShare = 0.98;
const warmUpMs = 3_000;
const windowMs = { full: 10_000, quick: 6_000 };
const settleLimitMs = 10_000;
const snapshotLimitMs = 30_000;
const pollMs = 50;
/** Files that the API and the clients have open besides their sockets. */
const spareFiles = 300;

const query = `subscription Follow($jobId: ID!) {
  jobEvents(jobId: $jobId) { __typename cursor sequence occurredAt ... on JobFileAdded { name } }
}`;

interface Step {
  sockets: number;
  writtenPerSecond: number;
  deliveredPerSecond: number;
  latencyMs: { mean: number; p50: number; p99: number; max: number };
  cores: { api: number; postgres: number; clients: number; writer: number; others: number };
  apiBytes: number;
  /** Why it does not count; null when it does. */
  wrong: string | null;
}

/** About 2 minutes; 20 s when quick, which is 2,000 sockets only. */
export async function benchSockets(quick: boolean): Promise<BenchResult> {
  const kind = quick ? 'quick' : 'full';
  const clients = startChild<SocketClients>('./socket-clients.ts');
  const done: Step[] = [];
  /** Why no more sockets were tried, if they could not be. */
  let ended: string | null = null;
  try {
    const stack = await startApiStack();
    try {
      const jobs = await createBusyJobs(stack.db, stack.projectId, Math.max(...steps[kind]));
      let open = 0;
      for (const sockets of steps[kind]) {
        ended = await connect(clients, stack, jobs.slice(open, sockets), sockets);
        if (ended) break;
        open = sockets;
        const step = await measure(clients, stack, jobs.slice(0, sockets), windowMs[kind]);
        done.push(step);
        console.log(`${sockets} sockets: ${step.wrong ?? 'held'}, mean ${step.latencyMs.mean.toFixed(0)} ms`);
        if (step.wrong) break;
      }
    } finally {
      await stack.stop();
    }
  } finally {
    await clients.end();
  }

  const rows = done.map(({ sockets, writtenPerSecond, deliveredPerSecond, latencyMs, cores, apiBytes, wrong }) => [
    ...[sockets, writtenPerSecond.toFixed(0), deliveredPerSecond.toFixed(0)],
    ...[latencyMs.mean, latencyMs.p50, latencyMs.p99].map((ms) => ms.toFixed(0)),
    ...[cores.api, cores.postgres, cores.clients, cores.writer].map((used) => used.toFixed(2)),
    ...[(apiBytes / 1_000_000).toFixed(0), wrong ? 'no' : 'yes'],
  ]);
  const headings = ['sockets', 'written/s', 'delivered/s', 'mean ms', 'p50 ms', 'p99 ms', 'API cores', 'Postgres'];
  console.log(`\n${table([...headings, 'clients', 'writer', 'API MB', 'held'], rows)}`);
  for (const { sockets, wrong } of done) if (wrong) console.log(`${sockets} sockets: ${wrong}`);
  if (ended) console.log(ended);
  const noise = noiseNote(Math.max(0, ...done.map(({ cores }) => cores.others)));
  if (noise) console.log(noise);
  const cores = availableParallelism();
  console.log(
    `\nHeld: no error, every event there once and in order, and less than ${meanLimitMs} ms from event to client in the mean, with API,\nPostgres, writer and clients on the ${cores} cores of this machine.`,
  );
  const best = done.filter(({ wrong }) => wrong === null).at(-1);
  const value = best?.sockets ?? null;
  return {
    ...{ name: 'sockets', value, unit: 'sockets', floor: published, ratio: value === null ? null : value / published },
    ...{ goal: quick ? null : 1, goalIs: 'at least' },
    ok: value !== null && (quick || value >= published),
    details: { best, steps: done, ended, machineCores: cores },
  };
}

/** Opens a socket for each job, `total` then; answers why that could not be, or null. */
async function connect(
  clients: Child<SocketClients>,
  stack: ApiStack,
  jobs: BusyJob[],
  total: number,
): Promise<string | null> {
  const files = openFilesLimit();
  if (total + spareFiles > files) {
    return `${total} sockets were not tried: a process may open ${files} files here. Raise the hard limit (ulimit -Hn).`;
  }
  const subscriptions = jobs.map(({ id }) => ({ query, variables: { jobId: encodeId('Job', id) } }));
  try {
    await clients.ask('connect', { url: stack.socketUrl, token: stack.apiKey, subscriptions });
  } catch (error) {
    return `${total} sockets could not be opened: ${(error as Error).message}`;
  }
  // Each begins with a snapshot.
  for (const endsAt = Date.now() + snapshotLimitMs; (await clients.ask('heard', null)) < total; await sleep(pollMs)) {
    if (Date.now() > endsAt) return `${total} sockets did not all begin within ${snapshotLimitMs / 1000} s.`;
  }
  return null;
}

/** The hard limit: Node raises its own soft limit up to it. */
function openFilesLimit(): number {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
}

async function measure(
  clients: Child<SocketClients>,
  stack: ApiStack,
  jobs: BusyJob[],
  lengthMs: number,
): Promise<Step> {
  const writing = writeEverySecond(stack.db, jobs);
  try {
    await sleep(warmUpMs);
    await clients.ask('begin', null);
    const before = usage();
    await sleep(lengthMs);
    const after = usage();
    await writing.stop();
    const sequences = jobs.map(({ sequence }) => sequence);
    const settled = await clients.ask('settle', { sequences, limitMs: settleLimitMs });
    const report = await clients.ask('report', { from: before.at, to: after.at });
    const { count, first } = await clients.ask('failures', null);
    if (!report.latency) throw new Error('No event occurred while it was measured.');

    const seconds = (after.at - before.at) / 1000;
    const [writtenPerSecond, api, postgres, ofClients, writer, machine] = (
      ['written', 'api', 'postgres', 'clients', 'own', 'machine'] as const
    ).map((of) => (after[of] - before[of]) / seconds) as [number, number, number, number, number, number];
    const others = Math.max(0, machine - api - postgres - ofClients - writer);
    let wrong: string | null = null;
    if (count > 0) wrong = `${count} failures, the first of them: ${first.join(' | ')}`;
    else if (!settled) wrong = `not every event had arrived ${settleLimitMs / 1000} s after the last`;
    else if (writtenPerSecond < writtenShare * jobs.length)
      wrong = `only ${writtenPerSecond.toFixed(0)} events a second could be written`;
    else if (report.latency.mean >= meanLimitMs) wrong = `${report.latency.mean.toFixed(0)} ms in the mean`;
    return {
      ...{ sockets: jobs.length, writtenPerSecond, deliveredPerSecond: report.received / seconds },
      ...{ latencyMs: report.latency, cores: { api, postgres, clients: ofClients, writer, others } },
      ...{ apiBytes: residentBytes(stack.apiPid), wrong },
    };
  } finally {
    await writing.stop();
  }

  function usage() {
    return {
      at: Date.now(),
      written: writing.written,
      api: ownProcessorSeconds(stack.apiPid),
      postgres: processorSeconds([stack.postgresPid]),
      clients: ownProcessorSeconds(clients.pid),
      own: ownProcessorSeconds(process.pid),
      machine: machineSeconds(),
    };
  }
}
