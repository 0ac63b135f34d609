/** Tasks: people of a room recorded one by one, or a page, as an egress manager asks for it. */
import { prismaConnectionHelpers } from '@pothos/plugin-prisma';
import type { JobReason } from '../src/jobs/reasons.js';
import { taskReason, taskState } from '../src/jobs/task-state.js';
import type { TaskAudio, TaskPayload, TaskVideo } from '../src/tasks/payload.js';
import { builder } from './builder.js';
import { File, FileConnection } from './file.js';
import { frontDoor } from './front-door.js';
import { uuidOf } from './ids.js';
import { totalCountField } from './pages.js';
import { OutputFormatEnum } from './recording-values.js';
import { Room } from './room.js';
import { JobStateEnum } from './states.js';
import { TaskActionEnum, TaskLayoutEnum, TaskReasonEnum, TaskStateEnum } from './task-values.js';

const TaskVideoType = builder.objectRef<TaskVideo>('TaskVideo').implement({
  description: 'How the picture of a task is encoded.',
  fields: (t) => ({
    width: t.exposeInt('width', { description: 'Pixels, even.' }),
    height: t.exposeInt('height', { description: 'Pixels, even.' }),
    frameRate: t.exposeInt('frameRate', { description: 'Frames per second.' }),
    bitrate: t.exposeInt('bitrate', { description: 'Bits per second, at most.' }),
  }),
});

const TaskAudioType = builder.objectRef<TaskAudio>('TaskAudio').implement({
  description: 'How the sound of a task is encoded.',
  fields: (t) => ({
    sampleRate: t.exposeInt('sampleRate', { description: 'Hertz.' }),
    channels: t.exposeInt('channels', { description: '1 or 2.' }),
    bitrate: t.exposeInt('bitrate', { description: 'Bits per second.' }),
  }),
});

interface ShownPayload {
  payload: TaskPayload;
  fileNames: string[];
}

export const TaskPayloadType = builder.objectRef<ShownPayload>('TaskPayload').implement({
  description: 'What a task records, with the defaults of what was left out. Credentials are not shown again.',
  fields: (t) => ({
    layout: t.field({
      type: TaskLayoutEnum,
      description: 'What it records.',
      resolve: ({ payload }) => payload.layout,
    }),
    channel: t.string({
      nullable: true,
      description: 'Name of the room. Null for a page.',
      resolve: ({ payload }) => payload.channel,
    }),
    users: t.stringList({
      nullable: true,
      description: 'Identities of those who are recorded. Null: everybody who publishes, and for a page.',
      resolve: ({ payload }) => payload.users,
    }),
    url: t.string({
      nullable: true,
      description: 'The page. Null for a room.',
      resolve: ({ payload }) => payload.url,
    }),
    webGL: t.boolean({
      description: 'Whether the page may draw with WebGL, in software.',
      resolve: ({ payload }) => payload.webGL,
    }),
    filenamePattern: t.string({
      description: 'What its files are named by.',
      resolve: ({ payload }) => payload.filenamePattern,
    }),
    format: t.field({
      type: OutputFormatEnum,
      description: 'What its files are.',
      resolve: ({ payload }) => payload.format,
    }),
    video: t.field({
      type: TaskVideoType,
      nullable: true,
      description: 'How the picture is encoded. Null: as it is sent; a page as it is usually.',
      resolve: ({ payload }) => payload.video,
    }),
    audio: t.field({
      type: TaskAudioType,
      nullable: true,
      description: 'How the sound is encoded. Null: as it is sent; a page as it is usually.',
      resolve: ({ payload }) => payload.audio,
    }),
    maxDuration: t.int({
      description: 'Seconds since the first frame after which it stops by itself.',
      resolve: ({ payload }) => payload.maxDuration,
    }),
    idleTimeout: t.int({
      nullable: true,
      description: 'Seconds after which it stops when none of them publishes any more. Null for a page.',
      resolve: ({ payload }) => payload.idleTimeout,
    }),
    files: t.stringList({
      description: 'Names of the files that it has made so far: of playlists, not of the media they name.',
      resolve: ({ fileNames }) => fileNames,
    }),
  }),
});

const TaskLease = builder.objectRef<{ workerId: string; renewedAt: Date; expiresAt: Date }>('TaskLease').implement({
  description: 'Which recorder has a task, and until when: it renews its lease every few seconds.',
  fields: (t) => ({
    workerId: t.exposeString('workerId', { description: 'Id of the machine that records.' }),
    renewedAt: t.expose('renewedAt', { type: 'DateTime', description: 'When it was last heard of.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'When it is given up for lost, if it is not heard of before: the task then goes on elsewhere.',
    }),
  }),
});

/** What a task was asked for: not its pictures, nor the media that playlists name. */
const namedFiles = {
  where: { deletedAt: null, kind: { in: ['VIDEO' as const, 'PLAYLIST' as const] } },
  orderBy: [{ version: 'desc' as const }, { id: 'asc' as const }],
};
const fileConnection = prismaConnectionHelpers(builder, File, {
  cursor: 'id',
  query: { where: { deletedAt: null }, orderBy: { id: 'asc' } },
});
const ofEnd = { job: { select: { state: true, reason: true, message: true } } } as const;

export const Task = builder.prismaNode('Task', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'People of a room, or a page, to be recorded as soon as a recorder has room.',
  select: { id: true },
  fields: (t) => ({
    projectId: t.id(frontDoor.projectId),
    requestId: t.exposeString('requestId', { description: 'What the request that started it was called.' }),
    state: t.field({
      type: TaskStateEnum,
      description: 'Where it is, in the words of tasks.',
      select: { job: { select: { state: true } } },
      resolve: ({ job }) => taskState[job.state],
    }),
    action: t.field({
      type: TaskActionEnum,
      description: 'What was last asked of it.',
      select: { stopRequestedAt: true },
      resolve: ({ stopRequestedAt }) => (stopRequestedAt ? ('STOP' as const) : ('START' as const)),
    }),
    reason: t.field({
      type: TaskReasonEnum,
      nullable: true,
      description: 'Why it has STOPPED. Null in every other state.',
      select: ofEnd,
      resolve: ({ job }) => taskReason(job.state, job.reason as JobReason | null),
    }),
    message: t.string(frontDoor.message),
    error: t.string({
      nullable: true,
      description: 'What went wrong, in words. Null unless it has FAILED, or its TIMEOUT was over.',
      select: ofEnd,
      resolve: ({ job }) => (['FAILED', 'TIMEOUT'].includes(taskState[job.state]) ? job.message : null),
    }),
    lease: t.field({
      type: TaskLease,
      nullable: true,
      description: 'Which recorder has it. Null while none has.',
      select: { job: { select: { placement: { select: { machine: true } } } } },
      resolve: ({ job }, _args, { services }) =>
        job.placement?.machine ? services.tasks.leaseOf(job.placement.machine) : null,
    }),
    payload: t.field({
      type: TaskPayloadType,
      description: 'What it records.',
      select: { payload: true, job: { select: { files: namedFiles } } },
      resolve: ({ payload, job }) => ({
        payload: payload as unknown as TaskPayload,
        fileNames: job.files.map(({ name }) => name),
      }),
    }),
    room: t.field({
      type: Room,
      nullable: true,
      description: 'The room. Null for a page.',
      select: (_args, _context, nestedSelection) => ({ job: { select: { room: nestedSelection() } } }),
      resolve: ({ job }) => job.room,
    }),
    files: t.connection(
      {
        type: File,
        description: 'Everything it delivered, oldest first.',
        select: (args, context, nestedSelection) => ({
          job: { select: { files: fileConnection.getQuery(args, context, nestedSelection) } },
        }),
        resolve: ({ job }, args, context) => fileConnection.resolve(job.files, args, context),
      },
      FileConnection,
    ),
    callbackUrl: t.string(frontDoor.callbackUrl),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    updatedAt: t.field(frontDoor.updatedAt),
    job: t.relation('job', { description: 'The job that does it.' }),
  }),
});

const TasksFilter = builder.inputType('TasksFilter', {
  description: 'Which tasks to list. Every condition given must hold.',
  fields: (t) => ({
    states: t.field({ type: [JobStateEnum], required: false, description: 'Whose job is in one of these states.' }),
    createdAfter: t.field({ type: 'DateTime', required: false, description: 'Asked for later than this.' }),
    createdBefore: t.field({ type: 'DateTime', required: false, description: 'Asked for earlier than this.' }),
  }),
});

builder.queryField('task', (t) =>
  t.withAuth({ mayUse: 'Query.task' }).prismaField({
    type: Task,
    nullable: true,
    description: 'A task by its id. Null when there is none.',
    args: { id: t.arg.id({ description: 'Global id of the task.' }) },
    resolve: (query, _root, { id }, { services, viewer }) => {
      const taskId = uuidOf(id, ['Task']);
      return taskId === null ? null : services.tasks.find(query, taskId, viewer);
    },
  }),
);

builder.queryField('tasks', (t) =>
  t.withAuth({ mayUse: 'Query.tasks' }).prismaConnection(
    {
      type: Task,
      cursor: 'id',
      description: 'The tasks of the project, newest first.',
      args: { filter: t.arg({ type: TasksFilter, required: false, description: 'Which ones; all when left out.' }) },
      totalCount: (_connection, { filter }, { services, viewer }) => services.tasks.count(filter ?? {}, viewer),
      resolve: (query, _root, { filter }, { services, viewer }) => services.tasks.list(query, filter ?? {}, viewer),
    },
    {
      name: 'TaskConnection',
      description: 'A page of tasks.',
      fields: (c) => ({ totalCount: c.int(totalCountField) }),
    },
    { name: 'TaskEdge', description: 'A task and its cursor.' },
  ),
);
