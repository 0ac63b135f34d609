/** Pages of jobs, newest first, that are found in the same time however many jobs there are. */
import { v7 as uuid } from 'uuid';
import type { Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import { Prisma } from '../generated/prisma/client.js';
import { type JobKind, type JobState, jobKinds, jobStates } from '../jobs/states.js';
import { visibleJobs } from './visibility.js';

export interface JobFilter {
  states?: readonly JobState[] | null;
  kinds?: readonly JobKind[] | null;
  createdAfter?: Date | null;
  createdBefore?: Date | null;
}

/** A Prisma selection with the page that is wanted: behind the cursor, or before it when `take` is negative. */
export interface PageQuery {
  cursor?: { id?: string | undefined } | undefined;
  take?: number;
  skip?: number;
}

/** Ids between two others. */
interface IdRange {
  gt: string;
  lt: string;
}

const everyId: IdRange = { gt: '00000000-0000-0000-0000-000000000000', lt: 'ffffffff-ffff-ffff-ffff-ffffffffffff' };

/** An id has the time of its making in it, a row that of its writing, which comes some seconds later at most. */
const slackMs = 60_000;
const lastMs = 2 ** 48 - 1;

/**
 * The same query without Prisma's cursor, and the ids that it may answer. Prisma skips the first row from the cursor on,
 * which is not the cursor's own when that has left the filtered list since: a row would be missed.
 */
export function withoutCursor(page: PageQuery, filter: JobFilter): { query: { take?: number }; ids: IdRange } {
  const { cursor, skip: _, ...query } = page;
  const ids = idsWithin(filter);
  if (!cursor?.id) return { query, ids };
  const backwards = (page.take ?? 0) < 0;
  return {
    query,
    ids: backwards ? { ...ids, gt: later(ids.gt, cursor.id) } : { ...ids, lt: earlier(ids.lt, cursor.id) },
  };
}

/** The ids of rows made in the filter's time, and of a few others: without them, rows of another time were read one by one. */
export function idsWithin({ createdAfter, createdBefore }: JobFilter): IdRange {
  return {
    gt: createdAfter ? firstIdAt(createdAfter.getTime() - slackMs) : everyId.gt,
    lt: createdBefore ? firstIdAt(createdBefore.getTime() + slackMs) : everyId.lt,
  };
}

/** The condition of the filter on the time a row was made at. */
export const createdWithin = ({ createdAfter, createdBefore }: JobFilter): Prisma.DateTimeFilter => ({
  ...(createdAfter ? { gt: createdAfter } : {}),
  ...(createdBefore ? { lt: createdBefore } : {}),
});

/**
 * The ids of one page of a project's jobs of these kinds and states. Each kind and state has its own page, read in order from
 * the index, and the page is the first of those: a state that is rare, or was long ago, costs no more than another. Left to
 * the planner, a page of 21 failures of a year ago read 900,000 rows of a million.
 */
export async function jobIdsOfPage(
  db: Database,
  { projectId }: Viewer,
  filter: JobFilter,
  { ids, take = lastMs }: { ids: IdRange; take?: number | undefined },
): Promise<string[]> {
  const kinds = [...new Set(filter.kinds ?? jobKinds)];
  const states = [...new Set(filter.states ?? jobStates)];
  const direction = take < 0 ? Prisma.sql`ASC` : Prisma.sql`DESC`;
  const limit = Math.abs(take);
  const { createdAfter, createdBefore } = filter;
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT found.id
      FROM unnest(${kinds}::text[]::"JobKind"[]) AS kind
     CROSS JOIN unnest(${states}::text[]::"JobState"[]) AS state
     CROSS JOIN LATERAL (
       SELECT id FROM job
        WHERE project_id = ${projectId}::uuid AND job.kind = kind.kind AND job.state = state.state
          AND id > ${ids.gt}::uuid AND id < ${ids.lt}::uuid
          ${createdAfter ? Prisma.sql`AND created_at > ${createdAfter}` : Prisma.empty}
          ${createdBefore ? Prisma.sql`AND created_at < ${createdBefore}` : Prisma.empty}
        ORDER BY id ${direction} LIMIT ${limit}) AS found
     ORDER BY found.id ${direction} LIMIT ${limit}`;
  return rows.map(({ id }) => id);
}

/** Rows that share their id with their job. */
export type RowFilter = Omit<JobFilter, 'kinds'>;

/** Those that the viewer may see. Only states are asked of jobs: a join for the project walked half a million of them for a page from the middle. */
export const rowsWithin = (filter: RowFilter, viewer: Viewer, id = idsWithin(filter)) => ({
  ...visibleJobs(viewer),
  AND: { id },
  createdAt: createdWithin(filter),
  ...(filter.states ? { job: { state: { in: [...new Set(filter.states)] } } } : {}),
});

/** How a page of them, newest first, is asked of Prisma. */
export async function pageOfRows(db: Database, viewer: Viewer, kind: JobKind, page: PageQuery, filter: RowFilter) {
  const { query, ids } = withoutCursor(page, filter);
  const ofState = filter.states && viewer.kind === 'key';
  const found = ofState
    ? await jobIdsOfPage(db, viewer, { ...filter, kinds: [kind] }, { ids, take: query.take })
    : null;
  return {
    ...query,
    where: found ? { id: { in: found } } : rowsWithin(filter, viewer, ids),
    orderBy: { id: 'desc' as const },
  };
}

const firstIdAt = (ms: number): string =>
  uuid({ msecs: Math.min(Math.max(ms, 0), lastMs), seq: 0, random: new Uint8Array(16) });
// Written alike, ids are ordered as their texts are.
const later = (a: string, b: string): string => (a > b ? a : b);
const earlier = (a: string, b: string): string => (a < b ? a : b);
