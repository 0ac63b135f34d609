/** Readings of live statistics: each one query, whatever the number of subjects asked about. */
import type { Database } from '../db.js';
import { type JobStats, Prisma, type SessionStats } from '../generated/prisma/client.js';
import { isTerminal, type JobState, terminalStates } from '../jobs/states.js';
import { NotFoundError } from '../services/errors.js';
import type { Asked, Found } from './latest-values.js';

/** The jobs of one project that somebody may see: all, or the one with that id. */
export interface JobsScope {
  projectId: string;
  id?: string;
}

/** The statistics of all jobs of a scope that a recorder works on, as they were together. */
export interface ActiveStats {
  at: Date;
  /** How many such jobs there are. */
  total: number;
  /** Of the oldest `maxActive` of them, oldest first. */
  stats: JobStats[];
}

/** What is told of a session, without what only its measuring needs. */
export type SessionFigures = Omit<SessionStats, 'counters'>;

/** More would be a message of over 300 kB every second, and nobody reads so many at once. */
export const maxActive = 1_000;

/** What has statistics that change, without jobs whose files are being made: those only have progress. */
const activeStates: readonly JobState[] = ['STARTING', 'STANDBY', 'RECORDING', 'RECONNECTING', 'PAUSED', 'STOPPING'];

const jobColumns = Prisma.sql`
  stats.job_id AS "jobId", stats.incarnation, stats.frames, stats.fps, stats.bitrate, stats.bytes,
  stats.position_ms AS "positionMs", stats.dropped, stats.duplicated, stats.speed, stats.page_frames AS "pageFrames",
  stats.link, stats.progress, stats.updated_at AS "updatedAt"`;

const sessionColumns = Prisma.sql`
  stats.session_id AS "sessionId", stats.source_bytes AS "sourceBytes", stats.transcoded_bytes AS "transcodedBytes",
  stats.source_segments AS "sourceSegments", stats.transcoded_segments AS "transcodedSegments",
  stats.source_segments_ms AS "sourceSegmentsMs", stats.transcoded_segments_ms AS "transcodedSegmentsMs",
  stats.ingest_rate AS "ingestRate", stats.outgoing_rate AS "outgoingRate", stats.is_healthy AS "isHealthy",
  stats.issues, stats.updated_at AS "updatedAt"`;

/** Before all time: nothing was told yet. */
const never = '-infinity';
const toldAt = ({ latest }: { latest: { updatedAt: Date } | undefined }) => latest?.updatedAt.toISOString() ?? never;

/** Statistics of jobs that are others than those told last. Ends with the job, and with NotFoundError where there is none. */
export async function readJobs(
  db: Database,
  asked: readonly Asked<string, JobStats>[],
): Promise<(Found<JobStats> | undefined)[]> {
  // Rows that nothing happened to stay in the database: most do, where workers report at different times.
  const rows = await db.$queryRaw<(JobStats & { subject: string; state: JobState | null })[]>`
    SELECT asked.id AS subject, job.state::text AS state, ${jobColumns}
      FROM unnest(${asked.map(({ subject }) => subject)}::uuid[], ${asked.map(toldAt)}::timestamptz[]) AS asked (id, told_at)
      LEFT JOIN job ON job.id = asked.id
      LEFT JOIN job_stats AS stats ON stats.job_id = asked.id
     WHERE job.id IS NULL OR job.state = ANY (${terminalStates}::"JobState"[]) OR stats.updated_at <> asked.told_at`;
  const found = new Map(rows.map((row) => [row.subject, row]));
  return asked.map(({ subject, latest }) => {
    const row = found.get(subject);
    if (!row) return undefined;
    const { subject: _, state, ...stats } = row;
    if (state === null) return { end: { error: new NotFoundError('There is no such job any more.') } };
    return { value: newer(stats, latest), ...(isTerminal(state) ? { end: {} } : {}) };
  });
}

/** The same of sessions: ends when the session has. */
export async function readSessions(
  db: Database,
  asked: readonly Asked<string, SessionFigures>[],
): Promise<(Found<SessionFigures> | undefined)[]> {
  const rows = await db.$queryRaw<(SessionFigures & { subject: string; exists: boolean; ended: boolean })[]>`
    SELECT asked.id AS subject, session.id IS NOT NULL AS exists, session.ended_at IS NOT NULL AS ended, ${sessionColumns}
      FROM unnest(${asked.map(({ subject }) => subject)}::uuid[], ${asked.map(toldAt)}::timestamptz[]) AS asked (id, told_at)
      LEFT JOIN session ON session.id = asked.id
      LEFT JOIN session_stats AS stats ON stats.session_id = asked.id
     WHERE session.id IS NULL OR session.ended_at IS NOT NULL OR stats.updated_at <> asked.told_at`;
  const found = new Map(rows.map((row) => [row.subject, row]));
  return asked.map(({ subject, latest }) => {
    const row = found.get(subject);
    if (!row) return undefined;
    const { subject: _, exists, ended, ...stats } = row;
    if (!exists) return { end: { error: new NotFoundError('There is no such session any more.') } };
    return { value: newer(stats, latest), ...(ended ? { end: {} } : {}) };
  });
}

/** The statistics, unless there are none, or they were told. */
function newer<Stats extends { updatedAt: Date }>(stats: Stats, told: Stats | undefined): Stats | undefined {
  const { updatedAt } = stats as { updatedAt: Date | null };
  return updatedAt === null || updatedAt.getTime() === told?.updatedAt.getTime() ? undefined : stats;
}

/** The active jobs of each scope, in the order of the scopes. */
export async function readActive(db: Database, scopes: readonly JobsScope[]): Promise<ActiveStats[]> {
  const at = new Date();
  const asked = scopes.map(({ projectId, id }) => ({ project_id: projectId, job_id: id ?? null }));
  // A limit for each scope would have it walk through all jobs of the project that ever were, in search of so many.
  const rows = await db.$queryRaw<(JobStats & { scope: bigint; total: bigint; place: bigint })[]>`
    SELECT * FROM (
      SELECT asked.ordinality AS scope, count(*) OVER (PARTITION BY asked.ordinality) AS total,
             row_number() OVER (PARTITION BY asked.ordinality ORDER BY job.id) AS place, ${jobColumns}
        FROM ROWS FROM (jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) AS (project_id uuid, job_id uuid))
             WITH ORDINALITY AS asked
        JOIN job ON job.project_id = asked.project_id AND (asked.job_id IS NULL OR job.id = asked.job_id)
        JOIN job_stats AS stats ON stats.job_id = job.id
       WHERE job.state = ANY (${activeStates}::"JobState"[])) AS active
     WHERE place <= ${maxActive} ORDER BY scope, place`;
  const answers = scopes.map((): ActiveStats => ({ at, total: 0, stats: [] }));
  for (const { scope, total, place: _, ...stats } of rows) {
    const answer = answers[Number(scope) - 1] as ActiveStats;
    answer.total = Number(total);
    answer.stats.push(stats);
  }
  return answers;
}
