/** Faults of the service's own processes and of the servers it stands on: none of them may cost a picture. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessName } from '../../stack/stack.js';
import type { Bed } from '../bed.js';
import { signalAll, treeOf } from '../processes.js';
import type { Row, Trial } from '../row.js';
import { breakWhileRecording, goesOn } from './trial.js';

/** A process is started again after 0.25 s, or more when it died soon after its start, and needs some seconds to be ready. */
export const restartMs = 15_000;
/** A process that was stopped goes on where it was; what waited for it comes after. */
const wakeMs = 10_000;
const limitMs = 150_000;
const hangMs = { quick: 8_000, full: 15_000 };

export async function killAndWait(bed: Bed, name: ProcessName): Promise<void> {
  await bed.stack.kill(name, 'SIGKILL');
  await bed.stack.ready(name);
}

/** Stops a process for a while; Postgres with the processes that serve its clients. */
async function freeze(bed: Bed, name: ProcessName, ms: number): Promise<void> {
  const pid = bed.stack.pid(name);
  // The recorder worker's children are the recorder hosts, which have rows of their own.
  const frozen = name === 'postgres' ? treeOf(pid) : [pid];
  signalAll(frozen, 'SIGSTOP');
  await sleep(ms).finally(() => signalAll(frozen, 'SIGCONT'));
}

/** Kills a process as often as it is started, for a while. */
export async function keepDown(bed: Bed, name: ProcessName, ms: number): Promise<void> {
  for (const until = performance.now() + ms; performance.now() < until; await sleep(50)) {
    try {
      process.kill(bed.stack.pid(name), 'SIGKILL');
    } catch {
      // It is down.
    }
  }
}

const killed = (name: string, process: ProcessName, what: string): Row => ({
  name,
  about: `kill -9 of ${what}; it is started again`,
  promise: () => ({ lostMs: 0, recoveryMs: restartMs }),
  run: (trial) => breakWhileRecording(trial, () => killAndWait(trial.bed, process), goesOn(trial, limitMs)),
});

const frozen = (name: string, process: ProcessName, what: string, msOf: (trial: Trial) => number): Row => ({
  name,
  about: `SIGSTOP of ${what}, then SIGCONT`,
  promise: () => ({ lostMs: 0, recoveryMs: hangMs.full + wakeMs }),
  run: (trial) => breakWhileRecording(trial, () => freeze(trial.bed, process, msOf(trial)), goesOn(trial, limitMs)),
});

const usualHang = ({ quick }: Trial) => (quick ? hangMs.quick : hangMs.full);

/** Long enough for the engine to give the worker up. */
const pastTimeoutMs = ({ machineTimeoutMs }: Bed) => machineTimeoutMs * 1.25 + 2_000;

const outage = (name: string, about: string, msOf: (bed: Bed) => number): Row => ({
  name,
  about,
  // It is tried again at most 10 s after its last death, and then has to be ready.
  promise: (bed) => ({ lostMs: 0, recoveryMs: msOf(bed) + 10_000 + restartMs }),
  run: (trial) =>
    breakWhileRecording(
      trial,
      async () => {
        await keepDown(trial.bed, 'temporal', msOf(trial.bed));
        await trial.bed.stack.ready('temporal');
      },
      goesOn(trial, limitMs),
    ),
});

export const serviceRows: Row[] = [
  killed('worker-kill', 'recorder', 'the recorder worker'),
  {
    ...frozen('worker-hang', 'recorder', 'the recorder worker until the engine has given it up', ({ bed }) =>
      pastTimeoutMs(bed),
    ),
    promise: (bed) => ({ lostMs: 0, recoveryMs: pastTimeoutMs(bed) + wakeMs }),
  },
  killed('jobs-worker-kill', 'jobs', 'the workflow worker'),
  frozen('jobs-worker-hang', 'jobs', 'the workflow worker', usualHang),
  killed('api-kill', 'api', 'the API'),
  frozen('api-hang', 'api', 'the API', usualHang),
  killed('postgres-kill', 'postgres', 'Postgres'),
  frozen('postgres-hang', 'postgres', 'Postgres', usualHang),
  killed('temporal-kill', 'temporal', 'Temporal'),
  frozen('temporal-hang', 'temporal', 'Temporal', usualHang),
  outage('temporal-outage', 'Temporal is down for 15 s', () => 15_000),
  outage(
    'temporal-outage-long',
    'Temporal is down for 90 s, longer than it waits for a recorder; in quick runs 20 s, with that wait at 10 s',
    ({ machineTimeoutMs }) => Math.min(90_000, machineTimeoutMs * 2),
  ),
  {
    name: 'temporal-store-loss',
    about: "Temporal's database file is deleted and Temporal killed: the reconciler starts the job's workflow again",
    // The reconciler looks every minute, and when it starts.
    promise: () => ({ lostMs: 0, recoveryMs: 60_000 + restartMs }),
    run: (trial) =>
      breakWhileRecording(
        trial,
        async () => {
          const { bed, quick } = trial;
          const folder = join(bed.stack.dataDir, 'temporal');
          for (const name of readdirSync(folder)) if (name.includes('.db')) rmSync(join(folder, name));
          await killAndWait(bed, 'temporal');
          // A row that is younger than 5 s may still be being started by the request that made it.
          if (quick) await sleep(5_000).then(() => killAndWait(bed, 'jobs'));
        },
        goesOn(trial, limitMs),
      ),
  },
];
