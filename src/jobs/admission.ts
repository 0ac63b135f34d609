/** Which waiting job goes to which machine, in the order in which they are to be served, as far as slots and disks allow. */

/** What a job keeps busy on its machine: those that encode pictures take many times what those take that copy what comes. */
export const pools = ['encode', 'copy'] as const;
export type Pool = (typeof pools)[number];

export interface WaitingJob {
  jobId: string;
  /** Disk space it may need, bytes. */
  expectedBytes: number;
  pool: Pool;
}

export interface Room {
  machineId: string;
  /** How many jobs of each kind it records now. */
  jobs: Record<Pool, number>;
  /** How many more of each it takes. */
  freeSlots: Record<Pool, number>;
  /** What its disk has left beside what its jobs may still write, bytes. */
  freeBytes: number;
  /** What its disk would have if its present jobs were gone, bytes. */
  freeBytesWhenIdle: number;
}

/**
 * Answers where jobs go, given the waiting ones from the first to the last. Each goes to the machine with the fewest of its
 * kind that has a slot and disk space for it. A job of one kind does not wait for those of the other.
 *
 * A job too large for what any disk has left at the moment lets those behind it pass, but not where it can go once the
 * present jobs have ended: the machine that would have the most room takes nobody before it. So small jobs go on wherever
 * there are more machines, the large one waits no longer than for those that record already, and a job too large for every
 * machine holds up nobody until its time in the queue is over.
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
    held: false,
  }));
  const placed: { jobId: string; machineId: string }[] = [];
  const place = ({ jobId, expectedBytes, pool }: WaitingJob, isReserved: boolean): void => {
    if (!open.some(({ held, freeSlots }) => !held && freeSlots[pool] > 0)) return;
    const fitting = open.filter(({ held, freeBytes }) => !held && freeBytes >= expectedBytes);
    const [room] = fitting.filter(({ freeSlots }) => freeSlots[pool] > 0).sort((a, b) => load(a, pool) - load(b, pool));
    if (room) {
      if (!isReserved) placed.push({ jobId, machineId: room.machineId });
      room.jobs[pool] += 1;
      room.freeSlots[pool] -= 1;
      room.freeBytes -= expectedBytes;
    } else if (fitting.length === 0) {
      const [largest] = open
        .filter(({ held, freeBytesWhenIdle }) => !held && freeBytesWhenIdle >= expectedBytes)
        .sort((a, b) => b.freeBytesWhenIdle - a.freeBytesWhenIdle);
      if (largest && !isReserved) largest.held = true;
    }
  };
  for (const job of waiting) if (job.isInterrupted) place(job, false);
  for (const job of reserved) place(job, true);
  for (const job of waiting) if (!job.isInterrupted) place(job, false);
  return placed;
}

/** By its own kind first; of machines with as many, by the other: no machine has 1,000 times as many of it. */
const load = ({ jobs }: Pick<Room, 'jobs'>, pool: Pool): number =>
  jobs[pool] + jobs[pool === 'encode' ? 'copy' : 'encode'] / 1_000;
