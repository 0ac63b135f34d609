/** Making, changing and deleting schedules. */
import { viewerOf } from '../src/context.js';
import { ConflictError, NotFoundError, UrlRefusedError, ValidationError } from '../src/services/errors.js';
import type { WorkWish } from '../src/services/schedules.js';
import { archiveInputFields } from './archive-input.js';
import { builder } from './builder.js';
import { encodeId, uuidFrom } from './ids.js';
import { requestIdDescription } from './job-requests.js';
import { Schedule } from './schedule.js';
import { DayOfWeekEnum } from './schedule-values.js';
import { sourceWishFrom } from './sources.js';
import { startInputFields } from './start-fields.js';
import { TaskPayloadInput } from './task-requests.js';

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0];

const nameDescription = '1 to 100 characters.';
const timezoneDescription = 'The place whose clocks count: an IANA name, such as `Europe/Berlin`.';
const windowsDescription = '1 to 20. Those that begin together are one, as long as the longest.';
const scheduleIdDescription = 'Global id of the schedule.';

const ScheduleWindowInput = builder.inputType('ScheduleWindowInput', {
  description:
    'One stretch of time a day. Where the clocks leave its beginning out it begins when they are set; where they show it twice, the first time.',
  fields: (t) => ({
    daysOfWeek: t.field({
      type: [DayOfWeekEnum],
      required: false,
      description: 'The days on which it begins; every day when left out or empty.',
    }),
    startAt: t.string({ description: 'When it begins, `HH:MM` or `HH:MM:SS`.' }),
    stopAt: t.string({
      description: 'When it ends, alike; of the next day where that is not later than the beginning.',
    }),
  }),
});

const ScheduledArchiveInput = builder.inputType('ScheduledArchiveInput', {
  description: 'An archive to start in each window.',
  fields: (t) => {
    const idleTimeout = 'not at all when left out';
    return archiveInputFields(t, { maxDuration: 'as long as the window when left out', idleTimeout });
  },
});

const ScheduledTaskInput = builder.inputType('ScheduledTaskInput', {
  description: 'A task to start in each window.',
  fields: (t) => ({
    payload: t.field({ type: TaskPayloadInput, description: 'What to record.' }),
    ...startInputFields(t),
  }),
});

/** What is left out stays as it is where a schedule is changed. */
const scheduleFields = (t: InputFields) => ({
  from: t.field({
    type: 'DateTime',
    required: false,
    description: 'Only windows that begin from then on are run.',
  }),
  until: t.field({
    type: 'DateTime',
    required: false,
    description: 'No window begins then or later, and one that is open ends.',
  }),
  isPaused: t.boolean({ required: false, description: 'Whether it starts nothing for now.' }),
  archive: t.field({
    type: ScheduledArchiveInput,
    required: false,
    description: 'Start an archive. Give this, `task` or `recordingId`.',
  }),
  task: t.field({ type: ScheduledTaskInput, required: false, description: 'Start a task.' }),
  recordingId: t.id({ required: false, description: 'Start a run of this recording: its global id.' }),
});

const CreateScheduleInput = builder.inputType('CreateScheduleInput', {
  description: 'When to record, and what.',
  fields: (t) => ({
    name: t.string({ description: nameDescription }),
    timezone: t.string({ required: false, description: `${timezoneDescription} UTC when left out.` }),
    windows: t.field({ type: [ScheduleWindowInput], description: windowsDescription }),
    ...scheduleFields(t),
    requestId: t.string({
      required: false,
      description:
        'Names this request, at most 128 characters. Sent again with the same id it answers with the first schedule.',
    }),
  }),
});

const UpdateScheduleInput = builder.inputType('UpdateScheduleInput', {
  description:
    'What is to be different of a schedule. What is left out stays as it is; null takes `from` or `until` away.',
  fields: (t) => ({
    scheduleId: t.id({ description: scheduleIdDescription }),
    name: t.string({ required: false, description: nameDescription }),
    timezone: t.string({ required: false, description: timezoneDescription }),
    windows: t.field({ type: [ScheduleWindowInput], required: false, description: windowsDescription }),
    ...scheduleFields(t),
    requestId: t.string({ required: false, description: requestIdDescription }),
  }),
});

const DeleteScheduleInput = builder.inputType('DeleteScheduleInput', {
  description: 'Which schedule to delete.',
  fields: (t) => ({
    scheduleId: t.id({ description: scheduleIdDescription }),
    requestId: t.string({ required: false, description: requestIdDescription }),
  }),
});

interface Answer {
  scheduleId: string;
}

const payload = (name: string, description: string) =>
  builder.objectRef<Answer>(name).implement({
    description,
    fields: (t) => ({
      schedule: t.prismaField({
        type: Schedule,
        description: 'The schedule as it is now.',
        resolve: async (query, { scheduleId }, _args, context) => {
          const schedule = await context.services.schedules.find(query, scheduleId, viewerOf(context));
          if (!schedule) throw new NotFoundError('There is no such schedule any more.');
          return schedule;
        },
      }),
    }),
  });

const DeleteSchedulePayload = builder.objectRef<Answer>('DeleteSchedulePayload').implement({
  description: 'The schedule is gone. What it has started is kept.',
  fields: (t) => ({
    scheduleId: t.id({
      description: 'Its global id, which finds nothing any more.',
      resolve: ({ scheduleId }) => encodeId('Schedule', scheduleId),
    }),
  }),
});

interface GivenWork {
  archive?: typeof ScheduledArchiveInput.$inferInput | null | undefined;
  task?: typeof ScheduledTaskInput.$inferInput | null | undefined;
  recordingId?: string | null | undefined;
}

/** The same with uuids. Throws NotFoundError for what is none of ours. */
const workFrom = ({ archive, task, recordingId }: GivenWork): WorkWish => ({
  archive: archive && { ...archive, ...sourceWishFrom(archive) },
  task,
  recordingId: recordingId && uuidFrom(recordingId, ['Recording'], 'recording'),
});

const idOf = (scheduleId: string): string => uuidFrom(scheduleId, ['Schedule'], 'schedule');
const settingErrors = [ValidationError, UrlRefusedError, NotFoundError, ConflictError];

builder.mutationField('createSchedule', (t) =>
  t.withAuth({ mayUse: 'Mutation.createSchedule' }).field({
    type: payload('CreateSchedulePayload', 'The schedule was made.'),
    description:
      'Makes a schedule: in each of its windows an archive, a task or a run of a recording is started, and stopped at the end. What is to be started is checked as if it were now. The first is that of the next window that begins.',
    args: { input: t.arg({ type: CreateScheduleInput, description: 'When to record, and what.' }) },
    errors: { types: settingErrors },
    resolve: async (_root, { input }, { services, viewer }) => ({
      scheduleId: await services.schedules.create({ ...input, ...workFrom(input) }, viewer),
    }),
  }),
);

builder.mutationField('updateSchedule', (t) =>
  t.withAuth({ mayUse: 'Mutation.updateSchedule' }).field({
    type: payload('UpdateSchedulePayload', 'The schedule was changed.'),
    description:
      'Changes a schedule. A run that goes on stops when its window ends by the new times; one whose window is gone, or of what is paused, goes on to the end that it had.',
    args: { input: t.arg({ type: UpdateScheduleInput, description: 'What is to be different.' }) },
    errors: { types: settingErrors },
    resolve: async (_root, { input: { scheduleId: globalId, ...change } }, { services, viewer }) => {
      const scheduleId = idOf(globalId);
      await services.schedules.update(scheduleId, { ...change, ...workFrom(change) }, viewer);
      return { scheduleId };
    },
  }),
);

builder.mutationField('deleteSchedule', (t) =>
  t.withAuth({ mayUse: 'Mutation.deleteSchedule' }).field({
    type: DeleteSchedulePayload,
    description: 'Deletes a schedule: it starts nothing more. A run that goes on stops at the end of its window.',
    args: { input: t.arg({ type: DeleteScheduleInput, description: 'Which one.' }) },
    errors: { types: [ValidationError, NotFoundError, ConflictError] },
    resolve: async (_root, { input }, { services, viewer }) => {
      const scheduleId = idOf(input.scheduleId);
      await services.schedules.remove(scheduleId, viewer, input.requestId ?? undefined);
      return { scheduleId };
    },
  }),
);
