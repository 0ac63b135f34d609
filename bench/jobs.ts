/** Jobs a second from their request to their end, with a recorder that records nothing, against the bare workflow; and what those cost that wait. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createDatabase, type Database } from '../src/db.js';
import { isolatedConfig, temporaryDataFolder } from '../stack/isolated.js';
import { startStack } from '../stack/stack.js';
import { startChild } from './child.js';
import type { FloorWorker } from './floor-worker.js';
import { inTurns } from './in-turns.js';
import type { NullRecorder } from './null-recorder.js';
import { processorSeconds, proportionalBytes } from './process-tree.js';
import { type BenchResult, percentile, table } from './result.js';

const goal = 0.6;
const atOnce = 20;
const slots = 100;
const warmUps = 10;
const lookMs = 50;
const endLimitMs = 600_000;
const waitingWindowMs = 20_000;
const settleMs = 10_000;
const waitingGoals = { coreShare: 0.01, megabytesPerThousand: 5 };

const start = `mutation($input: StartTaskInput!) { startTask(input: $input) { __typename ... on StartTaskPayload { taskId } ... on Error { message } } }`;

type Stack = Awaited<ReturnType<typeof startStack>>;

export async function benchJobs(quick: boolean): Promise<BenchResult> {
  const count = quick ? 80 : 1_000;
  const { dataDir, remove } = temporaryDataFolder();
  const stack = await startStack({
    config: isolatedConfig(dataDir),
    services: ['api', 'jobs'],
    settings: { TASK_QUEUE_TIMEOUT_SECONDS: '86400' },
    log: () => {},
  });
  const db = createDatabase(stack.databaseUrl, 2);
  const env = { DATABASE_URL: stack.databaseUrl, TEMPORAL_ADDRESS: stack.temporalAddress, DATA_DIR: dataDir };
  Object.assign(process.env, env);
  const recorder = startChild<NullRecorder>('./null-recorder.ts');
  const bare = startChild<FloorWorker>('./floor-worker.ts');
  try {
    await bare.ask('run', { count: warmUps, atOnce });
    await recorder.ask('offer', slots);
    await runTasks(stack, db, warmUps);
    const floorSeconds = await bare.ask('run', { count, atOnce });
    const ours = await runTasks(stack, db, count);
    const [value, floor] = [count / ours.seconds, count / floorSeconds];
    const waiting = quick ? null : await waitingCost(stack, db, recorder, 10_000);
    console.log(`${count} jobs, ${atOnce} requested at once\n`);
    console.log(
      table(
        ['', 'jobs/s', 'startTask p50 ms', 'p99 ms', 'to its end p50 ms', 'p99 ms'],
        [
          ['Tapedeck', value.toFixed(1), ...ours.requestMs.map(Math.round), ...ours.endMs.map(Math.round)],
          ['bare workflow', floor.toFixed(1), '', '', '', ''],
        ],
      ),
    );
    if (waiting) {
      console.log(`\n${waiting.jobs} jobs that wait cost ${(100 * waiting.cores).toFixed(2)} % of a core`);
      console.log(`and ${waiting.megabytesPerThousand.toFixed(1)} MB for each thousand of them`);
    }
    const isCheap =
      !waiting ||
      (waiting.cores < waitingGoals.coreShare && waiting.megabytesPerThousand < waitingGoals.megabytesPerThousand);
    return {
      ...{ name: 'jobs', value, floor, unit: 'jobs/s', ratio: value / floor, goal, goalIs: 'at least' },
      ok: value / floor >= goal && isCheap,
      details: { startTaskP99Ms: ours.requestMs[1], endP99Ms: ours.endMs[1], ...(waiting ? { waiting } : {}) },
    };
  } finally {
    await Promise.all([recorder.end(), bare.end()]);
    await db.$disconnect();
    await stack.stop();
    remove();
  }
}

async function startTask({ url, apiKey }: Stack): Promise<string> {
  const input = { requestId: crypto.randomUUID(), payload: { layout: 'FREESTYLE', url: 'http://127.0.0.1/' } };
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ query: start, variables: { input } }),
  });
  const { data } = (await answer.json()) as { data?: { startTask: { taskId?: string; message?: string } } };
  if (!data?.startTask.taskId) throw new Error(`A task was not started: ${JSON.stringify(data ?? answer.status)}`);
  return data.startTask.taskId;
}

/** Each pair is the median and the 99th percentile, milliseconds. */
async function runTasks(stack: Stack, db: Database, count: number) {
  const since = new Date();
  const startedAt = performance.now();
  const requests = await inTurns(count, atOnce, async () => {
    const askedAt = performance.now();
    await startTask(stack);
    return performance.now() - askedAt;
  });
  const mine = { createdAt: { gte: since }, kind: 'TASK' as const };
  while ((await db.job.count({ where: { ...mine, endedAt: { not: null } } })) < count) {
    if (performance.now() - startedAt > endLimitMs) throw new Error('Not all jobs ended in time.');
    await sleep(lookMs);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const jobs = await db.job.findMany({ where: mine, select: { state: true, createdAt: true, endedAt: true } });
  const odd = jobs.filter(({ state }) => state !== 'COMPLETE');
  if (jobs.length !== count || odd.length > 0)
    throw new Error(`${odd.length} of ${jobs.length} jobs ended as ${odd[0]?.state}, expected ${count} COMPLETE.`);
  const ends = jobs.map(({ createdAt, endedAt }) => (endedAt?.getTime() ?? 0) - createdAt.getTime());
  const pair = (values: number[]): [number, number] => [percentile(values, 0.5), percentile(values, 0.99)];
  return { seconds, requestMs: pair(requests), endMs: pair(ends) };
}

/** What jobs take that wait for a machine: processor time and memory of all our processes and all servers. */
async function waitingCost(
  stack: Stack,
  db: Database,
  recorder: { ask(name: 'offer', slots: number): Promise<void> },
  jobs: number,
) {
  const pids = (['api', 'jobs', 'postgres', 'temporal'] as const).map((name) => stack.pid(name));
  await recorder.ask('offer', 0);
  const measure = async () => {
    await sleep(settleMs);
    const before = processorSeconds(pids);
    await sleep(waitingWindowMs);
    const cores = (processorSeconds(pids) - before) / (waitingWindowMs / 1000);
    return { cores, bytes: proportionalBytes(pids) };
  };
  const idle = await measure();
  await inTurns(jobs, atOnce, () => startTask(stack));
  const queued = await db.placement.count({ where: { machineId: null } });
  if (queued < jobs) throw new Error(`Only ${queued} of ${jobs} jobs wait.`);
  const busy = await measure();
  return {
    ...{ jobs, cores: Math.max(0, busy.cores - idle.cores), idleCores: idle.cores },
    megabytesPerThousand: Math.max(0, busy.bytes - idle.bytes) / 1_048_576 / (jobs / 1_000),
  };
}
