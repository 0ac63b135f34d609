/** Sessions: live periods of rooms, what comes in and goes out in them, and what was recorded of them. */
import { viewerOf } from '../src/context.js';
import { playableKinds, type RecordingStatus, recordingStatus } from '../src/rooms/recording-status.js';
import { profilesOf, recordingSpecOf } from '../src/services/room-input.js';
import { visibleJobs, visibleParticipants } from '../src/services/visibility.js';
import { builder } from './builder.js';
import { encodeId } from './ids.js';
import { JobConnection, JobEdge } from './job.js';
import { ParticipantConnection, ParticipantEdge } from './participant.js';
import { PlaybackProfile, RecordingSpec } from './profiles.js';

const bytesReceived = 'Bytes received from publishers.';
const bytesMade = 'Bytes that were made of them.';
const rateIn = 'Bytes per second received from publishers, over the last seconds.';
const rateOut = 'Bytes per second sent to everybody who watches, over the last seconds.';
const healthy = 'Whether all that is published arrives as it should. Null while that is not known.';

export const SessionStats = builder.prismaObject('SessionStats', {
  description: 'The latest statistics of a session.',
  select: { sessionId: true },
  fields: (t) => ({
    sourceBytes: t.expose('sourceBytes', { type: 'BigInt', description: bytesReceived }),
    transcodedBytes: t.expose('transcodedBytes', { type: 'BigInt', description: bytesMade }),
    ingestRate: t.exposeFloat('ingestRate', { description: rateIn }),
    outgoingRate: t.exposeFloat('outgoingRate', { description: rateOut }),
    isHealthy: t.exposeBoolean('isHealthy', { nullable: true, description: healthy }),
    issues: t.exposeStringList('issues', {
      description: 'What is wrong, or could be better, in words. Empty while nothing is known.',
    }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When this was measured.' }),
  }),
});

const RecordingStatusEnum = builder.enumType('RecordingStatus', {
  description: 'What has become of the recording that a session makes of itself.',
  values: {
    WAITING: { description: 'It is live, or its files are being made.' },
    READY: { description: 'It can be played and downloaded.' },
    FAILED: { description: 'Nothing could be recorded, or no file made of it.' },
    DELETED: { description: 'There was one; its files were deleted.' },
    NONE: { description: 'There is none: the room does not record its sessions, or nothing was begun.' },
  } satisfies Record<RecordingStatus, { description: string }>,
});

/** The recordings that the room began by itself: one selection, so that the fields that speak of them share one query. */
const recordings = {
  where: { automatic: true },
  select: {
    state: true,
    files: { where: { kind: { in: [...playableKinds] } }, select: { deletedAt: true } },
  },
};
const recorded = { record: true, endedAt: true, jobs: recordings } as const;
/** The same for the fields that are of its statistics. */
const figures = {
  select: {
    stats: {
      select: {
        ...{ sourceSegments: true, sourceSegmentsMs: true, transcodedSegments: true, transcodedSegmentsMs: true },
        ...{ sourceBytes: true, transcodedBytes: true, ingestRate: true, outgoingRate: true },
        ...{ isHealthy: true, issues: true },
      },
    },
  },
} as const;

export const Session = builder.prismaNode('Session', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'One live period of a room: from the first who publishes until nobody has for a while.',
  select: { id: true },
  fields: (t) => ({
    kind: t.string({ description: 'Always `stream`.', resolve: () => 'stream' }),
    name: t.string({
      description: 'The name of its room.',
      select: { room: { select: { name: true } } },
      resolve: ({ room }) => room.name,
    }),
    room: t.relation('room', { description: 'The room it took place in.' }),
    parentId: t.id({
      description: 'Global id of the room.',
      select: { roomId: true },
      resolve: ({ roomId }) => encodeId('Room', roomId),
    }),
    projectId: t.id({
      description: 'Global id of the project.',
      select: { projectId: true },
      resolve: ({ projectId }) => encodeId('Project', projectId),
    }),
    userId: t.id({
      nullable: true,
      description: 'Global id of the API key that made the room. Null when it was made without one.',
      select: { room: { select: { userId: true } } },
      resolve: ({ room }) => room.userId && encodeId('ApiKey', room.userId),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it began.' }),
    createdAtMs: t.field({
      type: 'BigInt',
      description: 'The same in milliseconds since 1970.',
      select: { createdAt: true },
      resolve: ({ createdAt }) => BigInt(createdAt.getTime()),
    }),
    lastSeen: t.expose('lastSeenAt', { type: 'DateTime', description: 'When something was last published in it.' }),
    lastSeenMs: t.field({
      type: 'BigInt',
      description: 'The same in milliseconds since 1970.',
      select: { lastSeenAt: true },
      resolve: ({ lastSeenAt }) => BigInt(lastSeenAt.getTime()),
    }),
    endedAt: t.expose('endedAt', { type: 'DateTime', nullable: true, description: 'Null while it is live.' }),
    sourceSegments: t.int({
      ...figures,
      description: 'Pieces for players that were made of what was recorded, as it was.',
      resolve: ({ stats }) => stats?.sourceSegments ?? 0,
    }),
    transcodedSegments: t.int({
      ...figures,
      description: 'Pieces for players that were made of renditions of it.',
      resolve: ({ stats }) => stats?.transcodedSegments ?? 0,
    }),
    sourceSegmentsDuration: t.float({
      ...figures,
      description: 'Length of the source segments together, seconds.',
      resolve: ({ stats }) => Number(stats?.sourceSegmentsMs ?? 0) / 1_000,
    }),
    transcodedSegmentsDuration: t.float({
      ...figures,
      description: 'Length of the transcoded segments together, seconds.',
      resolve: ({ stats }) => Number(stats?.transcodedSegmentsMs ?? 0) / 1_000,
    }),
    sourceBytes: t.field({
      ...figures,
      type: 'BigInt',
      description: bytesReceived,
      resolve: ({ stats }) => stats?.sourceBytes ?? 0n,
    }),
    transcodedBytes: t.field({
      ...figures,
      type: 'BigInt',
      description: bytesMade,
      resolve: ({ stats }) => stats?.transcodedBytes ?? 0n,
    }),
    ingestRate: t.float({ ...figures, description: rateIn, resolve: ({ stats }) => stats?.ingestRate ?? 0 }),
    outgoingRate: t.float({ ...figures, description: rateOut, resolve: ({ stats }) => stats?.outgoingRate ?? 0 }),
    isHealthy: t.boolean({
      ...figures,
      nullable: true,
      description: healthy,
      resolve: ({ stats }) => stats?.isHealthy,
    }),
    issues: t.stringList({
      ...figures,
      nullable: true,
      description: 'What is wrong, or could be better, in words. Null while nothing is known.',
      resolve: ({ stats }) => (stats && stats.isHealthy !== null ? stats.issues : null),
    }),
    stats: t.relation('stats', { nullable: true, description: 'Latest statistics. Null until there are any.' }),
    record: t.exposeBoolean('record', { description: 'Whether it is recorded by itself, as its room was set then.' }),
    recordingStatus: t.field({
      type: RecordingStatusEnum,
      complexity: 5,
      description: 'What has become of that recording.',
      select: recorded,
      resolve: recordingStatus,
    }),
    playbackId: t.string({
      nullable: true,
      authScopes: { mayUse: 'Session.playbackId' },
      description:
        'What it is played by: whoever has it may. Null for the token of a job, and without the scope `files:read`.',
      select: { playbackId: true },
      resolve: ({ playbackId }, _args, context) => (viewerOf(context).kind === 'key' ? playbackId : null),
    }),
    playbackUrl: t.string({
      nullable: true,
      authScopes: { mayUse: 'Session.playbackId' },
      description: 'Where it plays, as HLS: what is live, then what was recorded. Null where `playbackId` is.',
      select: { playbackId: true },
      resolve: (session, _args, context) => context.services.sessions.playbackUrl(session, viewerOf(context)),
    }),
    recordingUrl: t.string({
      nullable: true,
      authScopes: { mayUse: 'Session.playbackId' },
      complexity: 5,
      description: 'Where the recording plays, as HLS. Null until it is READY, and where `playbackId` is.',
      select: { ...recorded, playbackId: true },
      resolve: (session, _args, context) => context.services.sessions.recordingUrl(session, viewerOf(context)),
    }),
    mp4Url: t.string({
      nullable: true,
      authScopes: { mayUse: 'Session.mp4Url' },
      complexity: 5,
      description:
        'A signed URL of the newest video that was recorded, for a limited time. Null until there is one, and without the scope `files:read`.',
      select: (_args, context) => ({
        jobs: {
          where: { automatic: true, ...visibleJobs(viewerOf(context)) },
          orderBy: { id: 'desc' },
          select: {
            files: {
              where: { kind: 'VIDEO', deletedAt: null },
              orderBy: [{ version: 'desc' }, { id: 'asc' }],
              select: { id: true, name: true },
            },
          },
        },
      }),
      resolve: ({ jobs }, _args, { services }) => {
        const [file] = jobs.flatMap(({ files }) => files);
        return file ? services.files.downloadUrl(file) : null;
      },
    }),
    profiles: t.field({
      type: [PlaybackProfile],
      description: 'Renditions that are made of the recording, as its room was set when it began.',
      select: { profiles: true },
      resolve: profilesOf,
    }),
    recordingSpec: t.field({
      type: RecordingSpec,
      description: 'What is recorded, as its room was set when it began.',
      select: { recordingSpec: true },
      resolve: recordingSpecOf,
    }),
    participants: t.relatedConnection(
      'participants',
      {
        cursor: 'id',
        totalCount: true,
        query: (_args, context) => ({ where: visibleParticipants(viewerOf(context)), orderBy: { id: 'asc' } }),
        description: 'Who published in it, first come first.',
      },
      ParticipantConnection,
      ParticipantEdge,
    ),
    jobs: t.relatedConnection(
      'jobs',
      {
        cursor: 'id',
        totalCount: true,
        query: (_args, context) => ({ where: visibleJobs(viewerOf(context)), orderBy: { id: 'desc' } }),
        description: 'What was recorded of it, or is going to be, newest first.',
      },
      JobConnection,
      JobEdge,
    ),
  }),
});
