/** Lists of jobs. */
import { viewerOf } from '../src/context.js';
import type { JobsFilter as Filter } from '../src/services/jobs.js';
import { builder } from './builder.js';
import { uuidOf } from './ids.js';
import { Job, JobConnection, JobEdge } from './job.js';
import { JobKindEnum, JobStateEnum } from './states.js';

export const JobsFilter = builder.inputType('JobsFilter', {
  description: 'Which jobs to list. Every condition given must hold.',
  fields: (t) => ({
    states: t.field({ type: [JobStateEnum], required: false, description: 'In one of these states.' }),
    kinds: t.field({ type: [JobKindEnum], required: false, description: 'Of one of these kinds.' }),
    roomId: t.id({ required: false, description: 'Of this room: its global id.' }),
    sessionId: t.id({ required: false, description: 'Of this live session: its global id.' }),
    createdAfter: t.field({ type: 'DateTime', required: false, description: 'Asked for later than this.' }),
    createdBefore: t.field({ type: 'DateTime', required: false, description: 'Asked for earlier than this.' }),
  }),
});

/** An id of something else, or of nothing, finds nothing. */
export function jobsFilterFrom(given: typeof JobsFilter.$inferInput | null | undefined): Filter {
  const { roomId, sessionId, ...others } = given ?? {};
  return {
    ...others,
    ...(roomId == null ? {} : { roomId: uuidOf(roomId, ['Room']) }),
    ...(sessionId == null ? {} : { sessionId: uuidOf(sessionId, ['Session']) }),
  };
}

builder.queryField('jobs', (t) =>
  t.prismaConnection(
    {
      // Not by `withAuth`: its fields have a context of their own, for which the shared connection is of another type.
      authScopes: { mayUse: 'Query.jobs' },
      type: Job,
      cursor: 'id',
      description: 'The jobs of the project, of every kind, newest first. The token of a job lists that job.',
      args: { filter: t.arg({ type: JobsFilter, required: false, description: 'Which ones; all when left out.' }) },
      totalCount: (_connection, { filter }, context) =>
        context.services.jobs.count(jobsFilterFrom(filter), viewerOf(context)),
      resolve: (query, _root, { filter }, context) =>
        context.services.jobs.list(query, jobsFilterFrom(filter), viewerOf(context)),
    },
    JobConnection,
    JobEdge,
  ),
);
