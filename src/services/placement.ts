/** Which machine records which job, by the rule of src/jobs/admission.ts. */
import type { Logger } from 'pino';
import type { Database, Transaction } from '../db.js';
import { Prisma } from '../generated/prisma/client.js';
import { admit, type Pool, type Room } from '../jobs/admission.js';
import { terminalStates } from '../jobs/states.js';
import type { Engine } from '../temporal/client.js';
import { machineSilenceMs } from './machines.js';

/** Names the lock under which exactly one process in the cluster allocates. */
const allocatorLock = 7_263_001;
/** What a job of the table `job` keeps busy: only a stream whose picture is not encoded takes little. */
const poolOfJob = Prisma.sql`
  CASE WHEN job.source->>'kind' = 'stream' AND coalesce(job.source#>>'{recording,video,mode}', '') <> 'TRANSCODE'
       THEN 'copy' ELSE 'encode' END`;
/** Looked at in one turn; a turn comes every second. */
const waitingLimit = 2_000;

/**
 * Whether another run of the recording of a job of the table `job` still has a place where it records, or is newer: there are
 * never two at once. One whose files are made records no more.
 */
const isPreceded = Prisma.sql`
  EXISTS (SELECT FROM job AS other JOIN placement AS place ON place.job_id = other.id
           WHERE other.recording_id = job.recording_id AND other.id <> job.id AND other.state <> 'FINALIZING'
             AND (place.machine_id IS NOT NULL OR other.id > job.id))`;

interface WaitingRow {
  job_id: string;
  state: string;
  machine_id: string | null;
  expected_bytes: bigint;
  pool: Pool;
}

export function createPlacement({ db, engine, log }: { db: Database; engine: Engine; log: Logger }) {
  /**
   * What each live machine has left. A job will still write what it is expected to and has not yet; one that is being
   * finalized, a result as large as its parts.
   */
  async function rooms(transaction: Transaction): Promise<Room[]> {
    const seenAfter = new Date(Date.now() - machineSilenceMs);
    const rows = await transaction.$queryRaw<
      {
        id: string;
        slots: number;
        copy_slots: number;
        free: bigint | null;
        encoding: bigint;
        copying: bigint;
        reserved: bigint;
        written: bigint;
      }[]
    >`
      SELECT machine.id, machine.slots, machine.copy_slots, machine.free_bytes AS free, used.encoding, used.copying,
             (used.unwritten + finalizing.bytes)::bigint AS reserved, (used.written + finalizing.bytes)::bigint AS written
        FROM machine
        CROSS JOIN LATERAL (
          SELECT count(*) FILTER (WHERE job.state <> 'FINALIZING' AND ${poolOfJob} = 'encode') AS encoding,
                 count(*) FILTER (WHERE job.state <> 'FINALIZING' AND ${poolOfJob} = 'copy') AS copying,
                 coalesce(sum(coalesce(job_stats.bytes, 0)), 0) AS written,
                 coalesce(sum(greatest(0, job.expected_bytes - coalesce(job_stats.bytes, 0))), 0) AS unwritten
            FROM placement JOIN job ON job.id = placement.job_id LEFT JOIN job_stats USING (job_id)
           WHERE placement.machine_id = machine.id) used
        CROSS JOIN LATERAL (
          SELECT coalesce(sum(job_stats.bytes), 0) AS bytes FROM job JOIN job_stats ON job_stats.job_id = job.id
           WHERE job.machine_id = machine.id AND job.state = 'FINALIZING') finalizing
       WHERE machine.last_seen_at > ${seenAfter}
       ORDER BY machine.id`;
    return rows.map(({ id, slots, copy_slots, free, encoding, copying, reserved, written }) => ({
      machineId: id,
      jobs: { encode: Number(encoding), copy: Number(copying) },
      freeSlots: {
        encode: Math.max(0, slots - Number(encoding)),
        copy: Math.max(0, copy_slots - Number(copying)),
      },
      // A disk of which nothing is known has room.
      freeBytes: free === null ? Number.POSITIVE_INFINITY : Number(free - reserved),
      freeBytesWhenIdle: free === null ? Number.POSITIVE_INFINITY : Number(free + written),
    }));
  }

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
      const waiting = await transaction.$queryRaw<WaitingRow[]>`
        SELECT placement.job_id, job.state::text AS state, job.machine_id, job.expected_bytes, ${poolOfJob} AS pool
          FROM placement JOIN job ON job.id = placement.job_id
         WHERE placement.machine_id IS NULL AND (job.state = 'FINALIZING' OR NOT ${isPreceded})
         ORDER BY placement.requested_at, placement.job_id LIMIT ${waitingLimit}`;
      if (waiting.length === 0) return;
      const open = await rooms(transaction);
      const recording = waiting.filter(({ state }) => state !== 'FINALIZING');
      // Its files are made of parts that every machine reaches: by its own, if that is back, and it takes up no slot.
      const finalizing = waiting.flatMap(({ job_id: jobId, state, machine_id: own }) => {
        const room = open.find(({ machineId }) => machineId === own) ?? emptiest(open);
        return state === 'FINALIZING' && room ? [{ jobId, machineId: room.machineId }] : [];
      });
      const placed = admit(
        recording.map((row) => ({ jobId: row.job_id, expectedBytes: Number(row.expected_bytes), pool: row.pool })),
        open,
      );
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
      const live = await rooms(db);
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
      await db.placement.upsert({
        where: { jobId },
        create: { jobId },
        update: { machineId: null, placedAt: null, toldAt: null },
      });
    },
  };
}
export type Placement = ReturnType<typeof createPlacement>;

const emptiest = (rooms: readonly Room[]): Room | undefined =>
  [...rooms].sort((a, b) => a.jobs.encode - b.jobs.encode)[0];
