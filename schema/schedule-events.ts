/** What happens to schedules besides the jobs they start, as `events` tells it. */
import { viewerOf } from '../src/context.js';
import type { StreamItem } from '../src/jobs/events.js';
import type { ScheduleEventPayload } from '../src/schedules/events.js';
import { builder } from './builder.js';
import { Event } from './events.js';
import { Schedule } from './schedule.js';

type Told = Extract<StreamItem, { kind: 'event'; payload: ScheduleEventPayload }>;

builder.objectRef<Told>('ScheduleRunFailed').implement({
  description:
    'A window of a schedule began, and nothing could be started. It is tried again and again as long as the window is open, and told once.',
  interfaces: [Event],
  fields: (t) => ({
    schedule: t.prismaField({
      type: Schedule,
      nullable: true,
      description: 'The schedule as it is now. Null once it is deleted.',
      resolve: (query, { payload }, _args, context) =>
        context.services.schedules.find(query, payload.scheduleId, viewerOf(context)),
    }),
    startAt: t.field({
      type: 'DateTime',
      description: 'When the window began.',
      resolve: ({ payload }) => new Date(payload.startAt),
    }),
    message: t.string({
      description: 'What was wrong, what was expected, and what to do.',
      resolve: ({ payload }) => payload.message,
    }),
  }),
});
