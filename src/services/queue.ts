/** Who waits for a machine, what machines have left, and what will be asked of them soon: read at once, for the allocator and for clients. */
import type { Transaction } from '../db.js';
import { Prisma } from '../generated/prisma/client.js';
import { type Pool, pools, type Room } from '../jobs/admission.js';
import { fairOrder, type QueuedJob, shareKey } from '../jobs/queue-order.js';
import { begunStates, hasBegun, type JobState } from '../jobs/states.js';
import { machineSilenceMs } from './machines.js';

/** What a job of the table `job` keeps busy: only streams and people whose pictures are not encoded meanwhile take little. */
export const poolOfJob = Prisma.sql`
  CASE WHEN job.source->>'kind' = 'people'
         OR job.source->>'kind' = 'stream' AND coalesce(job.source#>>'{recording,video,mode}', '') <> 'TRANSCODE'
       THEN 'copy' ELSE 'encode' END`;

/**
 * Whether another run of the recording of a job of the table `job` still has a place where it records, or is newer: there are
 * never two at once. One whose files are made records no more.
 */
const isPreceded = Prisma.sql`
  EXISTS (SELECT FROM job AS other JOIN placement AS place ON place.job_id = other.id
           WHERE other.recording_id = job.recording_id AND other.id <> job.id AND other.state <> 'FINALIZING'
             AND (place.machine_id IS NOT NULL OR other.id > job.id))`;

/** Of each project that many are looked at in a turn; more need not be known to see who is next. */
const waitingOfEach = 2_000;

export interface WaitingForMachine extends QueuedJob {
  expectedBytes: number;
  maxDurationMs: number;
}

/** Jobs that are to be recorded and have no place, in the order in which they are served: those that encode, then the others. */
export async function readQueue(database: Transaction, limitOfEach = waitingOfEach): Promise<WaitingForMachine[]> {
  const rows = await database.$queryRaw<
    {
      job_id: string;
      project_id: string;
      pool: Pool;
      state: JobState;
      priority: number;
      requested_at: Date;
      expected_bytes: bigint;
      max_duration_ms: number;
    }[]
  >`
    SELECT * FROM (
      SELECT placement.job_id, job.project_id, ${poolOfJob} AS pool, job.state::text AS state, job.priority,
             placement.requested_at, job.expected_bytes, job.max_duration_ms,
             row_number() OVER (PARTITION BY job.project_id ORDER BY job.priority DESC, placement.requested_at, job.id) AS place
        FROM placement JOIN job ON job.id = placement.job_id
       WHERE placement.machine_id IS NULL AND job.state <> 'FINALIZING' AND NOT ${isPreceded}) AS waiting
     WHERE place <= ${limitOfEach} OR state = ANY(${begunStates})`;
  if (rows.length === 0) return [];
  const shares = await readShares(database);
  const waiting = rows.map((row) => ({
    ...{ jobId: row.job_id, projectId: row.project_id, pool: row.pool, priority: row.priority },
    isInterrupted: hasBegun(row.state),
    ...{ requestedAt: row.requested_at.getTime(), maxDurationMs: row.max_duration_ms },
    expectedBytes: Number(row.expected_bytes),
  }));
  return pools.flatMap((pool) =>
    fairOrder(
      waiting.filter((each) => each.pool === pool),
      shares,
    ),
  );
}

async function readShares(database: Transaction): Promise<Map<string, number>> {
  const rows = await database.$queryRaw<{ project_id: string; pool: Pool; count: bigint }[]>`
    SELECT job.project_id, ${poolOfJob} AS pool, count(*) AS count
      FROM placement JOIN job ON job.id = placement.job_id
     WHERE placement.machine_id IS NOT NULL AND job.state <> 'FINALIZING' GROUP BY 1, 2`;
  return new Map(rows.map(({ pool, project_id, count }) => [shareKey(pool, project_id), Number(count)]));
}

/** Jobs whose files are to be made and that have no place, with the machine that recorded them. */
export const readFinalizing = (database: Transaction): Promise<{ jobId: string; machineId: string | null }[]> =>
  database.$queryRaw`
    SELECT placement.job_id AS "jobId", job.machine_id AS "machineId"
      FROM placement JOIN job ON job.id = placement.job_id
     WHERE placement.machine_id IS NULL AND job.state = 'FINALIZING' ORDER BY placement.requested_at`;

/** Scheduled jobs that launch within so long, the first of them first: a place is kept for each. */
export async function readLaunches(
  database: Transaction,
  withinMs: number,
): Promise<{ jobId: string; pool: Pool; expectedBytes: number }[]> {
  const rows = await database.$queryRaw<{ id: string; pool: Pool; expected_bytes: bigint }[]>`
    SELECT job.id, ${poolOfJob} AS pool, job.expected_bytes FROM job
     WHERE job.state = 'SCHEDULED' AND job.launch_at <= ${new Date(Date.now() + withinMs)} ORDER BY job.launch_at, job.id`;
  return rows.map(({ id, pool, expected_bytes }) => ({ jobId: id, pool, expectedBytes: Number(expected_bytes) }));
}

/** How many places a machine has. */
export interface MachineRoom extends Room {
  slots: Record<Pool, number>;
}

/**
 * What each live machine has left. A job will still write what it is expected to and has not yet; one that is being
 * finalized, a result as large as its parts.
 */
export async function readRooms(database: Transaction): Promise<MachineRoom[]> {
  const seenAfter = new Date(Date.now() - machineSilenceMs);
  const rows = await database.$queryRaw<
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
    slots: { encode: slots, copy: copy_slots },
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

/** When jobs that have a place end by themselves at the latest, epoch milliseconds. */
export async function readEnds(database: Transaction): Promise<{ pool: Pool; endsAt: number }[]> {
  const rows = await database.$queryRaw<{ pool: Pool; ends_at: Date }[]>`
    SELECT ${poolOfJob} AS pool,
           coalesce(job.started_at, now()) + make_interval(secs => (job.max_duration_ms::float8 + job.paused_ms) / 1000) AS ends_at
      FROM placement JOIN job ON job.id = placement.job_id
     WHERE placement.machine_id IS NOT NULL AND job.state <> 'FINALIZING'`;
  return rows.map(({ pool, ends_at }) => ({ pool, endsAt: ends_at.getTime() }));
}

/** Jobs that a machine records, or is about to, the oldest first. */
export const readRecordedOn = (database: Transaction, machineId: string): Promise<{ jobId: string; pool: Pool }[]> =>
  database.$queryRaw`
    SELECT job.id AS "jobId", ${poolOfJob} AS pool FROM placement JOIN job ON job.id = placement.job_id
     WHERE placement.machine_id = ${machineId} AND job.state::text = ANY(${['STARTING', 'STANDBY', ...begunStates]})
     ORDER BY job.id`;
