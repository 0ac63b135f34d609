/** Rooms: places where people meet live. */
import { viewerOf } from '../src/context.js';
import { visibleJobs } from '../src/services/visibility.js';
import { builder } from './builder.js';
import { JobConnection, JobEdge } from './job.js';

export const Room = builder.prismaNode('Room', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'A place where people meet live.',
  select: { id: true },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Unique in the project.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first seen.' }),
    jobs: t.relatedConnection(
      'jobs',
      {
        cursor: 'id',
        totalCount: true,
        // Of a room's jobs, the token of one sees that one.
        query: (_args, context) => ({ where: visibleJobs(viewerOf(context)), orderBy: { id: 'desc' } }),
        description: 'What was recorded of it, or is going to be, newest first.',
      },
      JobConnection,
      JobEdge,
    ),
  }),
});
