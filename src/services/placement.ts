/** Which machine records which job, by the rule of src/jobs/admission.ts. */
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import { admit, pools, type Room } from '../jobs/admission.js';
import { terminalStates } from '../jobs/states.js';
import type { Engine } from '../temporal/client.js';
import { readFinalizing, readLaunches, readQueue, readRooms } from './queue.js';

/** Names the lock under which exactly one process in the cluster allocates. */
const allocatorLock = 7_263_001;
export function createPlacement(deps: {
  db: Database;
  engine: Engine;
  config: Pick<Config, 'launchReserveMs'>;
  log: Logger;
}) {
  const { db, engine, config, log } = deps;

  /** Places waiting jobs. The advisory lock keeps two allocators from filling the same slot. */
  async function allocate(): Promise<void> {
    await db.$transaction(async (transaction) => {
      const [lock] = await transaction.$queryRaw<
        { held: boolean }[]
      >`SELECT pg_try_advisory_xact_lock(${allocatorLock}) AS held`;
      if (!lock?.held) return;
      // A job can end between being asked for and being placed; nothing of it may keep a slot.
      await transaction.$executeRaw`
        DELETE FROM placement USING job WHERE job.id = placement.job_id AND job.state::text = ANY(${terminalStates})`;
      const [open, finishing] = [await readRooms(transaction), await readFinalizing(transaction)];
      const isFull = !open.some(({ freeSlots }) => pools.some((pool) => freeSlots[pool] > 0));
      // Who waits is not looked at while there is no place for anybody: there may be very many.
      const waiting = isFull ? [] : await readQueue(transaction);
      if (waiting.length + finishing.length === 0) return;
      const launches = await readLaunches(transaction, config.launchReserveMs);
      // Its files are made of parts that every machine reaches: by its own, if that is back, and it takes up no slot.
      const finalizing = finishing.flatMap(({ jobId, machineId: own }) => {
        const room = open.find(({ machineId }) => machineId === own) ?? emptiest(open);
        return room ? [{ jobId, machineId: room.machineId }] : [];
      });
      const placed = admit(waiting, open, launches);
      for (const { jobId, machineId } of [...finalizing, ...placed]) {
        const data = { machineId, placedAt: new Date(), toldAt: null };
        await transaction.placement.updateMany({ where: { jobId, machineId: null }, data });
      }
    });
  }

  /** Tells the workflows of placed jobs where they go. Told again until it worked, so that a lost message costs a second. */
  async function tell(): Promise<void> {
    const placed = await db.placement.findMany({ where: { machineId: { not: null }, toldAt: null }, take: 100 });
    for (const { jobId, machineId } of placed) {
      if (!machineId) continue;
      try {
        const told = await engine.tellPlaced(jobId, { machineId });
        if (told) await db.placement.updateMany({ where: { jobId, machineId }, data: { toldAt: new Date() } });
      } catch (error) {
        log.warn({ jobId, err: error }, 'a job could not be told its machine, trying again');
      }
    }
  }

  return {
    async run(): Promise<void> {
      await allocate();
      await tell();
    },
    /** Why a job waits for so long, where there is more to say than that all recorders are busy; else undefined. */
    async explainWait(jobId: string): Promise<string | undefined> {
      const job = await db.job.findUniqueOrThrow({ where: { id: jobId }, select: { expectedBytes: true } });
      const live = await readRooms(db);
      const mostBytes = Math.max(0, ...live.map(({ freeBytes }) => freeBytes));
      if (live.length === 0 || mostBytes >= Number(job.expectedBytes)) return undefined;
      const [needed, free] = [Number(job.expectedBytes), mostBytes].map((bytes) => (bytes / 1e9).toFixed(1));
      return (
        `No recorder had room on its disk in time: ${needed} GB may be needed, ${free} GB at most are free beside what other ` +
        'recordings need. Free some space, add recorder workers, or ask for a shorter or smaller recording.'
      );
    },
    /** Queues a job, or queues it again because its machine was lost. Idempotent: a job that was placed anew stays there. */
    async request(jobId: string, lostMachineId?: string): Promise<void> {
      if (lostMachineId !== undefined) {
        const placement = await db.placement.findUnique({ where: { jobId } });
        if (placement?.machineId && placement.machineId !== lostMachineId) return;
        // It gets nothing before it reports itself again; if it was given up too early, that is within seconds.
        await db.machine.updateMany({ where: { id: lostMachineId }, data: { lastSeenAt: new Date(0) } });
      }
      const { launchAt, createdAt } = await db.job.findUniqueOrThrow({ where: { id: jobId } });
      await db.placement.upsert({
        where: { jobId },
        // Whoever was to be launched has waited since it was asked for, and a place was kept for it.
        create: { jobId, ...(launchAt ? { requestedAt: createdAt } : {}) },
        update: { machineId: null, placedAt: null, toldAt: null },
      });
    },
  };
}
export type Placement = ReturnType<typeof createPlacement>;

const emptiest = (rooms: readonly Room[]): Room | undefined =>
  [...rooms].sort((a, b) => a.jobs.encode - b.jobs.encode)[0];
