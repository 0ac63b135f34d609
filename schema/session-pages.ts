/** Pages of sessions: of a room, and of a project. */
import { builder } from './builder.js';
import { totalCountField } from './pages.js';
import { Session } from './session.js';

export const SessionEdge = builder.edgeObject({
  type: Session,
  name: 'SessionEdge',
  description: 'A session and its cursor.',
});
/** What answers it has a total count: fields of a row need `totalCount: true`. */
export const SessionConnection = builder.connectionObject(
  {
    type: Session,
    name: 'SessionConnection',
    description: 'A page of sessions.',
    fields: (c) => ({ totalCount: c.int(totalCountField) }),
  },
  SessionEdge,
);
