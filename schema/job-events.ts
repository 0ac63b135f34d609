/** Following a job: its state first, then every change in order; and its statistics. */
import { viewerOf } from '../src/context.js';
import type { JobEventPayload, JobStreamItem } from '../src/jobs/events.js';
import { NotFoundError } from '../src/services/errors.js';
import { builder } from './builder.js';
import { encodeId, jobUuidFrom } from './ids.js';
import { Job, JobStats } from './job.js';
import { FailureActorEnum, JobReasonEnum, JobStateEnum, PartEndEnum, WarningCodeEnum } from './states.js';
import { asSubscription } from './streams.js';

type Snapshot = Extract<JobStreamItem, { kind: 'snapshot' }>;
type Lagged = Extract<JobStreamItem, { kind: 'lagged' }>;
type Event<Type extends JobEventPayload['type']> = Extract<JobStreamItem, { kind: 'event' }> & {
  payload: Extract<JobEventPayload, { type: Type }>;
};

const JobEvent = builder.interfaceRef<JobStreamItem>('JobEvent').implement({
  description: "One item of a job's event stream.",
  resolveType: (item) => {
    if (item.kind === 'snapshot') return 'JobSnapshot';
    return item.kind === 'lagged' ? 'StreamLagged' : item.payload.type;
  },
  fields: (t) => ({
    cursor: t.expose('cursor', { type: 'Cursor', description: 'Give it as `after` to go on behind this item.' }),
    sequence: t.exposeInt('sequence', { description: 'Number of the event within its job, from 1, without gaps.' }),
    occurredAt: t.expose('occurredAt', { type: 'DateTime', description: 'When it happened.' }),
    job: t.prismaField({
      type: Job,
      description: 'The job as it is now, which may be later than the event.',
      resolve: async (query, { jobId }, _args, context) => {
        const job = await context.services.jobs.find(query, jobId, viewerOf(context));
        if (!job) throw new NotFoundError('There is no such job any more.');
        return job;
      },
    }),
  }),
});

builder.objectRef<Snapshot>('JobSnapshot').implement({
  description: 'The job as it is when the stream begins; `job` has it. The first item, unless `after` was given.',
  interfaces: [JobEvent],
});

builder.objectRef<Event<'JobStateChanged'>>('JobStateChanged').implement({
  description: 'The job entered another state.',
  interfaces: [JobEvent],
  fields: (t) => ({
    state: t.field({
      type: JobStateEnum,
      description: 'The state it entered.',
      resolve: ({ payload }) => payload.state,
    }),
    previousState: t.field({
      type: JobStateEnum,
      nullable: true,
      description: 'The state it left. Null for its first event.',
      resolve: ({ payload }) => payload.previousState,
    }),
    reason: t.field({
      type: JobReasonEnum,
      nullable: true,
      description: 'Why, where there is more to say than the state does.',
      resolve: ({ payload }) => payload.reason,
    }),
    message: t.string({
      nullable: true,
      description: 'The reason in words.',
      resolve: ({ payload }) => payload.message,
    }),
    actor: t.field({
      type: FailureActorEnum,
      nullable: true,
      description: 'Who has to act. Null when nothing went wrong.',
      resolve: ({ payload }) => payload.actor,
    }),
  }),
});

builder.objectRef<Event<'JobPartStarted'>>('JobPartStarted').implement({
  description: 'The first media of a part was captured.',
  interfaces: [JobEvent],
  fields: (t) => ({
    incarnation: t.int({
      description: 'Counts the recorders that worked on the job.',
      resolve: ({ payload }) => payload.incarnation,
    }),
    number: t.int({ description: 'Counts the parts of one recorder.', resolve: ({ payload }) => payload.number }),
    startedAt: t.field({
      type: 'DateTime',
      description: 'When the first media was captured.',
      resolve: ({ payload }) => new Date(payload.startedAt),
    }),
  }),
});

builder.objectRef<Event<'JobPartEnded'>>('JobPartEnded').implement({
  description: 'A part was closed.',
  interfaces: [JobEvent],
  fields: (t) => ({
    incarnation: t.int({
      description: 'Counts the recorders that worked on the job.',
      resolve: ({ payload }) => payload.incarnation,
    }),
    number: t.int({ description: 'Counts the parts of one recorder.', resolve: ({ payload }) => payload.number }),
    duration: t.float({
      description: 'Media in the part, seconds.',
      resolve: ({ payload }) => payload.durationMs / 1000,
    }),
    cause: t.field({ type: PartEndEnum, description: 'Why it ended.', resolve: ({ payload }) => payload.cause }),
  }),
});

builder.objectRef<Event<'JobBegun'>>('JobBegun').implement({
  description: 'The job was told to begin; its first frame follows.',
  interfaces: [JobEvent],
});

builder.objectRef<Event<'JobWarningRaised'>>('JobWarningRaised').implement({
  description: 'Something is wrong with the recording, which goes on.',
  interfaces: [JobEvent],
  fields: (t) => ({
    warning: t.field({
      type: WarningCodeEnum,
      description: 'What is wrong.',
      resolve: ({ payload }) => payload.code,
    }),
    // Not `message`, which is nullable in JobStateChanged: one selection could not have both.
    detail: t.string({ description: 'The same in words.', resolve: ({ payload }) => payload.message }),
  }),
});

builder.objectRef<Event<'JobWarningCleared'>>('JobWarningCleared').implement({
  description: 'What was wrong with the recording is so no longer.',
  interfaces: [JobEvent],
  fields: (t) => ({
    warning: t.field({
      type: WarningCodeEnum,
      description: 'What was wrong.',
      resolve: ({ payload }) => payload.code,
    }),
  }),
});

builder.objectRef<Event<'JobFileAdded'>>('JobFileAdded').implement({
  description: 'A file of the job can be downloaded.',
  interfaces: [JobEvent],
  fields: (t) => ({
    fileId: t.id({ description: 'Global id of the file.', resolve: ({ payload }) => encodeId('File', payload.fileId) }),
    name: t.string({ description: 'File name.', resolve: ({ payload }) => payload.name }),
  }),
});

builder.objectRef<Event<'JobFilesFailed'>>('JobFilesFailed').implement({
  description: 'The files of an ended job were to be made again, and could not be. The job stays as it ended.',
  interfaces: [JobEvent],
  fields: (t) => ({
    reason: t.field({
      type: JobReasonEnum,
      nullable: true,
      description: 'Why, as a stable code.',
      resolve: ({ payload }) => payload.reason,
    }),
    // Not `message`, which is nullable in JobStateChanged: one selection could not have both.
    detail: t.string({ description: 'The reason in words.', resolve: ({ payload }) => payload.message }),
  }),
});

builder.objectRef<Lagged>('StreamLagged').implement({
  description:
    'This client read too slowly and was cut off: the last item. Subscribe again with its cursor; nothing is lost.',
  interfaces: [JobEvent],
  fields: (t) => ({
    dropped: t.exposeInt('dropped', { description: 'How many events were not sent.' }),
  }),
});

builder.subscriptionField('jobEvents', (t) =>
  t.withAuth({ mayUse: 'Subscription.jobEvents' }).field({
    type: JobEvent,
    description: 'Follows a job: its state now, then every change in order, none twice, none missed.',
    args: {
      jobId: t.arg.id({ description: 'Global id of the job, or of its archive.' }),
      after: t.arg({
        type: 'Cursor',
        required: false,
        description: 'Go on behind this event instead of beginning with a snapshot.',
      }),
    },
    subscribe: async (_root, { jobId, after }, { services, viewer, ending }) => {
      const id = jobUuidFrom(jobId);
      if (!(await services.jobs.find({ select: { id: true } }, id, viewer)))
        throw new NotFoundError('There is no such job.');
      return asSubscription((signal) => services.events.job(id, after ?? null, viewer, signal), ending.signal);
    },
    resolve: (item) => item,
  }),
);

builder.subscriptionField('jobStats', (t) =>
  t.withAuth({ mayUse: 'Subscription.jobStats' }).field({
    type: JobStats,
    description: 'The statistics of a job, at least every second while it is recorded; ends when the job does.',
    args: { jobId: t.arg.id({ description: 'Global id of the job, or of its archive.' }) },
    subscribe: async (_root, { jobId }, { services, viewer, ending }) => {
      const id = jobUuidFrom(jobId);
      if (!(await services.jobs.find({ select: { id: true } }, id, viewer)))
        throw new NotFoundError('There is no such job.');
      return asSubscription((signal) => services.events.stats(id, viewer, signal), ending.signal);
    },
    resolve: (stats) => stats,
  }),
);
