/** Rooms: places where people meet live. */
import { viewerOf } from '../src/context.js';
import { Stream } from '../src/events/source.js';
import type { StreamItem } from '../src/jobs/events.js';
import { visibleJobs } from '../src/services/visibility.js';
import { builder } from './builder.js';
import { afterDescription, Event, type SnapshotOf, snapshotDescription } from './events.js';
import { uuidFrom } from './ids.js';
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

builder.objectRef<SnapshotOf<'room'>>('RoomSnapshot').implement({
  description: `The room as it is now, its jobs with it. ${snapshotDescription} What it shows may be newer than its cursor: compare \`sequence\`.`,
  interfaces: [Event],
  fields: (t) => ({
    room: t.prismaField({
      type: Room,
      nullable: true,
      description: 'The room. Null once it is gone.',
      resolve: (query, { subject }, _args, context) =>
        context.services.rooms.find(query, subject.roomId, viewerOf(context)),
    }),
  }),
});

builder.subscriptionField('roomEvents', (t) =>
  t.withAuth({ mayUse: 'Subscription.roomEvents' }).field({
    type: Event,
    description:
      'Follows a room and its jobs: the state now, then every change in order, none twice, none missed. Does not end by itself. Not for the token of a job, which has `jobEvents`.',
    args: {
      roomId: t.arg.id({ description: 'Global id of the room.' }),
      after: t.arg({ type: 'Cursor', required: false, description: afterDescription }),
    },
    subscribe: async (_root, { roomId, after }, { services, viewer }) => {
      const id = uuidFrom(roomId, ['Room'], 'room');
      return new Stream<StreamItem>(await services.events.room(id, after ?? null, viewer));
    },
    resolve: (item) => item,
  }),
);
