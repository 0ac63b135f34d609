/** Which waiting job goes to which machine: first in, first out, as far as slots and disks allow. */

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
 */
export function admit(waiting: readonly WaitingJob[], rooms: readonly Room[]): { jobId: string; machineId: string }[] {
  const open = rooms.map((room) => ({
    ...room,
    jobs: { ...room.jobs },
    freeSlots: { ...room.freeSlots },
    held: false,
  }));
  const placed: { jobId: string; machineId: string }[] = [];
  for (const { jobId, expectedBytes, pool } of waiting) {
    if (!open.some(({ held, freeSlots }) => !held && freeSlots[pool] > 0)) continue;
    const fitting = open.filter(({ held, freeBytes }) => !held && freeBytes >= expectedBytes);
    const [room] = fitting.filter(({ freeSlots }) => freeSlots[pool] > 0).sort((a, b) => load(a, pool) - load(b, pool));
    if (room) {
      placed.push({ jobId, machineId: room.machineId });
      room.jobs[pool] += 1;
      room.freeSlots[pool] -= 1;
      room.freeBytes -= expectedBytes;
    } else if (fitting.length === 0) {
      const [largest] = open
        .filter(({ held, freeBytesWhenIdle }) => !held && freeBytesWhenIdle >= expectedBytes)
        .sort((a, b) => b.freeBytesWhenIdle - a.freeBytesWhenIdle);
      if (largest) largest.held = true;
    }
  }
  return placed;
}

/** By its own kind first; of machines with as many, by the other: no machine has 1,000 times as many of it. */
const load = ({ jobs }: Pick<Room, 'jobs'>, pool: Pool): number =>
  jobs[pool] + jobs[pool === 'encode' ? 'copy' : 'encode'] / 1_000;
