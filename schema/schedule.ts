/** Schedules: windows of time that come again, in each of which something is recorded. */
import { viewerOf } from '../src/context.js';
import { requestError } from '../src/http/errors.js';
import type { Window } from '../src/schedules/windows.js';
import type { Work } from '../src/services/scheduled-jobs.js';
import { builder } from './builder.js';
import { uuidOf } from './ids.js';
import { Job, JobConnection, JobEdge } from './job.js';
import { maxPageSize, totalCountField } from './pages.js';
import { Recording } from './recording.js';
import {
  ScheduledArchiveType,
  ScheduledTaskType,
  ScheduleError,
  ScheduleRun,
  ScheduleWindow,
} from './schedule-values.js';

const usualRuns = 10;
const ofTiming = { timezone: true, windows: true, from: true, until: true, isPaused: true, deletedAt: true } as const;

const workOf = ({ work }: { work: unknown }): Work => work as Work;

export const Schedule = builder.prismaNode('Schedule', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description:
    'Windows of time that come again. In each a run is started at its beginning, and stopped at its end, to the second.',
  select: { id: true },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What it is called.' }),
    timezone: t.exposeString('timezone', { description: 'The place whose clocks count: an IANA name.' }),
    windows: t.field({
      type: [ScheduleWindow],
      description: 'When something is recorded.',
      select: { windows: true },
      resolve: ({ windows }) => windows as unknown as Window[],
    }),
    from: t.expose('from', {
      type: 'DateTime',
      nullable: true,
      description: 'Only windows that begin from then on are run. Null: whenever.',
    }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'No window begins then or later, and one that is open ends. Null: never.',
    }),
    isPaused: t.exposeBoolean('isPaused', { description: 'Whether it starts nothing for now.' }),
    archive: t.field({
      type: ScheduledArchiveType,
      nullable: true,
      description: 'The archive that it starts. Null where it starts something else.',
      select: { work: true },
      resolve: (schedule) => {
        const work = workOf(schedule);
        return work.kind === 'archive' ? work.archive : null;
      },
    }),
    task: t.field({
      type: ScheduledTaskType,
      nullable: true,
      description: 'The task that it starts. Null where it starts something else.',
      select: { work: true },
      resolve: (schedule) => {
        const work = workOf(schedule);
        return work.kind === 'task' ? work.task : null;
      },
    }),
    recording: t.prismaField({
      type: Recording,
      nullable: true,
      description: 'The recording that it starts. Null where it starts something else, and once that is deleted.',
      complexity: 5,
      select: { recordingId: true },
      resolve: (query, { recordingId }, _args, context) =>
        recordingId === null ? null : context.services.recordingPages.find(query, recordingId, viewerOf(context)),
    }),
    nextRunAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the next window begins. Null when none does, and while it is paused.',
      select: ofTiming,
      resolve: (schedule, _args, { services }) => services.schedules.nextRuns(schedule, 1)[0]?.startAt ?? null,
    }),
    nextRuns: t.field({
      type: [ScheduleRun],
      description: 'The next windows, as they are if nothing is changed. None while it is paused.',
      args: {
        first: t.arg.int({
          required: false,
          description: `How many, 1 to ${maxPageSize}; ${usualRuns} when left out.`,
        }),
      },
      complexity: ({ first }) => ({ field: 1, multiplier: first ?? usualRuns }),
      select: ofTiming,
      resolve: (schedule, { first }, { services }) => services.schedules.nextRuns(schedule, runsFrom(first)),
    }),
    lastRunAt: t.expose('lastRunAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Beginning of the window that was last run. Null before the first.',
    }),
    lastError: t.field({
      type: ScheduleError,
      nullable: true,
      description:
        'Why nothing was started in the last window of which that is so. Null when there was none, and when it was started later in that window.',
      select: { lastError: true, lastErrorAt: true, lastErrorOf: true },
      resolve: ({ lastError: message, lastErrorAt: at, lastErrorOf: startAt }) =>
        message !== null && at && startAt ? { at, startAt, message } : null,
    }),
    runs: t.prismaConnection(
      {
        type: Job,
        cursor: 'id',
        description: 'The jobs that it has started, newest first.',
        totalCount: ({ id }, _args, context) => context.services.jobs.count({ scheduleId: id }, viewerOf(context)),
        resolve: (query, { id }, _args, context) =>
          context.services.jobs.list(query, { scheduleId: id }, viewerOf(context)),
      },
      JobConnection,
      JobEdge,
    ),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
});

function runsFrom(first: number | null | undefined): number {
  const most = first ?? usualRuns;
  if (most < 1 || most > maxPageSize)
    throw requestError('BAD_USER_INPUT', `\`first\` must be from 1 to ${maxPageSize}, not ${most}.`);
  return most;
}

builder.prismaObjectFields(Job, (t) => ({
  schedule: t.prismaField({
    type: Schedule,
    nullable: true,
    description:
      'The schedule that started it. Null where none did, once that is deleted, and for the token of the job.',
    complexity: 5,
    select: { scheduleId: true },
    resolve: (query, { scheduleId }, _args, context) =>
      scheduleId === null ? null : context.services.schedules.find(query, scheduleId, viewerOf(context)),
  }),
  stopAt: t.expose('stopAt', {
    type: 'DateTime',
    nullable: true,
    description: 'When it stops, whatever it is at: the end of its window. Null where no schedule started it.',
  }),
}));

builder.queryField('schedule', (t) =>
  t.withAuth({ mayUse: 'Query.schedule' }).prismaField({
    type: Schedule,
    nullable: true,
    description: 'A schedule by its id. Null when there is none.',
    args: { id: t.arg.id({ description: 'Global id of the schedule.' }) },
    resolve: (query, _root, { id }, { services, viewer }) => {
      const scheduleId = uuidOf(id, ['Schedule']);
      return scheduleId === null ? null : services.schedules.find(query, scheduleId, viewer);
    },
  }),
);

builder.queryField('schedules', (t) =>
  t.withAuth({ mayUse: 'Query.schedules' }).prismaConnection(
    {
      type: Schedule,
      cursor: 'id',
      description: 'The schedules of the project, newest first.',
      totalCount: (_connection, _args, { services, viewer }) => services.schedules.count(viewer),
      resolve: (query, _root, _args, { services, viewer }) => services.schedules.list(query, viewer),
    },
    {
      name: 'ScheduleConnection',
      description: 'A page of schedules.',
      fields: (c) => ({ totalCount: c.int(totalCountField) }),
    },
    { name: 'ScheduleEdge', description: 'A schedule and its cursor.' },
  ),
);
