/** Which waiting job goes to which machine: first in, first out, as far as slots and disks allow. */

export interface WaitingJob {
  jobId: string;
  /** Disk space it may need, bytes. */
  expectedBytes: number;
}

export interface Room {
  machineId: string;
  /** How many jobs it records now. */
  jobs: number;
  /** How many more it takes. */
  freeSlots: number;
  /** What its disk has left beside what its jobs may still write, bytes. */
  freeBytes: number;
  /** What its disk would have if its present jobs were gone, bytes. */
  freeBytesWhenIdle: number;
}

/**
 * Answers where jobs go, given the waiting ones from the first to the last. Each goes to the emptiest machine that has a slot
 * and disk space for it.
 *
 * A job too large for what any disk has left at the moment lets those behind it pass, but not where it can go once the
 * present jobs have ended: the machine that would have the most room takes nobody before it. So small jobs go on wherever
 * there are more machines, the large one waits no longer than for those that record already, and a job too large for every
 * machine holds up nobody until its time in the queue is over.
 */
export function admit(waiting: readonly WaitingJob[], rooms: readonly Room[]): { jobId: string; machineId: string }[] {
  const open = rooms.map((room) => ({ ...room, held: false }));
  const placed: { jobId: string; machineId: string }[] = [];
  for (const { jobId, expectedBytes } of waiting) {
    if (!open.some(({ held, freeSlots }) => !held && freeSlots > 0)) break;
    const fitting = open.filter(({ held, freeBytes }) => !held && freeBytes >= expectedBytes);
    const [room] = fitting.filter(({ freeSlots }) => freeSlots > 0).sort((a, b) => a.jobs - b.jobs);
    if (room) {
      placed.push({ jobId, machineId: room.machineId });
      room.jobs += 1;
      room.freeSlots -= 1;
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
