/** Which machine records which job, by the rule of src/jobs/admission.ts, and what becomes of those that wait in vain. */
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import { eventsChannel, type Wake } from '../events/outbox.js';
import { admit, type Room } from '../jobs/admission.js';
import { pools } from '../jobs/cost.js';
import { isTerminal } from '../jobs/states.js';
import type { Engine } from '../temporal/client.js';
import { resumingInput } from './job-input.js';
import { explainWait, readRooms } from './machine-rooms.js';
import { machineSilenceMs } from './machines.js';
import { readFinalizing, readLaunches, readQueue } from './queue.js';
import type { Transitions } from './transitions.js';

/** Names the lock under which exactly one process in the cluster allocates. */
const allocatorLock = 7_263_001;
const toldAtOnce = 16;
/** Those that are given up, or told their machine, in one turn; the next one follows. */
const mostInTurn = 500;

export type Placement = ReturnType<typeof createPlacement>;

export function createPlacement(deps: {
  db: Database;
  wake: Wake;
  engine: Engine;
  transitions: Transitions;
  config: Config;
  log: Logger;
}) {
  const { db, wake, engine, transitions, config, log } = deps;

  /** Gives up who has waited for too long, and has no workflow yet that would. */
  async function expire(): Promise<void> {
    const late = await db.job.findMany({
      where: { state: 'QUEUED', deadlineAt: { lt: new Date() }, placement: { machineId: null } },
      select: { id: true, stopAt: true },
      take: mostInTurn,
    });
    for (const { id: jobId, stopAt } of late) {
      // Who is to stop at a certain time waits until then.
      const reason = stopAt ? 'WINDOW_ENDED' : 'QUEUE_TIMEOUT';
      const message = stopAt ? undefined : await explainWait(db, jobId);
      await db.$transaction(async (transaction) => {
        // In the order in which a transition locks. Whoever was placed meanwhile goes.
        await transaction.$queryRaw`SELECT FROM job WHERE id = ${jobId}::uuid FOR UPDATE`;
        const waiting = await transaction.$queryRaw<unknown[]>`
          SELECT FROM placement WHERE job_id = ${jobId}::uuid AND machine_id IS NULL FOR UPDATE`;
        if (waiting.length > 0)
          await transitions.enter(transaction, {
            ...{ jobId, to: 'EXPIRED', from: ['QUEUED'], reason },
            ...(message === undefined ? {} : { message }),
          });
      });
    }
    if (late.length > 0) wake(eventsChannel);
  }

  /** Places waiting jobs. The advisory lock keeps two allocators from filling the same slot. */
  async function allocate(): Promise<void> {
    await db.$transaction(async (transaction) => {
      const [lock] = await transaction.$queryRaw<
        { held: boolean }[]
      >`SELECT pg_try_advisory_xact_lock(${allocatorLock}) AS held`;
      if (!lock?.held) return;
      const [open, finishing] = [await readRooms(transaction), await readFinalizing(transaction)];
      // Who waits is not looked at while there is no place for such: there may be very many.
      const free = pools.filter((pool) => open.some(({ freeSlots }) => freeSlots[pool] > 0));
      const waiting = free.length === 0 ? [] : await readQueue(transaction, free);
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

  /**
   * Tells the workflows of placed jobs where they go; one that only waited so far is started with that. Told again until it
   * worked, so that a lost message costs a second.
   */
  async function tell(): Promise<void> {
    const placed = await db.placement.findMany({
      where: { machineId: { not: null }, toldAt: null },
      include: { job: true },
      orderBy: { placedAt: 'asc' },
      take: mostInTurn,
    });
    const tellOne = async ({ jobId, machineId, job }: (typeof placed)[number]): Promise<boolean> => {
      if (!machineId) return true;
      try {
        if (job.state === 'QUEUED')
          await engine.startPlaced(resumingInput({ ...job, machineId }, config), { machineId });
        else if (!(await engine.tellPlaced(jobId, { machineId }))) return true;
        await db.placement.updateMany({ where: { jobId, machineId }, data: { toldAt: new Date() } });
        return true;
      } catch (error) {
        log.warn({ jobId, err: error }, 'a job could not be told its machine, trying again');
        return false;
      }
    };
    while (placed.length > 0) {
      const told = await Promise.all(placed.splice(0, toldAtOnce).map(tellOne));
      // The engine is away: places are looked for meanwhile.
      if (!told.includes(true)) return;
    }
  }

  return {
    async run(): Promise<void> {
      await expire();
      await allocate();
      await tell();
    },
    /** Queues a job, or queues it again because its machine was lost. Idempotent: a job that was placed anew stays there. */
    async request(jobId: string, lostMachineId?: string): Promise<void> {
      if (lostMachineId !== undefined) {
        const placement = await db.placement.findUnique({ where: { jobId } });
        if (placement?.machineId && placement.machineId !== lostMachineId) return;
        // It gets nothing before it reports itself again; if it was given up too early, that is within seconds.
        const silentSince = new Date(Date.now() - machineSilenceMs);
        await db.machine.updateMany({
          where: { id: lostMachineId, lastSeenAt: { gt: silentSince } },
          data: { lastSeenAt: silentSince },
        });
      }
      await db.$transaction(async (transaction) => {
        await transaction.$queryRaw`SELECT FROM job WHERE id = ${jobId}::uuid FOR UPDATE`;
        const { launchAt, createdAt, state } = await transaction.job.findUniqueOrThrow({ where: { id: jobId } });
        // It may have ended since it was asked for; nothing of it may keep a slot.
        if (isTerminal(state)) return;
        await transaction.placement.upsert({
          where: { jobId },
          // Whoever was to be launched has waited since it was asked for, and a place was kept for it.
          create: { jobId, ...(launchAt ? { requestedAt: createdAt } : {}) },
          update: { machineId: null, placedAt: null, toldAt: null },
        });
      });
    },
  };
}

const emptiest = (rooms: readonly Room[]): Room | undefined =>
  [...rooms].sort((a, b) => a.jobs.encode - b.jobs.encode)[0];
