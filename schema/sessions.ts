/** Sessions by id, and lists of them. */
import { viewerOf } from '../src/context.js';
import type { SessionsFilter } from '../src/services/sessions.js';
import { builder } from './builder.js';
import { uuidOf } from './ids.js';
import { Session } from './session.js';
import { SessionConnection, SessionEdge } from './session-pages.js';

builder.queryField('session', (t) =>
  t.withAuth({ mayUse: 'Query.session' }).prismaField({
    type: Session,
    nullable: true,
    description: 'A live period of a room by its id. Null when there is none.',
    args: { id: t.arg.id({ description: 'Global id of the session.' }) },
    resolve: (query, _root, { id }, { services, viewer }) => {
      const sessionId = uuidOf(id, ['Session']);
      return sessionId === null ? null : services.sessions.find(query, sessionId, viewer);
    },
  }),
);

interface Given {
  roomId?: string | null | undefined;
  record?: boolean | null | undefined;
}

/** An id of something else, or of nothing, finds nothing. */
const filterFrom = ({ roomId, record }: Given): SessionsFilter => ({
  record,
  ...(roomId == null ? {} : { roomId: uuidOf(roomId, ['Room']) }),
});

builder.queryField('sessions', (t) =>
  t.prismaConnection(
    {
      // Not by `withAuth`: its fields have a context of their own, for which the shared connection is of another type.
      authScopes: { mayUse: 'Query.sessions' },
      type: Session,
      cursor: 'id',
      description: 'Live periods of rooms, the one that was live last first. The token of a job lists that of the job.',
      args: {
        roomId: t.arg.id({ required: false, description: 'Of this room: its global id. Of all rooms when left out.' }),
        record: t.arg.boolean({
          required: false,
          description: 'True: those that are recorded. False: those that are not. All when left out.',
        }),
      },
      totalCount: (_connection, given, context) =>
        context.services.sessions.count(filterFrom(given), viewerOf(context)),
      resolve: (query, _root, given, context) =>
        context.services.sessions.list(query, filterFrom(given), viewerOf(context)),
    },
    SessionConnection,
    SessionEdge,
  ),
);
