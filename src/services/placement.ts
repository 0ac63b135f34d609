/** Which machine records which job: first in, first out, as long as a machine has a free slot. */
import type { Logger } from 'pino';
import type { Database } from '../db.js';
import { terminalStates } from '../jobs/states.js';
import type { Engine } from '../temporal/client.js';

/** A machine that has not reported itself for this long gets no more jobs; it reports every 5 s. */
export const machineSilenceMs = 15_000;

/** Names the lock under which exactly one process in the cluster allocates. */
const allocatorLock = 7_263_001;

export function createPlacement({ db, engine, log }: { db: Database; engine: Engine; log: Logger }) {
  /**
   * Gives waiting jobs the free slots. One statement, so that a crash leaves no half of it; the advisory lock keeps
   * two allocators from filling the same slot.
   */
  async function allocate(): Promise<number> {
    return db.$transaction(async (transaction) => {
      const [lock] = await transaction.$queryRaw<
        { held: boolean }[]
      >`SELECT pg_try_advisory_xact_lock(${allocatorLock}) AS held`;
      if (!lock?.held) return 0;
      // A job can end between being asked for and being placed; nothing of it may keep a slot.
      await transaction.$executeRaw`
        DELETE FROM placement USING job WHERE job.id = placement.job_id AND job.state::text = ANY(${terminalStates})`;
      const seenAfter = new Date(Date.now() - machineSilenceMs);
      return transaction.$executeRaw`
        WITH slot AS (
          SELECT machine.id, row_number() OVER (ORDER BY used.jobs + number, machine.id) AS turn
            FROM machine
            CROSS JOIN LATERAL (SELECT count(*) AS jobs FROM placement WHERE machine_id = machine.id) used
            CROSS JOIN LATERAL generate_series(1, machine.slots - used.jobs) AS number
           WHERE machine.last_seen_at > ${seenAfter}
        ), waiting AS (
          SELECT job_id, row_number() OVER (ORDER BY requested_at, job_id) AS turn FROM placement WHERE machine_id IS NULL
        )
        UPDATE placement SET machine_id = slot.id, placed_at = now(), told_at = NULL
          FROM waiting JOIN slot USING (turn)
         WHERE placement.job_id = waiting.job_id`;
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
    /** Queues a job (again). Idempotent. */
    async request(jobId: string): Promise<void> {
      await db.placement.upsert({
        where: { jobId },
        create: { jobId },
        update: { machineId: null, placedAt: null, toldAt: null },
      });
    },
  };
}
export type Placement = ReturnType<typeof createPlacement>;
