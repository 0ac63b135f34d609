/** Looking at recordings: one, pages of them, and what is shown of their runs and files beside each. */
import type { Viewer } from '../auth/viewer.js';
import { batched } from '../batched.js';
import { type Config, inputHostOf } from '../config.js';
import type { Database } from '../db.js';
import type { JobStats, Prisma, Recording } from '../generated/prisma/client.js';
import { type JobState, liveStates } from '../jobs/states.js';
import type { InputType, OutputFormat } from '../recordings/config.js';
import { createdWithin, type PageQuery } from './job-pages.js';
import { visibleRecordings } from './visibility.js';

export const recordingSorts = ['CREATED_ASC', 'CREATED_DESC', 'NAME'] as const;
export type RecordingSort = (typeof recordingSorts)[number];

export interface RecordingFilter {
  /** Part of the name, in whatever case. */
  name?: string | null;
  active?: boolean | null;
  formats?: readonly OutputFormat[] | null;
  inputTypes?: readonly InputType[] | null;
  createdAfter?: Date | null;
  createdBefore?: Date | null;
}

/** The newest run of a recording, as it is shown beside it. */
export interface NewestRun {
  jobId: string;
  state: JobState;
  /** Bits, and frames, per second; null while nothing is recorded. */
  bitrate: number | null;
  fps: number | null;
}

/** Recorded media: what explains or illustrates it is counted by nobody. */
const countedKinds = ['VIDEO', 'TAR', 'PLAYLIST'];

export function createRecordingPages({ db, config }: { db: Database; config: Pick<Config, 'inputs' | 'publicUrl'> }) {
  const usualHost = inputHostOf(config);

  const running: Prisma.RecordingWhereInput = { active: true, jobs: { some: { state: { in: liveStates } } } };

  const where = (filter: RecordingFilter, viewer: Viewer): Prisma.RecordingWhereInput => ({
    AND: [visibleRecordings(viewer), ...(filter.active == null ? [] : [filter.active ? running : { NOT: running }])],
    createdAt: createdWithin(filter),
    ...(filter.name ? { name: { contains: escaped(filter.name), mode: 'insensitive' } } : {}),
    ...(filter.formats ? { format: { in: [...filter.formats] } } : {}),
    ...(filter.inputTypes ? { inputType: { in: [...filter.inputTypes] } } : {}),
  });

  /** What is behind a row in that order, or before it. Null: there is no such row any more, by whose name it was. */
  async function beside(id: string, sort: RecordingSort, behind: boolean): Promise<Prisma.RecordingWhereInput | null> {
    const isLater = (sort === 'CREATED_DESC') !== behind;
    const beyond = <Value>(value: Value) => (isLater ? { gt: value } : { lt: value });
    if (sort !== 'NAME') return { id: beyond(id) };
    const row = await db.recording.findUnique({ where: { id }, select: { name: true } });
    return row && { OR: [{ name: beyond(row.name) }, { name: row.name, id: beyond(id) }] };
  }

  const machineHost = batched(async (ids): Promise<ReadonlyMap<string, string>> => {
    const rows = await db.$queryRaw<{ recording_id: string; input_host: string }[]>`
      SELECT job.recording_id, machine.input_host
        FROM job JOIN placement ON placement.job_id = job.id JOIN machine ON machine.id = placement.machine_id
       WHERE job.recording_id = ANY(${ids}::uuid[]) AND machine.input_host IS NOT NULL
       ORDER BY job.id`;
    return new Map(rows.map(({ recording_id, input_host }) => [recording_id, input_host]));
  });

  return {
    /** The name under which senders reach the machine that runs it, or that will probably run it. */
    inputHost: async (recordingId: string): Promise<string> => (await machineHost(recordingId)) ?? usualHost,

    find: (query: object, id: string, viewer: Viewer): Promise<Recording | null> =>
      db.recording.findFirst({ ...query, where: { AND: [visibleRecordings(viewer), { id }] } }),

    /** The same of one that may be deleted: for the answer to whoever deletes it. */
    findDeleted: (query: object, id: string, { projectId, kind }: Viewer): Promise<Recording | null> =>
      kind === 'key' ? db.recording.findFirst({ ...query, where: { id, projectId } }) : Promise.resolve(null),

    /** A page in that order. The cursor is no condition of Prisma's: a row that has left the filtered list would cost another. */
    async list(page: PageQuery, filter: RecordingFilter, sort: RecordingSort, viewer: Viewer): Promise<Recording[]> {
      const { cursor, skip: _, ...query } = page;
      const limit = cursor?.id ? await beside(cursor.id, sort, (page.take ?? 0) >= 0) : {};
      if (!limit) return [];
      const direction = sort === 'CREATED_DESC' ? 'desc' : 'asc';
      return db.recording.findMany({
        ...query,
        where: { AND: [where(filter, viewer), limit] },
        orderBy: [...(sort === 'NAME' ? [{ name: 'asc' as const }] : []), { id: direction }],
      });
    },

    count: (filter: RecordingFilter, viewer: Viewer): Promise<number> =>
      db.recording.count({ where: where(filter, viewer) }),

    /** Null for one that was never started. Asked of many at once, one query. */
    newestRun: batched(async (ids): Promise<ReadonlyMap<string, NewestRun>> => {
      const rows = await db.$queryRaw<
        { recording_id: string; id: string; state: JobState; bitrate: number | null; fps: number | null }[]
      >`
        SELECT wanted.id AS recording_id, run.id, run.state::text AS state, job_stats.bitrate, job_stats.fps
          FROM unnest(${ids}::uuid[]) AS wanted(id)
         CROSS JOIN LATERAL (SELECT id, state FROM job WHERE job.recording_id = wanted.id ORDER BY id DESC LIMIT 1) AS run
          LEFT JOIN job_stats ON job_stats.job_id = run.id AND run.state IN ('RECORDING', 'RECONNECTING')`;
      return new Map(
        rows.map(({ recording_id, id, state, bitrate, fps }) => [recording_id, { jobId: id, state, bitrate, fps }]),
      );
    }),

    /** How many files with recorded media there are. Asked of many at once, one query; null where there is none. */
    fileCount: batched(async (ids): Promise<ReadonlyMap<string, number>> => {
      const rows = await db.$queryRaw<{ recording_id: string; count: bigint }[]>`
        SELECT job.recording_id, count(*) AS count FROM file JOIN job ON job.id = file.job_id
         WHERE job.recording_id = ANY(${ids}::uuid[]) AND file.deleted_at IS NULL
           AND file.kind = ANY(${countedKinds}::"FileKind"[])
         GROUP BY job.recording_id`;
      return new Map(rows.map(({ recording_id, count }) => [recording_id, Number(count)]));
    }),

    stats: (query: object, jobId: string): Promise<JobStats | null> =>
      db.jobStats.findUnique({ ...query, where: { jobId } }),

    /** Of all its runs, oldest first. */
    files: (query: object, recordingId: string, kinds: readonly string[] | null | undefined) =>
      db.file.findMany({
        ...query,
        where: {
          ...{ deletedAt: null, job: { recordingId } },
          ...(kinds ? { kind: { in: kinds as ('VIDEO' | 'PLAYLIST')[] } } : {}),
        },
        orderBy: { id: 'asc' },
      }),
  };
}
export type RecordingPages = ReturnType<typeof createRecordingPages>;

/** What is looked for as it is written: to Postgres these stand for anything. */
const escaped = (text: string): string => text.replace(/[\\%_]/g, '\\$&');
