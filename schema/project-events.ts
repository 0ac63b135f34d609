/** Following all that happens in a project, to its jobs and in its rooms: the state first, then every change in order. */
import { viewerOf } from '../src/context.js';
import { Stream } from '../src/events/source.js';
import { eventTypes } from '../src/events/types.js';
import type { EventType, StreamItem } from '../src/jobs/events.js';
import { builder } from './builder.js';
import { afterDescription, Event, type SnapshotOf, snapshotDescription } from './events.js';
import { jobUuidFrom, uuidFrom } from './ids.js';
import { Job, JobConnection, JobEdge } from './job.js';
import { JobsFilter, jobsFilterFrom } from './jobs.js';
import { JobStateEnum } from './states.js';

builder.objectRef<SnapshotOf<'project'>>('ProjectSnapshot').implement({
  description: `The project as it is now. ${snapshotDescription} \`jobs\` may already show what later items tell: compare \`sequence\`.`,
  interfaces: [Event],
  fields: (t) => ({
    jobs: t.prismaConnection(
      {
        type: Job,
        cursor: 'id',
        description: 'The jobs of the project, newest first: one page of them. For more, go on with the query `jobs`.',
        args: { filter: t.arg({ type: JobsFilter, required: false, description: 'Which ones; all when left out.' }) },
        totalCount: (_connection, { filter }, context) =>
          context.services.jobs.count(jobsFilterFrom(filter), viewerOf(context)),
        resolve: (query, _snapshot, { filter }, context) =>
          context.services.jobs.list(query, jobsFilterFrom(filter), viewerOf(context)),
      },
      JobConnection,
      JobEdge,
    ),
  }),
});

const EventTypeEnum = builder.enumType('EventType', {
  description: 'What events tell. `JOB_FILE_ADDED` is the item of type `JobFileAdded`, and so on.',
  values: Object.fromEntries(
    Object.entries(eventTypes).map(([type, description]) => [
      type.replace(/(?<=[a-z])[A-Z]/g, '_$&').toUpperCase(),
      { value: type as EventType, description },
    ]),
  ),
});

const EventsFilter = builder.inputType('EventsFilter', {
  description: 'Which events are told: those that all given conditions hold for. At most 100 values in each.',
  fields: (t) => ({
    types: t.field({ type: [EventTypeEnum], required: false, description: 'Only these.' }),
    states: t.field({
      type: [JobStateEnum],
      required: false,
      description: 'Only changes of a job into one of these states.',
    }),
    jobIds: t.idList({ required: false, description: 'Only of these jobs, by their global ids or those of archives.' }),
    roomIds: t.idList({ required: false, description: 'Only in these rooms, by their global ids.' }),
  }),
});

builder.subscriptionField('events', (t) =>
  t.withAuth({ mayUse: 'Subscription.events' }).field({
    type: Event,
    description:
      'Follows all jobs and rooms of the project: the state now, then every change in order, none twice, none missed. Does not end by itself.',
    args: {
      filter: t.arg({ type: EventsFilter, required: false, description: 'Which events; all when left out.' }),
      after: t.arg({ type: 'Cursor', required: false, description: afterDescription }),
    },
    subscribe: (_root, { filter, after }, { services, viewer }) => {
      const jobIds = filter?.jobIds?.map(jobUuidFrom);
      const roomIds = filter?.roomIds?.map((id) => uuidFrom(id, ['Room'], 'room'));
      const conditions = { ...filter, jobIds, roomIds };
      return new Stream<StreamItem>(services.events.project(conditions, after ?? null, viewer));
    },
    resolve: (item) => item,
  }),
);
