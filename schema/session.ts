/** Sessions: live periods of rooms, and what comes in and goes out in them. */
import { builder } from './builder.js';

export const SessionStats = builder.prismaObject('SessionStats', {
  description: 'The latest statistics of a session.',
  select: { sessionId: true },
  fields: (t) => ({
    sourceBytes: t.expose('sourceBytes', { type: 'BigInt', description: 'Bytes received from publishers.' }),
    transcodedBytes: t.expose('transcodedBytes', { type: 'BigInt', description: 'Bytes that were made of them.' }),
    ingestRate: t.exposeFloat('ingestRate', {
      description: 'Bytes per second received from publishers, over the last seconds.',
    }),
    outgoingRate: t.exposeFloat('outgoingRate', {
      description: 'Bytes per second sent to viewers, over the last seconds.',
    }),
    isHealthy: t.exposeBoolean('isHealthy', {
      nullable: true,
      description: 'Whether all that is published arrives as it should. Null while that is not known.',
    }),
    issues: t.exposeStringList('issues', {
      description: 'What is wrong, in words. Empty when healthy, and while nothing is known.',
    }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When this was measured.' }),
  }),
});

export const Session = builder.prismaNode('Session', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'One live period of a room.',
  select: { id: true },
  fields: (t) => ({
    room: t.relation('room', { description: 'The room it took place in.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it began.' }),
    lastSeen: t.expose('lastSeenAt', { type: 'DateTime', description: 'When something was last published in it.' }),
    endedAt: t.expose('endedAt', { type: 'DateTime', nullable: true, description: 'Null while it is live.' }),
    stats: t.relation('stats', { nullable: true, description: 'Latest statistics. Null until there are any.' }),
  }),
});
