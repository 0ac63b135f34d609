/** Which waiting job goes to which machine, in the order in which they are to be served, as far as there is room for what they take. */
import type { Cost, Pool } from './cost.js';

export interface WaitingJob extends Cost {
  jobId: string;
  /** Disk space it may need, bytes. */
  diskBytes: number;
}

/** What a machine has of what jobs take. */
export interface Amounts {
  /** Processors for the jobs of each pool. */
  cores: Record<Pool, number>;
  memoryBytes: number;
  displays: number;
  diskBytes: number;
}

export interface Room {
  machineId: string;
  /** How many jobs of each pool it records now. */
  jobs: Record<Pool, number>;
  /** How many more of each it takes. */
  freeSlots: Record<Pool, number>;
  /** What it has left beside what its jobs take, and may still. */
  free: Amounts;
  /** What it would have if its present jobs were gone. */
  whenIdle: Amounts;
}

/**
 * Answers where jobs go, given the waiting ones from the first to the last. Each goes to the machine with the fewest of its
 * pool that has a slot, and all it takes. A job of one pool does not wait for those of the other. Whatever it takes is
 * reserved before it begins; what records already is never ended for it.
 *
 * A job too large for what any machine has left at the moment lets those behind it pass, but not where it can go once the
 * present jobs have ended: the machine that would have the most room takes nobody of its pool before it, and where it is the
 * disk that is too small, nobody at all. So small jobs go on wherever there are more machines, the large one waits no longer
 * than for those that record already, and a job too large for every machine's disk holds up nobody until its time in the
 * queue is over. One that wants more processors or memory than any machine has gets one of its own.
 *
 * `reserved` are to launch soon: what they will take is kept free where it is, but from nobody who was interrupted.
 */
export function admit(
  waiting: readonly (WaitingJob & { isInterrupted?: boolean })[],
  rooms: readonly Room[],
  reserved: readonly WaitingJob[] = [],
): { jobId: string; machineId: string }[] {
  const open = rooms.map((room) => ({
    ...room,
    jobs: { ...room.jobs },
    freeSlots: { ...room.freeSlots },
    free: { ...room.free, cores: { ...room.free.cores } },
    held: new Set<Pool>(),
  }));
  const placed: { jobId: string; machineId: string }[] = [];
  const place = (job: WaitingJob, isReserved: boolean): void => {
    const { jobId, pool } = job;
    const unheld = open.filter(({ held }) => !held.has(pool));
    if (!unheld.some(({ freeSlots }) => freeSlots[pool] > 0)) return;
    const fitting = unheld.filter(({ free, whenIdle }) => !lacks(job, free, whenIdle));
    const [room] = fitting.filter(({ freeSlots }) => freeSlots[pool] > 0).sort((a, b) => load(a, pool) - load(b, pool));
    if (room) {
      if (!isReserved) placed.push({ jobId, machineId: room.machineId });
      room.jobs[pool] += 1;
      room.freeSlots[pool] -= 1;
      take(job, room.free);
    } else if (fitting.length === 0 && !isReserved) {
      const [largest] = unheld
        .filter(({ whenIdle }) => !lacks(job, whenIdle, whenIdle))
        .sort((a, b) => b.whenIdle.diskBytes - a.whenIdle.diskBytes);
      largest?.held.add(pool);
      if (largest && lacks(job, largest.free, largest.whenIdle) === 'diskBytes') largest.held.add('encode').add('copy');
    }
  };
  for (const job of waiting) if (job.isInterrupted) place(job, false);
  for (const job of reserved) place(job, true);
  for (const job of waiting) if (!job.isInterrupted) place(job, false);
  return placed;
}

/** Sums of fractions of processors are not exact. */
export const tolerance = 1e-6;

/** What there is too little of for a job; null when it fits. Of processors and memory it takes no more than there would ever be. */
export function lacks(job: WaitingJob, free: Amounts, whenIdle: Amounts): keyof Amounts | null {
  if (job.diskBytes > free.diskBytes) return 'diskBytes';
  if (job.displays > free.displays) return 'displays';
  if (Math.min(job.memoryBytes, whenIdle.memoryBytes) > free.memoryBytes) return 'memoryBytes';
  if (Math.min(job.cores, whenIdle.cores[job.pool]) > free.cores[job.pool] + tolerance) return 'cores';
  return null;
}

function take({ pool, cores, memoryBytes, displays, diskBytes }: WaitingJob, free: Amounts): void {
  free.cores[pool] -= cores;
  free.memoryBytes -= memoryBytes;
  free.displays -= displays;
  free.diskBytes -= diskBytes;
}

/** By its own pool first; of machines with as many, by the other: no machine has 1,000 times as many of it. */
const load = ({ jobs }: Pick<Room, 'jobs'>, pool: Pool): number =>
  jobs[pool] + jobs[pool === 'encode' ? 'copy' : 'encode'] / 1_000;
