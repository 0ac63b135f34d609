/** Archives: a page or a room recorded as it is seen and heard. */

import { prismaConnectionHelpers } from '@pothos/plugin-prisma';
import { type ArchiveStatus, archiveStatus } from '../src/jobs/archive-status.js';
import type { PageSource } from '../src/jobs/capture.js';
import { lostMsOf } from '../src/jobs/gaps.js';
import { shownProgress } from '../src/jobs/progress.js';
import { builder } from './builder.js';
import { File, FileConnection } from './file.js';
import { frontDoor } from './front-door.js';
import { encodeId, uuidOf } from './ids.js';
import { gapsOf, JobGap, JobWarning, partsInOrder, warningsInOrder } from './job.js';
import { totalCountField } from './pages.js';
import { Room } from './room.js';
import { Session } from './session.js';
import { LayoutEnum } from './sources.js';
import { JobStateEnum } from './states.js';

const ArchiveStatusEnum = builder.enumType('ArchiveStatus', {
  description: "An archive's status, derived from the state of its job.",
  values: {
    QUEUED: { description: 'Recording has not begun.' },
    STANDBY: { description: 'The page is ready, recording waits to be begun.' },
    RECORDING: { description: 'Being recorded; short interruptions show as gaps.' },
    PAUSED: { description: 'Recording is paused on request.' },
    STOPPED: { description: 'Recorded; the file is not ready yet.' },
    COMPLETE: { description: 'The file is ready.' },
    FAILED: { description: 'No file could be made; the reason says why. There may be one since, made again.' },
    CANCELED: { description: 'Given up before recording began.' },
    EXPIRED: { description: 'It was not begun in time.' },
  } satisfies Record<ArchiveStatus, { description: string }>,
});

const OutputModeEnum = builder.enumType('OutputMode', {
  description: 'What an archive is made of.',
  values: {
    COMPOSED: { value: 'composed', description: 'One picture of all.' },
    INDIVIDUAL: { value: 'individual', description: 'The same, and each participant or media element by itself.' },
  },
});

/** The files an archive's own fields speak of, the first of the newest version first: one selection, so that they share one query. */
const ownFiles = {
  where: { deletedAt: null, kind: { in: ['VIDEO' as const, 'TAR' as const, 'THUMBNAIL' as const] } },
  orderBy: [{ version: 'desc' as const }, { id: 'asc' as const }],
};
const fileConnection = prismaConnectionHelpers(builder, File, {
  cursor: 'id',
  query: { where: { deletedAt: null }, orderBy: { id: 'asc' } },
});

export const Archive = builder.prismaNode('Archive', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'A page or a room recorded as it is seen and heard, to one video file.',
  select: { id: true },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'As given when it was started.' }),
    url: t.exposeString('url', {
      nullable: true,
      description: 'The page. Null where a room is recorded as our own viewer page shows it.',
    }),
    room: t.field({
      type: Room,
      nullable: true,
      description: 'The room that is recorded. Null where it is not of one.',
      select: (_args, _context, nestedSelection) => ({ job: { select: { room: nestedSelection() } } }),
      resolve: ({ job }) => job.room,
    }),
    session: t.field({
      type: Session,
      nullable: true,
      description: 'The live session it is of. Null where it is of no room, or nobody has published yet.',
      select: (_args, _context, nestedSelection) => ({ job: { select: { session: nestedSelection() } } }),
      resolve: ({ job }) => job.session,
    }),
    sessionId: t.id({
      nullable: true,
      description: 'What its room is joined by. Null where it is of no room.',
      select: { job: { select: { roomId: true } } },
      resolve: ({ job }) => job.roomId && encodeId('Room', job.roomId),
    }),
    projectId: t.id(frontDoor.projectId),
    partnerId: t.id({
      description: 'The same as `projectId`, as other services call it.',
      select: { projectId: true },
      resolve: ({ projectId }) => encodeId('Project', projectId),
    }),
    event: t.string({ description: 'Always `archive`.', resolve: () => 'archive' }),
    password: t.string({ description: 'Always empty: files are opened with tokens.', resolve: () => '' }),
    outputMode: t.field({
      type: OutputModeEnum,
      description: 'Whether participants were recorded one by one too.',
      select: { individual: true },
      resolve: ({ individual }) => (individual ? 'individual' : 'composed'),
    }),
    layout: t.field({
      type: LayoutEnum,
      nullable: true,
      description: 'How the participants of the room are arranged. Null where our viewer page is not what is recorded.',
      select: { job: { select: { source: true } } },
      resolve: ({ job }) => {
        const { url, room } = job.source as unknown as PageSource;
        return url === null ? (room?.layout ?? null) : null;
      },
    }),
    idleTimeout: t.float({
      nullable: true,
      description: 'It stops by itself when nobody has published for so long, seconds. Null where it is of no room.',
      select: { job: { select: { idleTimeoutMs: true } } },
      resolve: ({ job }) => (job.idleTimeoutMs === null ? null : job.idleTimeoutMs / 1000),
    }),
    automatic: t.boolean({
      description: 'Whether its room started it by itself, since it records every live period.',
      select: { job: { select: { automatic: true } } },
      resolve: ({ job }) => job.automatic,
    }),
    width: t.exposeInt('width', { description: 'Pixels, even.' }),
    height: t.exposeInt('height', { description: 'Pixels, even.' }),
    resolution: t.string(frontDoor.resolution),
    status: t.field({
      type: ArchiveStatusEnum,
      description: 'Where it is, in the words of archives.',
      select: { job: { select: { state: true } } },
      resolve: ({ job }) => archiveStatus[job.state],
    }),
    state: t.field(frontDoor.state),
    reason: t.field(frontDoor.reason),
    message: t.string(frontDoor.message),
    progress: t.float({
      description: 'From 0 to 100, never falling; 100 only when the file is ready.',
      select: { job: { select: { progress: true, stats: { select: { progress: true } } } } },
      resolve: ({ job }) => shownProgress(job),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    createdAtMs: t.field({
      type: 'BigInt',
      description: 'The same in milliseconds since 1970.',
      select: { createdAt: true },
      resolve: ({ createdAt }) => BigInt(createdAt.getTime()),
    }),
    updatedAtMs: t.field({
      type: 'BigInt',
      description: '`updatedAt` in milliseconds since 1970.',
      select: { job: { select: { updatedAt: true } } },
      resolve: ({ job }) => BigInt(job.updatedAt.getTime()),
    }),
    updatedAt: t.field(frontDoor.updatedAt),
    startedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'First recorded frame.',
      select: { job: { select: { startedAt: true } } },
      resolve: ({ job }) => job.startedAt,
    }),
    stoppedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Last recorded frame.',
      select: { job: { select: { stoppedAt: true } } },
      resolve: ({ job }) => job.stoppedAt,
    }),
    maxDuration: t.int({
      description: 'After this long it stops by itself, seconds since the first frame, pauses excluded.',
      select: { job: { select: { maxDurationMs: true } } },
      resolve: ({ job }) => Math.round(job.maxDurationMs / 1000),
    }),
    autostart: t.boolean({
      description: 'Whether recording begins by itself; else it waits in STANDBY to be begun.',
      select: { job: { select: { autostart: true } } },
      resolve: ({ job }) => job.autostart,
    }),
    launchTime: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it is, or was, to be queued. Null when at once.',
      select: { job: { select: { launchAt: true } } },
      resolve: ({ job }) => job.launchAt,
    }),
    callbackUrl: t.string(frontDoor.callbackUrl),
    warnings: t.field({
      type: [JobWarning],
      complexity: 10,
      description: 'What was, or is, wrong with the recording, oldest first.',
      select: (_args, _context, nestedSelection) => ({
        job: { select: { warnings: nestedSelection(warningsInOrder) } },
      }),
      resolve: ({ job }) => job.warnings,
    }),
    duration: t.float({
      nullable: true,
      description: 'Media in the file, seconds; while recording, what was captured so far. Null before recording.',
      select: { job: { select: { recordedMs: true, stats: { select: { positionMs: true } } } } },
      resolve: ({ job }) => {
        const ms = job.recordedMs ?? job.stats?.positionMs;
        return ms == null ? null : Number(ms) / 1000;
      },
    }),
    gaps: t.field({
      type: [JobGap],
      complexity: 10,
      description: 'What was not captured between the first frame and the last, in order; pauses too.',
      select: { job: { select: { parts: partsInOrder } } },
      resolve: ({ job }) => gapsOf(job.parts),
    }),
    lostDuration: t.float({
      complexity: 10,
      description: 'All gaps that nobody asked for together, seconds: pauses do not count.',
      select: { job: { select: { parts: partsInOrder } } },
      resolve: ({ job }) => lostMsOf(gapsOf(job.parts)) / 1000,
    }),
    file: t.field({
      type: File,
      nullable: true,
      description: 'The video. Null until it is ready.',
      select: (_args, _context, nestedSelection) => ({
        job: { select: { files: nestedSelection({ ...ownFiles, select: { id: true, kind: true } }) } },
      }),
      resolve: ({ job }) => job.files.find(({ kind }) => kind === 'VIDEO') ?? null,
    }),
    size: t.field({
      type: 'BigInt',
      nullable: true,
      description: 'Bytes of the video. Null until it is ready.',
      select: { job: { select: { files: ownFiles } } },
      resolve: ({ job }) => video(job.files)?.sizeBytes,
    }),
    sha256sum: t.field({
      type: 'Base64',
      nullable: true,
      description: 'SHA-256 of the video. Null until it is ready.',
      select: { job: { select: { files: ownFiles } } },
      resolve: ({ job }) => video(job.files)?.sha256,
    }),
    hasVideo: t.boolean({
      nullable: true,
      description: 'Whether the file has a picture. Null until it is ready.',
      select: { job: { select: { files: ownFiles } } },
      resolve: ({ job }) => has(video(job.files)?.videoCodec),
    }),
    hasAudio: t.boolean({
      nullable: true,
      description: 'Whether the file has sound. Null until it is ready.',
      select: { job: { select: { files: ownFiles } } },
      resolve: ({ job }) => has(video(job.files)?.audioCodec),
    }),
    downloadUrl: t.string({
      authScopes: { mayUse: 'Archive.downloadUrl' },
      nullable: true,
      description:
        'A signed URL of the video, or of the `.tar` of an individual recording, that needs no credentials, for a limited time. Null until it is ready.',
      select: { job: { select: { files: ownFiles } } },
      resolve: ({ job }, _args, { services }) => {
        const file = job.files.find(({ kind }) => kind === 'TAR') ?? video(job.files);
        return file ? services.files.downloadUrl(file) : null;
      },
    }),
    thumbnailUrl: t.string({
      authScopes: { mayUse: 'Archive.thumbnailUrl' },
      nullable: true,
      description:
        'A signed URL of a picture from about a tenth into the video, for a limited time. Null until it is ready.',
      select: { job: { select: { files: ownFiles } } },
      resolve: ({ job }, _args, { services }) => {
        const file = job.files.find(({ kind }) => kind === 'THUMBNAIL');
        return file ? services.files.downloadUrl(file) : null;
      },
    }),
    files: t.connection(
      {
        type: File,
        description: 'Everything its job delivered, oldest first.',
        select: (args, context, nestedSelection) => ({
          job: { select: { files: fileConnection.getQuery(args, context, nestedSelection) } },
        }),
        resolve: ({ job }, args, context) => fileConnection.resolve(job.files, args, context),
      },
      FileConnection,
    ),
    job: t.relation('job', { description: 'The job that makes it.' }),
  }),
});

function video<Row extends { kind: string }>(files: Row[]): Row | undefined {
  return files.find(({ kind }) => kind === 'VIDEO');
}
const has = (codec: string | null | undefined) => (codec === undefined ? null : codec !== null);

const ArchivesFilter = builder.inputType('ArchivesFilter', {
  description: 'Which archives to list. Every condition given must hold.',
  fields: (t) => ({
    states: t.field({ type: [JobStateEnum], required: false, description: 'In one of these states.' }),
    createdAfter: t.field({ type: 'DateTime', required: false, description: 'Asked for later than this.' }),
    createdBefore: t.field({ type: 'DateTime', required: false, description: 'Asked for earlier than this.' }),
  }),
});

builder.queryField('archive', (t) =>
  t.withAuth({ mayUse: 'Query.archive' }).prismaField({
    type: Archive,
    nullable: true,
    description: 'An archive by its id. Null when there is none.',
    args: { id: t.arg.id({ description: 'Global id of the archive.' }) },
    resolve: (query, _root, { id }, { services, viewer }) => {
      const archiveId = uuidOf(id, ['Archive']);
      return archiveId === null ? null : services.archives.find(query, archiveId, viewer);
    },
  }),
);

builder.queryField('archives', (t) =>
  t.withAuth({ mayUse: 'Query.archives' }).prismaConnection(
    {
      type: Archive,
      cursor: 'id',
      description: 'The archives of the project, newest first.',
      args: { filter: t.arg({ type: ArchivesFilter, required: false, description: 'Which ones; all when left out.' }) },
      totalCount: (_connection, { filter }, { services, viewer }) => services.archives.count(filter ?? {}, viewer),
      resolve: (query, _root, { filter }, { services, viewer }) => services.archives.list(query, filter ?? {}, viewer),
    },
    {
      name: 'ArchiveConnection',
      description: 'A page of archives.',
      fields: (c) => ({ totalCount: c.int(totalCountField) }),
    },
    { name: 'ArchiveEdge', description: 'An archive and its cursor.' },
  ),
);
