/** The capacity of all recorders together, read once a second while somebody follows it. */
import type { Logger } from 'pino';
import type { Database } from '../db.js';
import { Prisma } from '../generated/prisma/client.js';
import { type Pool, pools } from '../jobs/cost.js';
import { placesLeft, readRooms } from '../services/machine-rooms.js';
import { createLatestValues, type Follow } from './latest-values.js';

export interface PoolCapacity {
  pool: Pool;
  /** Places of all recorders that are there. */
  slots: number;
  used: number;
  /** Fewer than the rest where a job takes more than one place is meant for. */
  free: number;
  /** Jobs that wait for one. */
  waiting: number;
}

export interface Capacity {
  at: Date;
  /** Recorders that are there and take jobs. */
  workers: number;
  pools: PoolCapacity[];
  /** Jobs that wait, of both pools. */
  queueLength: number;
  /** Scheduled jobs that were not launched yet. */
  scheduled: number;
}

export interface CapacityFeed {
  read(): Promise<Capacity>;
  follow: Follow<Capacity>;
  close(): Promise<void>;
}

export function createCapacityFeed({ db, log }: { db: Database; log: Logger }): CapacityFeed {
  async function read(): Promise<Capacity> {
    const [rooms, waiting] = await Promise.all([readRooms(db), readWaiting(db)]);
    const scheduled = await db.job.count({ where: { state: 'SCHEDULED' } });
    const figures = pools.map((pool) => {
      const sum = (of: (room: (typeof rooms)[number]) => number) => rooms.reduce((total, room) => total + of(room), 0);
      return {
        pool,
        slots: sum(({ slots }) => slots[pool]),
        used: sum(({ jobs }) => jobs[pool]),
        free: sum((room) => placesLeft(room, pool)),
        waiting: waiting.get(pool) ?? 0,
      };
    });
    return {
      ...{ at: new Date(), pools: figures, scheduled },
      workers: rooms.filter(({ slots }) => slots.encode + slots.copy > 0).length,
      queueLength: figures.reduce((sum, each) => sum + each.waiting, 0),
    };
  }

  const values = createLatestValues<'all', Capacity>({
    what: 'the capacity of recorders',
    keyOf: (all) => all,
    async read(asked) {
      const value = await read();
      return asked.map(({ latest }) => (latest && isSame(latest, value) ? undefined : { value }));
    },
    log,
  });
  return { read, follow: values.follow('all'), close: () => values.close() };
}

const isSame = (told: Capacity, now: Capacity): boolean =>
  JSON.stringify({ ...told, at: null }) === JSON.stringify({ ...now, at: null });

async function readWaiting(db: Database): Promise<Map<Pool, number>> {
  const rows = await db.$queryRaw<{ pool: Pool; count: bigint }[]>(Prisma.sql`
    SELECT job.pool, count(*) AS count FROM placement JOIN job ON job.id = placement.job_id
     WHERE placement.machine_id IS NULL AND job.state <> 'FINALIZING' GROUP BY 1`);
  return new Map(rows.map(({ pool, count }) => [pool, Number(count)]));
}
