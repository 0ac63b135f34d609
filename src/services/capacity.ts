/** What the recorders together can take, what they do, and when those that wait will be served. */
import { batched } from '../batched.js';
import type { Database } from '../db.js';
import type { Capacity, CapacityFeed } from '../events/capacity-feed.js';
import type { LatestSource } from '../events/source.js';
import type { Machine } from '../generated/prisma/client.js';
import { type Pool, pools } from '../jobs/cost.js';
import { expectedStarts } from '../jobs/queue-order.js';
import { type MachineRoom, placesLeft, readRooms } from './machine-rooms.js';
import { machineSilenceMs } from './machines.js';
import { readEnds, readQueue } from './queue.js';

/** Where a job is that waits for a machine. */
export interface QueuePlace {
  /** Among those of its pool, 1 being the next. */
  position: number;
  /** When it begins at the latest, unless somebody goes before it; null: nobody has places for such jobs. */
  expectedStartAt: Date | null;
}

export type WorkerState = 'ONLINE' | 'DRAINING' | 'LOST';

export interface WorkerFacts extends Machine {
  state: WorkerState;
  jobs: Record<Pool, number>;
  /** What is kept for them. */
  reserved: MachineRoom['reserved'];
}

/** Machines that were not heard of for longer are not told of any more. */
const shownMs = 24 * 3_600_000;
/** A place in the queue is looked for among so many of each project; who is behind them waits for long. */
const mostOfEach = 20_000;

export function createCapacity({ db, feed }: { db: Database; feed: CapacityFeed }) {
  async function places(): Promise<Map<string, QueuePlace>> {
    const [queue, rooms, ends] = [await readQueue(db, pools, mostOfEach), await readRooms(db), await readEnds(db)];
    const now = Date.now();
    const found = new Map<string, QueuePlace>();
    for (const pool of pools) {
      const waiting = queue.filter((each) => each.pool === pool);
      const free = rooms.reduce((sum, room) => sum + placesLeft(room, pool), 0);
      const own = ends.filter((each) => each.pool === pool).map(({ endsAt }) => endsAt);
      const starts = expectedStarts(waiting, { free, ends: own, now });
      for (const [index, { jobId }] of waiting.entries()) {
        const start = starts[index];
        found.set(jobId, { position: index + 1, expectedStartAt: start == null ? null : new Date(start) });
      }
    }
    return found;
  }

  return {
    /** Null for a job that does not wait for a machine. Asked of many jobs at once, one reading. */
    placeOf: batched((_ids): Promise<ReadonlyMap<string, QueuePlace>> => places()),

    now: (): Promise<Capacity> => feed.read(),

    /** Capacity now, then every second in which it has changed; never ends. */
    follow: (): LatestSource => ({ kind: 'latest', intervalMs: 1_000, follow: feed.follow }),

    /** By their ids. One that was drained and has gone is none any more. */
    async workers(): Promise<WorkerFacts[]> {
      const machines = await db.machine.findMany({
        where: { lastSeenAt: { gt: new Date(Date.now() - shownMs) } },
        orderBy: { id: 'asc' },
      });
      const rooms = new Map((await readRooms(db)).map((room) => [room.machineId, room]));
      const kept = new Set(await machinesInUse(db));
      return machines.flatMap((machine): WorkerFacts[] => {
        const isLost = Date.now() - machine.lastSeenAt.getTime() > machineSilenceMs;
        if (isLost && machine.isDraining && !kept.has(machine.id)) return [];
        return [
          {
            ...machine,
            state: isLost ? 'LOST' : machine.isDraining ? 'DRAINING' : 'ONLINE',
            jobs: rooms.get(machine.id)?.jobs ?? { encode: 0, copy: 0 },
            reserved: rooms.get(machine.id)?.reserved ?? { cores: 0, memoryBytes: 0 },
          },
        ];
      });
    },
  };
}

/** Ids of machines that jobs are placed on, or whose files are being made there. */
async function machinesInUse(db: Database): Promise<string[]> {
  const [placements, finalizing] = await Promise.all([
    db.placement.findMany({ where: { machineId: { not: null } }, distinct: 'machineId', select: { machineId: true } }),
    db.job.findMany({ where: { state: 'FINALIZING' }, distinct: 'machineId', select: { machineId: true } }),
  ]);
  return [...placements, ...finalizing].flatMap(({ machineId }) => machineId ?? []);
}
