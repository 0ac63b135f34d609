/** The API, the jobs worker, Postgres and Temporal, with a recorder that records nothing: what jobs cost but for recording. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createDatabase, type Database } from '../src/db.js';
import { isolatedConfig, temporaryDataFolder } from '../stack/isolated.js';
import { startStack } from '../stack/stack.js';
import { type Child, startChild } from './child.js';
import { inTurns } from './in-turns.js';
import type { NullRecorder } from './null-recorder.js';
import { processorSeconds, proportionalBytes } from './process-tree.js';
import { percentile } from './result.js';

/** Clients that ask for jobs at once, each for the next when it has its answer. */
export const atOnce = 20;
export const slots = 100;
const lookMs = 50;

const start = `mutation($input: StartTaskInput!) { startTask(input: $input) { __typename ... on StartTaskPayload { taskId } ... on Error { message } } }`;

/** Median and 99th percentile, milliseconds. */
export type Times = [median: number, late: number];

export interface Run {
  seconds: number;
  requestMs: Times;
  /** From the request to the last state. */
  endMs: Times;
  /** Processor milliseconds of each process for a job. */
  cpuMs: Record<string, number>;
}

export interface JobsBed {
  /** With which other processes reach the same servers. */
  settings: Parameters<typeof startChild>[1];
  recorder: Child<NullRecorder>;
  /** Starts so many tasks, and waits until all are over. Throws when one ends otherwise than COMPLETE. */
  run(count: number): Promise<Run>;
  /** Starts so many tasks, and does not wait for them. */
  ask(count: number): Promise<void>;
  /** How many wait for a machine. */
  waiting(): Promise<number>;
  /** Processor seconds and memory of all processes but the recorder. */
  usage(): { seconds: number; bytes: number };
  close(): Promise<void>;
}

/** `endLimitMs`: of a run. */
export async function openJobsBed(endLimitMs: number): Promise<JobsBed> {
  const { dataDir, remove } = temporaryDataFolder();
  const stack = await startStack({
    config: isolatedConfig(dataDir),
    services: ['api', 'jobs'],
    settings: {
      TASK_QUEUE_TIMEOUT_SECONDS: '86400',
      // Node leaves garbage lying about for as long as it is allowed to: what is kept is what is measured.
      NODE_OPTIONS: '--max-old-space-size=192',
    },
    log: () => {},
  });
  const db = createDatabase(stack.databaseUrl, 2);
  const settings = { DATABASE_URL: stack.databaseUrl, TEMPORAL_ADDRESS: stack.temporalAddress, DATA_DIR: dataDir };
  const recorder = startChild<NullRecorder>('./null-recorder.ts', settings);
  const names = ['api', 'jobs', 'postgres', 'temporal'] as const;
  const pids = Object.fromEntries(names.map((name) => [name, stack.pid(name)]));

  async function startTask(): Promise<void> {
    const input = { requestId: crypto.randomUUID(), payload: { layout: 'FREESTYLE', url: 'http://127.0.0.1/' } };
    const answer = await fetch(`${stack.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${stack.apiKey}` },
      body: JSON.stringify({ query: start, variables: { input } }),
    });
    const { data } = (await answer.json()) as { data?: { startTask: { taskId?: string } } };
    if (!data?.startTask.taskId) throw new Error(`A task was not started: ${JSON.stringify(data ?? answer.status)}`);
  }
  const timed = async (): Promise<number> => {
    const askedAt = performance.now();
    await startTask();
    return performance.now() - askedAt;
  };
  const all = { ...pids, 'null recorder': recorder.pid };
  const processorMs = () =>
    Object.fromEntries(Object.entries(all).map(([name, pid]) => [name, 1_000 * processorSeconds([pid])]));

  return {
    ...{ recorder, settings },
    async run(count) {
      const since = new Date();
      const [startedAt, before] = [performance.now(), processorMs()];
      const requests = await inTurns(count, atOnce, timed);
      const mine = { createdAt: { gte: since }, kind: 'TASK' as const };
      while ((await db.job.count({ where: { ...mine, endedAt: { not: null } } })) < count) {
        if (performance.now() - startedAt > endLimitMs) throw new Error(`Not all of ${count} jobs ended in time.`);
        await sleep(lookMs);
      }
      const [seconds, after] = [(performance.now() - startedAt) / 1000, processorMs()];
      return {
        ...{ seconds, requestMs: timesOf(requests), endMs: timesOf(await endsOf(db, mine, count)) },
        cpuMs: Object.fromEntries(
          Object.keys(all).map((name) => [name, ((after[name] ?? 0) - (before[name] ?? 0)) / count]),
        ),
      };
    },
    async ask(count) {
      await inTurns(count, atOnce, startTask);
    },
    waiting: () => db.placement.count({ where: { machineId: null } }),
    usage: () => ({ seconds: processorSeconds(Object.values(pids)), bytes: proportionalBytes(Object.values(pids)) }),
    async close() {
      await recorder.end();
      await db.$disconnect();
      await stack.stop();
      remove();
    },
  };
}

const timesOf = (values: number[]): Times => [percentile(values, 0.5), percentile(values, 0.99)];

async function endsOf(db: Database, where: { createdAt: { gte: Date }; kind: 'TASK' }, count: number) {
  const jobs = await db.job.findMany({ where, select: { state: true, createdAt: true, endedAt: true } });
  const odd = jobs.filter(({ state }) => state !== 'COMPLETE');
  if (jobs.length !== count || odd.length > 0)
    throw new Error(`${odd.length} of ${jobs.length} jobs ended as ${odd[0]?.state}, expected ${count} COMPLETE.`);
  return jobs.map(({ createdAt, endedAt }) => (endedAt?.getTime() ?? 0) - createdAt.getTime());
}
