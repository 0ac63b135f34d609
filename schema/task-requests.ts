/** Starting and stopping tasks. */
import { viewerOf } from '../src/context.js';
import { ConflictError, NotFoundError, UrlRefusedError, ValidationError } from '../src/services/errors.js';
import type { StartedJob } from '../src/services/start-job.js';
import type { StoppedTask } from '../src/services/tasks.js';
import { placeholders } from '../src/tasks/file-names.js';
import { builder } from './builder.js';
import { encodeId, uuidFrom } from './ids.js';
import { OutputFormatEnum } from './recording-values.js';
import { startedFields, startInputFields } from './start-fields.js';
import { Task } from './task.js';
import { TaskAnswerEnum, TaskCommandEnum, TaskLayoutEnum } from './task-values.js';

const TaskVideoInput = builder.inputType('TaskVideoInput', {
  description: 'How to encode the picture: into this size, with black beside what has other proportions.',
  fields: (t) => ({
    width: t.int({
      required: false,
      description: 'Pixels, 240 to 1,920; 1,280 when left out. Odd ones are rounded up.',
    }),
    height: t.int({
      required: false,
      description: 'Pixels, 240 to 1,920; 720 when left out. Odd ones are rounded up.',
    }),
    frameRate: t.int({ required: false, description: 'Frames per second, 1 to 60; 30 when left out.' }),
    bitrate: t.int({
      required: false,
      description: 'Bits per second at most, 50,000 to 20,000,000; 1,000,000 when left out.',
    }),
  }),
});

const TaskAudioInput = builder.inputType('TaskAudioInput', {
  description: 'How to encode the sound: as AAC, in an MP3 file as MP3.',
  fields: (t) => ({
    sampleRate: t.int({ required: false, description: 'Hertz, 8,000 to 48,000; 48,000 when left out.' }),
    channels: t.int({ required: false, description: '1 or 2; 2 when left out.' }),
    bitrate: t.int({ required: false, description: 'Bits per second, 8,000 to 320,000; 128,000 when left out.' }),
  }),
});

const patternWords = Object.entries(placeholders).map(([name, meaning]) => `\`{${name}}\` (${meaning})`);

export const TaskPayloadInput = builder.inputType('TaskPayloadInput', {
  description: 'What to record. A room needs its `channel`, a page its `url`.',
  fields: (t) => ({
    layout: t.field({ type: TaskLayoutEnum, required: false, description: 'What to record; FLAT when left out.' }),
    channel: t.string({ required: false, description: 'FLAT: name of the room.' }),
    accessToken: t.string({
      required: false,
      description: 'FLAT: a token of the room. Checked, if given, and never shown again.',
    }),
    workerUid: t.int({
      required: false,
      description: 'FLAT: the id that the recorder joins the room with, unseen, 1 to 999,999,999.',
    }),
    users: t.stringList({
      required: false,
      description: 'FLAT: identities of those to record, at most 32. Everybody who publishes when left out.',
    }),
    url: t.string({
      required: false,
      description: 'FREESTYLE: http or https address of the page; at most 2,048 characters.',
    }),
    webGL: t.boolean({
      required: false,
      description: 'FREESTYLE: the page may draw with WebGL, which the processor does. False when left out.',
    }),
    filenamePattern: t.string({
      required: false,
      description: `What files are named by, at most 200 characters: letters, digits, spaces, ".", "_", "-", and ${patternWords.join(', ')}. Room and user are of FLAT alone.`,
    }),
    format: t.field({
      type: OutputFormatEnum,
      required: false,
      description: 'What the files are; M3U8 when left out.',
    }),
    video: t.field({
      type: TaskVideoInput,
      required: false,
      description: 'How to encode the picture. Left out it stays as it is sent, unless the format does not hold that.',
    }),
    audio: t.field({
      type: TaskAudioInput,
      required: false,
      description: 'How to encode the sound. Left out it stays as it is sent, unless the format does not hold that.',
    }),
    maxDuration: t.int({
      required: false,
      description: 'Seconds from the first frame until it stops by itself; 1 to 86,400, 86,400 when left out.',
    }),
    idleTimeout: t.int({
      required: false,
      description:
        'FLAT: seconds after which it stops when none of them publishes any more; 5 to 86,400, 60 when left out.',
    }),
  }),
});

const StartTaskInput = builder.inputType('StartTaskInput', {
  description: 'A task to start.',
  fields: (t) => ({
    requestId: t.string({
      description:
        'Names this request, at most 128 characters. Sent again with the same id it answers with the same task, and with other input it is a conflict.',
    }),
    cmd: t.field({
      type: TaskCommandEnum,
      required: false,
      description: 'What the task does; RECORD when left out.',
    }),
    payload: t.field({ type: TaskPayloadInput, description: 'What to record.' }),
    ...startInputFields(t),
  }),
});

const StartTaskPayload = builder.objectRef<StartedJob & { requestId: string }>('StartTaskPayload').implement({
  description: 'The task was accepted.',
  fields: (t) => ({
    requestId: t.exposeString('requestId', { description: 'As it was given.' }),
    taskId: t.id({ description: 'Global id of the task.', resolve: ({ jobId }) => encodeId('Task', jobId) }),
    status: t.field({
      type: TaskAnswerEnum,
      description: 'Always ENQUEUED.',
      resolve: () => 'ENQUEUED' as const,
    }),
    task: t.prismaField({
      type: Task,
      description: 'The task as it is now.',
      resolve: (query, { jobId }, _args, context) => taskNow(query, jobId, context),
    }),
    accessToken: t.string(startedFields('task').accessToken),
    sequence: t.int(startedFields('task').sequence),
  }),
});

builder.mutationField('startTask', (t) =>
  t.withAuth({ mayUse: 'Mutation.startTask' }).field({
    type: StartTaskPayload,
    description:
      'Starts to record people of a room one by one, or a page. Answers once that is accepted; should no recorder have room in time, the task ends in TIMEOUT.',
    args: { input: t.arg({ type: StartTaskInput, description: 'What to do.' }) },
    errors: { types: [ValidationError, UrlRefusedError, NotFoundError, ConflictError] },
    resolve: async (_root, { input }, { services, viewer }) => ({
      ...(await services.tasks.start(input, viewer)),
      requestId: input.requestId,
    }),
  }),
);

const StopTaskInput = builder.inputType('StopTaskInput', {
  description: 'Which task to stop.',
  fields: (t) => ({
    taskId: t.id({ description: 'Global id of the task.' }),
    requestId: t.string({
      description:
        'Names this request, at most 128 characters: another one than that which started the task may have the same.',
    }),
  }),
});

const StopTaskPayload = builder.objectRef<StoppedTask>('StopTaskPayload').implement({
  description: 'What becomes of the stop.',
  fields: (t) => ({
    requestId: t.exposeString('requestId', { description: 'As it was given.' }),
    status: t.field({
      type: TaskAnswerEnum,
      description: 'COMPLETED when the task had ended before.',
      resolve: ({ hadEnded }) => (hadEnded ? ('COMPLETED' as const) : ('ENQUEUED' as const)),
    }),
    message: t.string({
      description: 'The same in words.',
      resolve: ({ hadEnded }) =>
        hadEnded
          ? 'The task had ended before it was to stop.'
          : 'The stop is accepted. The task is STOPPING when its recorder has taken it up, and STOPPED when its files are there.',
    }),
    task: t.prismaField({
      type: Task,
      description: 'The task as it is now.',
      resolve: (query, { taskId }, _args, context) => taskNow(query, taskId, context),
    }),
  }),
});

builder.mutationField('stopTask', (t) =>
  t.withAuth({ mayUse: 'Mutation.stopTask' }).field({
    type: StopTaskPayload,
    description:
      'Has a task stop, whatever it is at: one that has not begun is given up. Accepted at once; follow the task to its final state.',
    args: { input: t.arg({ type: StopTaskInput, description: 'Which task to stop.' }) },
    errors: { types: [ValidationError, NotFoundError, ConflictError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.tasks.stop(uuidFrom(input.taskId, ['Task'], 'task'), input.requestId, viewer),
  }),
);

async function taskNow(query: object, id: string, context: Parameters<typeof viewerOf>[0]) {
  const task = await context.services.tasks.find(query, id, viewerOf(context));
  if (!task) throw new NotFoundError('There is no such task any more.');
  return task;
}
