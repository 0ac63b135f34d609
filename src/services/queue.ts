/** Who waits for a machine, and what will be asked of them soon: read at once, for the allocator and for clients. */
import type { Transaction } from '../db.js';
import { Prisma } from '../generated/prisma/client.js';
import type { WaitingJob } from '../jobs/admission.js';
import { type Pool, pools } from '../jobs/cost.js';
import { fairOrder, type QueuedJob, shareKey } from '../jobs/queue-order.js';
import { begunStates, hasBegun, type JobState } from '../jobs/states.js';

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

export interface WaitingForMachine extends QueuedJob, WaitingJob {
  maxDurationMs: number;
}

/** What a job takes, as its columns are read. */
interface CostRow {
  job_id: string;
  pool: Pool;
  cores: number;
  memory_bytes: bigint;
  displays: number;
  expected_bytes: bigint;
}
const costColumns = Prisma.sql`job.id AS job_id, job.pool, job.cores, job.memory_bytes, job.displays, job.expected_bytes`;
const costOfRow = (row: CostRow): WaitingJob => ({
  ...{ jobId: row.job_id, pool: row.pool, cores: row.cores, displays: row.displays },
  ...{ memoryBytes: Number(row.memory_bytes), diskBytes: Number(row.expected_bytes) },
});

/** Jobs in one of these that have no place have lost theirs. */
const interruptedStates: JobState[] = ['STARTING', 'STANDBY', ...begunStates];

/** Jobs of some pools that are to be recorded and have no place, in the order in which they are served: pool by pool. */
export async function readQueue(
  database: Transaction,
  of: readonly Pool[] = pools,
  limitOfEach = waitingOfEach,
): Promise<WaitingForMachine[]> {
  // Two ways to them, an index for each: of those that never began there may be very many.
  const rows = await database.$queryRaw<
    (CostRow & { project_id: string; state: JobState; priority: number; requested_at: Date; max_duration_ms: number })[]
  >`
    WITH waiting AS (
      SELECT id FROM job WHERE state = 'QUEUED' AND pool = ANY(${of})
      UNION ALL
      SELECT id FROM job WHERE state = ANY(${interruptedStates}::"JobState"[]) AND pool = ANY(${of}))
    SELECT * FROM (
      SELECT ${costColumns}, job.project_id, job.state::text AS state, job.priority, placement.requested_at, job.max_duration_ms,
             row_number() OVER (PARTITION BY job.project_id ORDER BY job.priority DESC, placement.requested_at, job.id) AS place
        FROM waiting JOIN placement ON placement.job_id = waiting.id JOIN job ON job.id = waiting.id
       WHERE placement.machine_id IS NULL AND NOT ${isPreceded}) AS ordered
     WHERE place <= ${limitOfEach} OR state = ANY(${begunStates})`;
  if (rows.length === 0) return [];
  const shares = await readShares(database);
  const waiting = rows.map((row) => ({
    ...costOfRow(row),
    ...{ projectId: row.project_id, priority: row.priority, isInterrupted: hasBegun(row.state) },
    ...{ requestedAt: row.requested_at.getTime(), maxDurationMs: row.max_duration_ms },
  }));
  return of.flatMap((pool) =>
    fairOrder(
      waiting.filter((each) => each.pool === pool),
      shares,
    ),
  );
}

async function readShares(database: Transaction): Promise<Map<string, number>> {
  const rows = await database.$queryRaw<{ project_id: string; pool: Pool; count: bigint }[]>`
    SELECT job.project_id, job.pool, count(*) AS count
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
export async function readLaunches(database: Transaction, withinMs: number): Promise<WaitingJob[]> {
  const rows = await database.$queryRaw<CostRow[]>`
    SELECT ${costColumns} FROM job
     WHERE job.state = 'SCHEDULED' AND job.launch_at <= ${new Date(Date.now() + withinMs)} ORDER BY job.launch_at, job.id`;
  return rows.map(costOfRow);
}

/** When jobs that have a place end by themselves at the latest, epoch milliseconds. */
export async function readEnds(database: Transaction): Promise<{ pool: Pool; endsAt: number }[]> {
  const rows = await database.$queryRaw<{ pool: Pool; ends_at: Date }[]>`
    SELECT job.pool,
           coalesce(job.started_at, now()) + make_interval(secs => (job.max_duration_ms::float8 + job.paused_ms) / 1000) AS ends_at
      FROM placement JOIN job ON job.id = placement.job_id
     WHERE placement.machine_id IS NOT NULL AND job.state <> 'FINALIZING'`;
  return rows.map(({ pool, ends_at }) => ({ pool, endsAt: ends_at.getTime() }));
}

/** Jobs that a machine records, or is about to, the oldest first. */
export const readRecordedOn = (database: Transaction, machineId: string): Promise<{ jobId: string; pool: Pool }[]> =>
  database.$queryRaw`
    SELECT job.id AS "jobId", job.pool FROM placement JOIN job ON job.id = placement.job_id
     WHERE placement.machine_id = ${machineId} AND job.state = ANY(${interruptedStates}::"JobState"[])
     ORDER BY job.id`;
