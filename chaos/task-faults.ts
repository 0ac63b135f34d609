/** Faults under a storm of tasks: processes are killed, and workers drained and followed by new ones, again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from '../src/process-identity.js';
import type { ProcessName, Stack } from '../stack/stack.js';
import type { Bed } from './bed.js';
import type { Chance } from './chance.js';
import { eventually } from './patience.js';
import { signalAll } from './processes.js';

export interface Faults {
  /** Jobs whose recorder host was killed, by their ids. */
  hit: ReadonlySet<string>;
  /** How often each was done. */
  done: ReadonlyMap<Fault, number>;
  /** No more of them; resolves when every process runs again. */
  stop(): Promise<void>;
}

const faults = [
  'host killed',
  'recorder worker killed',
  'recorder worker ended',
  'recorder worker drained',
  'recorder worker handed over',
  'jobs worker killed',
  'API killed',
] as const;
export type Fault = (typeof faults)[number];
/** In each round, in random order. */
const round: readonly Fault[] = [...faults, 'host killed', 'host killed', 'recorder worker killed'];
const pausesMs = { quick: [500, 1_500], full: [1_000, 4_000] } as const;
const drainLimitMs = 10_000;
/** There is none for a while when all that was recorded is made into files. */
const hostLimitMs = 5_000;
const readyLimitMs = 60_000;

const signals: Partial<Record<Fault, NodeJS.Signals>> = {
  'recorder worker killed': 'SIGKILL',
  'recorder worker ended': 'SIGTERM',
  'recorder worker drained': 'SIGQUIT',
  'recorder worker handed over': 'SIGUSR2',
};

/** Begins at once. `recording` tells which jobs may have a host at the moment. */
export function startFaults(options: {
  bed: Bed;
  recorders: readonly Stack[];
  chance: Chance;
  quick: boolean;
  recording: () => Promise<string[]>;
}): Faults {
  const { bed, recorders, chance, quick, recording } = options;
  const [least, most] = quick ? pausesMs.quick : pausesMs.full;
  const hit = new Set<string>();
  const done = new Map<Fault, number>();
  const closing = new AbortController();

  async function killHost(): Promise<void> {
    const host = await eventually('a host', hostLimitMs, async () => hostOf(bed, chance.shuffle(await recording())));
    hit.add(host.jobId);
    signalAll([host.pid], 'SIGKILL');
  }

  async function doOne(fault: Fault): Promise<void> {
    if (fault === 'host killed') return killHost();
    const [stack, name]: [Stack, ProcessName] =
      fault === 'API killed'
        ? [bed.stack, 'api']
        : fault === 'jobs worker killed'
          ? [bed.stack, 'jobs']
          : [chance.pick(recorders), 'recorder'];
    await runs(stack, name);
    const gone = stack.kill(name, signals[fault] ?? 'SIGKILL');
    // Whoever drains stays as long as what it records; other things break meanwhile.
    await Promise.race([gone, sleep(drainLimitMs, undefined, { ref: false })]);
    await runs(stack, name);
  }

  async function run(): Promise<void> {
    let left: Fault[] = [];
    while (!closing.signal.aborted) {
      await sleep(chance.between(least, most), undefined, { signal: closing.signal }).catch(() => {});
      if (closing.signal.aborted) return;
      if (left.length === 0) left = chance.shuffle(round);
      const fault = left.shift() as Fault;
      // There may have been nothing to break.
      await doOne(fault).then(
        () => done.set(fault, (done.get(fault) ?? 0) + 1),
        () => {},
      );
    }
  }
  const running = run();

  return {
    ...{ hit, done },
    async stop() {
      closing.abort();
      await running;
      for (const stack of recorders) await runs(stack, 'recorder');
      for (const name of ['api', 'jobs'] as const) await runs(bed.stack, name);
    },
  };
}

/** Starts every recorder worker again: with its start it sweeps what attempts that were killed had left. */
export async function restartRecorders(recorders: readonly Stack[]): Promise<void> {
  for (const stack of recorders) {
    await stack.kill('recorder', 'SIGTERM');
    await runs(stack, 'recorder');
  }
}

/** The newest host of the first of these jobs that has one that runs. */
function hostOf(bed: Bed, jobIds: readonly string[]): { jobId: string; pid: number } | undefined {
  for (const jobId of jobIds) {
    try {
      const host = bed.traces.hostOf(jobId);
      if (isRunning(host)) return { jobId, pid: host.pid };
    } catch {
      // It has none yet, or none any more.
    }
  }
  return undefined;
}

/** Waits until there is such a process and it is ready, also where it is between two lives. */
async function runs(stack: Stack, name: ProcessName): Promise<void> {
  await eventually(`${name} to run`, readyLimitMs, async () => stack.pid(name));
  await stack.ready(name);
}
