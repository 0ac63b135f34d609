/** The words in which schedules are asked for and described: their windows, and what is started in each. */
import { priorities } from '../src/jobs/queue-order.js';
import { type DayOfWeek, daysOfWeek } from '../src/schedules/local-time.js';
import type { Window, WindowRun } from '../src/schedules/windows.js';
import type { ScheduledArchive, ScheduledTask } from '../src/services/scheduled-jobs.js';
import { maskedTargetUrl } from '../src/services/target-urls.js';
import { taskRequestFrom } from '../src/services/task-input.js';
import { builder } from './builder.js';
import { encodeId } from './ids.js';
import { LayoutEnum } from './sources.js';
import { JobPriorityEnum } from './states.js';
import { TaskPayloadType } from './task.js';

export const DayOfWeekEnum = builder.enumType('DayOfWeek', {
  description: 'A day of the week.',
  values: Object.fromEntries(
    daysOfWeek.map((day) => [day, { description: `${day[0]}${day.slice(1).toLowerCase()}.` }]),
  ) as Record<DayOfWeek, { description: string }>,
});

export const ScheduleWindow = builder.objectRef<Window>('ScheduleWindow').implement({
  description: 'One stretch of time a day, by the clocks of the place.',
  fields: (t) => ({
    daysOfWeek: t.expose('daysOfWeek', {
      type: [DayOfWeekEnum],
      description: 'The days on which it begins. Empty: every day.',
    }),
    startAt: t.exposeString('startAt', { description: 'When it begins, `HH:MM:SS`.' }),
    stopAt: t.exposeString('stopAt', {
      description: 'When it ends, `HH:MM:SS`; of the next day where that is not later than the beginning.',
    }),
  }),
});

export const ScheduleRun = builder.objectRef<WindowRun>('ScheduleRun').implement({
  description: 'A window of one day.',
  fields: (t) => ({
    startAt: t.expose('startAt', { type: 'DateTime', description: 'When it begins.' }),
    stopAt: t.expose('stopAt', { type: 'DateTime', description: 'When it ends.' }),
  }),
});

export const ScheduleError = builder
  .objectRef<{ at: Date; startAt: Date; message: string }>('ScheduleError')
  .implement({
    description: 'Why nothing was started in a window.',
    fields: (t) => ({
      at: t.expose('at', { type: 'DateTime', description: 'When that was found.' }),
      startAt: t.expose('startAt', { type: 'DateTime', description: 'When the window began.' }),
      message: t.exposeString('message', { description: 'What was wrong, what was expected, and what to do.' }),
    }),
  });

const given = { nullable: true } as const;

export const ScheduledArchiveType = builder.objectRef<ScheduledArchive>('ScheduledArchive').implement({
  description: 'The archive that a schedule starts in each window, as it was asked for. Null: as usual.',
  fields: (t) => ({
    url: t.string({ ...given, description: 'The page.', resolve: ({ url }) => url }),
    roomId: t.id({
      ...given,
      description: 'Global id of the room.',
      resolve: ({ roomId }) => (roomId == null ? null : encodeId('Room', roomId)),
    }),
    roomName: t.string({ ...given, description: 'Name of the room.', resolve: ({ roomName }) => roomName }),
    sessionId: t.id({
      ...given,
      description: 'Global id of a session of the room.',
      resolve: ({ sessionId }) => (sessionId == null ? null : encodeId('Session', sessionId)),
    }),
    layout: t.field({
      ...given,
      type: LayoutEnum,
      description: 'How the viewer page arranges participants.',
      resolve: ({ layout }) => layout,
    }),
    width: t.int({ ...given, description: 'Pixels.', resolve: ({ width }) => width }),
    height: t.int({ ...given, description: 'Pixels.', resolve: ({ height }) => height }),
    maxDuration: t.int({
      ...given,
      description: 'Seconds from the first frame until it stops by itself. Null: as long as the window.',
      resolve: ({ maxDuration }) => maxDuration,
    }),
    hasAudio: t.boolean({ ...given, description: 'Whether it has sound.', resolve: ({ hasAudio }) => hasAudio }),
    hasVideo: t.boolean({ ...given, description: 'Whether it has a picture.', resolve: ({ hasVideo }) => hasVideo }),
    individualStreamRecord: t.boolean({
      ...given,
      description: 'Whether participants, or media elements, are recorded to files of their own too.',
      resolve: ({ individualStreamRecord }) => individualStreamRecord,
    }),
    broadcastUrl: t.string({
      ...given,
      description: 'Where it is broadcast to, with the stream key left out.',
      resolve: ({ broadcastUrl }) => (broadcastUrl == null ? null : maskedTargetUrl(broadcastUrl)),
    }),
    record: t.boolean({ ...given, description: 'Whether a file is made of it.', resolve: ({ record }) => record }),
    idleTimeout: t.int({
      ...given,
      description: 'Seconds after which it stops when nobody publishes in the room. Null: it does not.',
      resolve: ({ idleTimeout }) => idleTimeout,
    }),
    autostart: t.boolean({
      ...given,
      description: 'Whether it begins by itself; else it waits for `beginArchive`.',
      resolve: ({ autostart }) => autostart,
    }),
    priority: t.field({
      ...given,
      type: JobPriorityEnum,
      description: 'Which jobs of the project go first.',
      resolve: ({ priority }) => priority,
    }),
    callbackUrl: t.string({
      ...given,
      description: 'Where changes of state of each run are posted.',
      resolve: ({ callbackUrl }) => callbackUrl,
    }),
    name: t.string({ ...given, description: 'What each is called.', resolve: ({ name }) => name }),
  }),
});

export const ScheduledTaskType = builder.objectRef<ScheduledTask>('ScheduledTask').implement({
  description: 'The task that a schedule starts in each window.',
  fields: (t) => ({
    payload: t.field({
      type: TaskPayloadType,
      description: 'What it records. It names no files: those are of its runs.',
      resolve: (task) => ({ payload: taskRequestFrom({ ...task, requestId: 'shown' }).payload, fileNames: [] }),
    }),
    priority: t.field({
      type: JobPriorityEnum,
      description: 'Which jobs of the project go first.',
      resolve: ({ priority }) => priority ?? priorities[1],
    }),
    callbackUrl: t.string({
      ...given,
      description: 'Where changes of state of each run are posted. Null: nowhere.',
      resolve: ({ callbackUrl }) => callbackUrl,
    }),
  }),
});
