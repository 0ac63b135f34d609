/** What archives and renders, and whatever else is a way of asking for a job, show of their job, each by the same name. */
import type { Job } from '../src/generated/prisma/client.js';
import type { JobReason } from '../src/jobs/reasons.js';
import { encodeId } from './ids.js';
import { JobReasonEnum, JobStateEnum } from './states.js';

type Of<Column extends keyof Job> = { job: Pick<Job, Column> };

/** Options of fields, for types whose row has the job's id and relation. */
export const frontDoor = {
  projectId: {
    description: 'Global id of the project.',
    select: { projectId: true },
    resolve: ({ projectId }: { projectId: string }) => encodeId('Project', projectId),
  },
  resolution: {
    description: 'Width and height, such as `1280x720`.',
    select: { width: true, height: true },
    resolve: ({ width, height }: { width: number; height: number }) => `${width}x${height}`,
  },
  state: {
    type: JobStateEnum,
    description: 'Where its job is.',
    select: { job: { select: { state: true } } },
    resolve: ({ job }: Of<'state'>) => job.state,
  },
  reason: {
    type: JobReasonEnum,
    nullable: true,
    description: 'Why it is in this status, where there is more to say than the status does.',
    select: { job: { select: { reason: true } } },
    resolve: ({ job }: Of<'reason'>) => job.reason as JobReason | null,
  },
  message: {
    nullable: true,
    description: 'The reason in words.',
    select: { job: { select: { message: true } } },
    resolve: ({ job }: Of<'message'>) => job.message,
  },
  callbackUrl: {
    nullable: true,
    description: 'Where its changes of state are posted.',
    select: { job: { select: { callbackUrl: true } } },
    resolve: ({ job }: Of<'callbackUrl'>) => job.callbackUrl,
  },
  updatedAt: {
    type: 'DateTime',
    description: 'When it last changed.',
    select: { job: { select: { updatedAt: true } } },
    resolve: ({ job }: Of<'updatedAt'>) => job.updatedAt,
  },
} as const;
