/** Rooms: places where people meet live. */
import { viewerOf } from '../src/context.js';
import { requestError } from '../src/http/errors.js';
import type { Ingest } from '../src/services/ingest-urls.js';
import { profilesOf, recordingSpecOf } from '../src/services/room-input.js';
import { visibleJobs, visibleParticipants, visibleSources } from '../src/services/visibility.js';
import { builder } from './builder.js';
import { encodeId, uuidOf } from './ids.js';
import { JobConnection, JobEdge } from './job.js';
import { totalCountField } from './pages.js';
import { ParticipantConnection, ParticipantEdge } from './participant.js';
import { PlaybackProfile, RecordingSpec } from './profiles.js';
import { Session } from './session.js';
import { SessionConnection, SessionEdge } from './session-pages.js';

const RoomIngest = builder.objectRef<Ingest>('RoomIngest').implement({
  description: 'Where encoders publish into a room. Whoever has this publishes.',
  fields: (t) => ({
    rtmpUrl: t.exposeString('rtmpUrl', { description: 'For RTMP; H.264 and AAC are taken.' }),
    srtUrl: t.exposeString('srtUrl', { description: 'For SRT; MPEG-TS with H.264 and AAC is taken.' }),
    streamKey: t.exposeString('streamKey', {
      description: 'Part of both addresses. `resetStreamKey` replaces it.',
    }),
  }),
});

export const Room = builder.prismaNode('Room', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'A place where people meet live.',
  select: { id: true },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Unique in the project.' }),
    record: t.exposeBoolean('record', { description: 'Whether every live period is recorded by itself.' }),
    profiles: t.field({
      type: [PlaybackProfile],
      description: 'Renditions that are made of a recording, for players to choose from.',
      select: { profiles: true },
      resolve: profilesOf,
    }),
    recordingSpec: t.field({
      type: RecordingSpec,
      description: 'What is recorded of a live period.',
      select: { recordingSpec: true },
      resolve: recordingSpecOf,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    sessionId: t.id({
      description: 'What pages join by: the parameter `sessionId` of the viewer page. The same as `id`.',
      select: { id: true },
      resolve: ({ id }) => encodeId('Room', id),
    }),
    apiKey: t.id({
      description: 'The public id of the project, for the parameter `apiKey` of the viewer page. Never a credential.',
      select: { projectId: true },
      resolve: ({ projectId }) => encodeId('Project', projectId),
    }),
    ingest: t.field({
      type: RoomIngest,
      nullable: true,
      authScopes: { mayUse: 'Room.ingest' },
      description: 'Where encoders publish into it. Null without the scope `rooms:write`.',
      select: { streamKey: true },
      resolve: (room, _args, { services }) => services.rooms.ingest(room),
    }),
    participants: t.relatedConnection(
      'participants',
      {
        cursor: 'id',
        totalCount: true,
        args: {
          present: t.arg.boolean({
            required: false,
            description: 'True: who is there now. False: who has left. Who is there now when left out.',
          }),
        },
        query: ({ present }, context) => ({
          where: {
            AND: [visibleParticipants(viewerOf(context)), { leftAt: present === false ? { not: null } : null }],
          },
          orderBy: { id: 'asc' },
        }),
        description: 'Who is in it, first come first. Whoever only watches is not shown.',
      },
      ParticipantConnection,
      ParticipantEdge,
    ),
    session: t.field({
      type: Session,
      nullable: true,
      description: 'Its live period. Null while nobody publishes, and for the token of a room.',
      select: (_args, context, nestedSelection) => ({
        sessions: nestedSelection({
          where: { ...visibleSources(viewerOf(context)), endedAt: null },
          orderBy: { createdAt: 'desc' as const },
          take: 1,
          select: { id: true },
        }),
      }),
      resolve: ({ sessions }) => sessions[0] ?? null,
    }),
    sessions: t.relatedConnection(
      'sessions',
      {
        cursor: 'id',
        totalCount: true,
        args: {
          record: t.arg.boolean({
            required: false,
            description: 'True: those that are recorded. False: those that are not. All when left out.',
          }),
        },
        query: ({ record }, context) => ({
          where: { ...visibleSources(viewerOf(context)), ...(record == null ? {} : { record }) },
          orderBy: [{ lastSeenAt: 'desc' }, { id: 'desc' }],
        }),
        description: 'Its live periods, the one that was live last first. None for the token of a room.',
      },
      SessionConnection,
      SessionEdge,
    ),
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

builder.queryField('room', (t) =>
  t.withAuth({ mayUse: 'Query.room' }).prismaField({
    type: Room,
    nullable: true,
    description: 'A room by its name or its id. Null when there is none.',
    args: {
      name: t.arg.string({ required: false, description: 'Its name. Give this or `id`.' }),
      id: t.arg.id({ required: false, description: 'Its global id. Give this or `name`.' }),
    },
    resolve: (query, _root, { name, id }, { services, viewer }) => {
      if ((name == null) === (id == null)) throw requestError('BAD_USER_INPUT', 'Give either `name` or `id`.');
      if (name != null) return services.rooms.findByName(query, name, viewer);
      const roomId = uuidOf(id as string, ['Room']);
      return roomId === null ? null : services.rooms.find(query, roomId, viewer);
    },
  }),
);

builder.queryField('rooms', (t) =>
  t.withAuth({ mayUse: 'Query.rooms' }).prismaConnection(
    {
      type: Room,
      cursor: 'id',
      description: 'The rooms of the project, newest first.',
      totalCount: (_connection, _args, { services, viewer }) => services.rooms.count(viewer),
      resolve: (query, _root, _args, { services, viewer }) => services.rooms.list(query, viewer),
    },
    {
      name: 'RoomConnection',
      description: 'A page of rooms.',
      fields: (c) => ({ totalCount: c.int(totalCountField) }),
    },
    { name: 'RoomEdge', description: 'A room and its cursor.' },
  ),
);
