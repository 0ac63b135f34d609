/** Following a job: its state first, then every change in order. */
import { viewerOf } from '../src/context.js';
import { Stream } from '../src/events/source.js';
import type { JobEventPayload, JobEventType, StreamItem } from '../src/jobs/events.js';
import { builder } from './builder.js';
import { afterDescription, Event, snapshotDescription, typeNameOf } from './events.js';
import { encodeId } from './ids.js';
import { Job } from './job.js';
import { jobIdDescription, jobIdFrom } from './job-id.js';
import { FailureActorEnum, JobReasonEnum, JobStateEnum, PartEndEnum, WarningCodeEnum } from './states.js';
import { JobTargetStateEnum } from './target.js';

type Snapshot = Extract<StreamItem, { kind: 'snapshot' }>;
type Lagged = Extract<StreamItem, { kind: 'lagged' }>;
type Told<Type extends JobEventType> = Extract<StreamItem, { kind: 'event' }> & {
  payload: Extract<JobEventPayload, { type: Type }>;
};

function jobIdOf(item: StreamItem): string | null {
  if (item.kind === 'event') return item.jobId;
  return item.subject.of === 'job' ? item.subject.jobId : null;
}

export const JobEvent = builder.interfaceRef<StreamItem>('JobEvent').implement({
  description: "One item of a job's stream of events.",
  interfaces: [Event],
  resolveType: typeNameOf,
  fields: (t) => ({
    job: t.prismaField({
      type: Job,
      nullable: true,
      description:
        'The job as it is now, which may be later than the event. Null once it is gone, and in a `StreamLagged` of more than one job.',
      resolve: (query, item, _args, context) => {
        const jobId = jobIdOf(item);
        return jobId === null ? null : context.services.jobs.find(query, jobId, viewerOf(context));
      },
    }),
  }),
});

builder.objectRef<Snapshot>('JobSnapshot').implement({
  description: `The job as it is now: \`job\` has it. ${snapshotDescription} Its cursor is good for streams of this job only.`,
  interfaces: [Event, JobEvent],
});

builder.objectRef<Told<'JobStateChanged'>>('JobStateChanged').implement({
  description: 'The job entered another state.',
  interfaces: [Event, JobEvent],
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

builder.objectRef<Told<'JobPartStarted'>>('JobPartStarted').implement({
  description: 'The first media of a part was captured.',
  interfaces: [Event, JobEvent],
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

builder.objectRef<Told<'JobPartEnded'>>('JobPartEnded').implement({
  description: 'A part was closed.',
  interfaces: [Event, JobEvent],
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

builder.objectRef<Told<'JobBegun'>>('JobBegun').implement({
  description: 'The job was told to begin; its first frame follows.',
  interfaces: [Event, JobEvent],
});

builder.objectRef<Told<'JobWarningRaised'>>('JobWarningRaised').implement({
  description: 'Something is wrong with the recording, which goes on.',
  interfaces: [Event, JobEvent],
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

builder.objectRef<Told<'JobWarningCleared'>>('JobWarningCleared').implement({
  description: 'What was wrong with the recording is so no longer.',
  interfaces: [Event, JobEvent],
  fields: (t) => ({
    warning: t.field({
      type: WarningCodeEnum,
      description: 'What was wrong.',
      resolve: ({ payload }) => payload.code,
    }),
  }),
});

builder.objectRef<Told<'JobFileAdded'>>('JobFileAdded').implement({
  description: 'A file of the job can be downloaded.',
  interfaces: [Event, JobEvent],
  fields: (t) => ({
    fileId: t.id({ description: 'Global id of the file.', resolve: ({ payload }) => encodeId('File', payload.fileId) }),
    name: t.string({ description: 'File name.', resolve: ({ payload }) => payload.name }),
  }),
});

builder.objectRef<Told<'JobFileExpiring'>>('JobFileExpiring').implement({
  description: 'A file of the job is about to be removed, since its time is over. `setHold` keeps it.',
  interfaces: [Event, JobEvent],
  fields: (t) => ({
    fileId: t.id({ description: 'Global id of the file.', resolve: ({ payload }) => encodeId('File', payload.fileId) }),
    name: t.string({ description: 'File name.', resolve: ({ payload }) => payload.name }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'When it will be removed.',
      resolve: ({ payload }) => new Date(payload.expiresAt),
    }),
  }),
});

const FileRemovalCauseEnum = builder.enumType('FileRemovalCause', {
  description: 'Why a file was removed.',
  values: {
    EXPIRED: { description: 'Its time was over.' },
    DELETED: { description: 'It, or its recording, was deleted on request.' },
  },
});

builder.objectRef<Told<'JobFileRemoved'>>('JobFileRemoved').implement({
  description: 'A file of the job was removed: nobody gets it any more.',
  interfaces: [Event, JobEvent],
  fields: (t) => ({
    fileId: t.id({
      description: 'Global id that the file had.',
      resolve: ({ payload }) => encodeId('File', payload.fileId),
    }),
    name: t.string({ description: 'File name.', resolve: ({ payload }) => payload.name }),
    // Not `cause`, which is another enum in JobPartEnded: one selection could not have both.
    removalCause: t.field({
      type: FileRemovalCauseEnum,
      description: 'Why it was removed.',
      resolve: ({ payload }) => payload.cause,
    }),
  }),
});

builder.objectRef<Told<'JobFilesFailed'>>('JobFilesFailed').implement({
  description: 'The files of an ended job were to be made again, and could not be. The job stays as it ended.',
  interfaces: [Event, JobEvent],
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

builder.objectRef<Told<'JobTargetChanged'>>('JobTargetChanged').implement({
  description: "The job's broadcast to one far server goes better or worse than before.",
  interfaces: [Event, JobEvent],
  fields: (t) => ({
    targetId: t.id({
      description: 'Global id of the target.',
      resolve: ({ payload }) => encodeId('JobTarget', payload.targetId),
    }),
    // Not `state`, which is another enum in JobStateChanged: one selection could not have both.
    targetState: t.field({
      type: JobTargetStateEnum,
      description: 'How it goes now.',
      resolve: ({ payload }) => payload.state,
    }),
    message: t.string({
      nullable: true,
      description: 'Why, in words, where there is more to say than the state does.',
      resolve: ({ payload }) => payload.message,
    }),
  }),
});

builder.objectRef<Lagged>('StreamLagged').implement({
  description:
    'More happened than this client could be sent in time, mostly because it read too slowly: the last item. Subscribe again with its cursor; nothing is lost.',
  interfaces: [Event, JobEvent],
  fields: (t) => ({
    dropped: t.exposeInt('dropped', { description: 'How many events were not sent.' }),
  }),
});

builder.subscriptionField('jobEvents', (t) =>
  t.withAuth({ mayUse: 'Subscription.jobEvents' }).field({
    type: JobEvent,
    description:
      'Follows a job: its state now, then every change in order, none twice, none missed. Does not end by itself: files can come and go after a job has ended.',
    args: {
      jobId: t.arg.id({ description: jobIdDescription }),
      after: t.arg({
        type: 'Cursor',
        required: false,
        description: afterDescription,
      }),
    },
    subscribe: async (_root, { jobId, after }, { services, viewer }) =>
      new Stream<StreamItem>(await services.events.job(await jobIdFrom(jobId, services), after ?? null, viewer)),
    resolve: (item) => item,
  }),
);
