/** Jobs a second from their request to their end, with a recorder that records nothing, against the bare workflow; and what those cost that wait. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from './child.js';
import type { FloorWorker } from './floor-worker.js';
import { atOnce, type JobsBed, openJobsBed, slots } from './jobs-bed.js';
import { type BenchResult, table } from './result.js';

const goal = 0.6;
const warmUps = 10;
const endLimitMs = 600_000;
const warmWaiting = 1_000;
const waitingJobs = 10_000;
const waitingWindowMs = 20_000;
const settleMs = 10_000;
const waitingGoals = { cores: 0.01, megabytesPerThousand: 5 };

export async function benchJobs(quick: boolean): Promise<BenchResult> {
  const count = quick ? 80 : 1_000;
  const bed = await openJobsBed(endLimitMs);
  const bare = startChild<FloorWorker>('./floor-worker.ts', bed.settings);
  try {
    await bare.ask('run', { count: warmUps, atOnce });
    await bed.recorder.ask('offer', slots);
    await bed.run(warmUps);
    const floorSeconds = await bare.ask('run', { count, atOnce });
    const ours = await bed.run(count);
    const [value, floor] = [count / ours.seconds, count / floorSeconds];
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
    const waiting = quick ? null : await waitingCost(bed);
    if (waiting) {
      console.log(`\n${waitingJobs} jobs that wait cost ${(100 * waiting.cores).toFixed(2)} % of a core`);
      console.log(`and ${waiting.megabytesPerThousand.toFixed(1)} MB for each thousand of them`);
    }
    const isCheap =
      !waiting ||
      (waiting.cores < waitingGoals.cores && waiting.megabytesPerThousand < waitingGoals.megabytesPerThousand);
    return {
      ...{ name: 'jobs', value, floor, unit: 'jobs/s', ratio: value / floor, goal, goalIs: 'at least' },
      ok: value / floor >= goal && isCheap,
      details: { startTaskP99Ms: ours.requestMs[1], endP99Ms: ours.endMs[1], ...(waiting ? { waiting } : {}) },
    };
  } finally {
    await bare.end();
    await bed.close();
  }
}

/** What jobs take that wait for a machine: processor time and memory of all our processes and all servers. */
async function waitingCost(bed: JobsBed): Promise<{ cores: number; idleCores: number; megabytesPerThousand: number }> {
  await bed.recorder.ask('offer', 0);
  // What the first thousand takes is warming up: memory that is used again by the next.
  await bed.ask(warmWaiting);
  const measure = async () => {
    await sleep(settleMs);
    const before = bed.usage();
    await sleep(waitingWindowMs);
    const { seconds, bytes } = bed.usage();
    return { cores: (seconds - before.seconds) / (waitingWindowMs / 1000), bytes };
  };
  const idle = await measure();
  await bed.ask(waitingJobs);
  const queued = await bed.waiting();
  if (queued < warmWaiting + waitingJobs) throw new Error(`Only ${queued} of ${warmWaiting + waitingJobs} jobs wait.`);
  const busy = await measure();
  return {
    ...{ cores: Math.max(0, busy.cores - idle.cores), idleCores: idle.cores },
    megabytesPerThousand: Math.max(0, busy.bytes - idle.bytes) / 1_048_576 / (waitingJobs / 1_000),
  };
}
