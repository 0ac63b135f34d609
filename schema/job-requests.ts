/** What can be asked of a job of any kind: to be given up, paused, resumed, or made into files again. */
import type { Viewer } from '../src/auth/viewer.js';
import {
  ConflictError,
  type ExpectedError,
  InvalidStateError,
  NotFoundError,
  PartsGoneError,
  UnavailableError,
  ValidationError,
} from '../src/services/errors.js';
import type { JobAnswer } from '../src/services/jobs.js';
import type { Services } from '../src/services/services.js';
import { builder } from './builder.js';
import { Job } from './job.js';
import { jobIdDescription, jobIdFrom } from './job-id.js';
import { jobNow } from './job-now.js';

/** Errors of every request to a job that exists. */
export const requestErrors: (new (...args: never[]) => ExpectedError)[] = [
  ValidationError,
  NotFoundError,
  InvalidStateError,
  ConflictError,
  UnavailableError,
];

export const requestIdDescription =
  'Names this request, at most 128 characters. Sent again with the same id it has no second effect.';

interface JobRequestField {
  type: string;
  field: 'cancelJob' | 'pauseJob' | 'resumeJob' | 'refinalizeJob';
  /** Describes the input. */
  which: string;
  /** Describes the payload. */
  accepted: string;
  /** Describes the mutation. */
  does: string;
  errors: typeof requestErrors;
  ask(services: Services, jobId: string, viewer: Viewer, requestId: string | undefined): Promise<JobAnswer>;
}

const requests: JobRequestField[] = [
  {
    type: 'CancelJob',
    field: 'cancelJob',
    which: 'Which job to give up.',
    accepted: 'The cancellation was accepted.',
    does: 'Gives up a job that has not begun to record. Nothing of it is kept.',
    errors: requestErrors,
    ask: ({ jobs }, jobId, viewer, requestId) => jobs.request('cancel', jobId, viewer, requestId),
  },
  {
    type: 'PauseJob',
    field: 'pauseJob',
    which: 'Which job to pause.',
    accepted: 'The pause was accepted.',
    does: 'Stops to record for a while, with the source kept open. The result is one file without the pause. A job that stays paused for too long ends with what it has.',
    errors: requestErrors,
    ask: ({ jobs }, jobId, viewer, requestId) => jobs.request('pause', jobId, viewer, requestId),
  },
  {
    type: 'ResumeJob',
    field: 'resumeJob',
    which: 'Which job to resume.',
    accepted: 'The job is recorded again from its next frame on.',
    does: 'Goes on recording a paused job.',
    errors: requestErrors,
    ask: ({ jobs }, jobId, viewer, requestId) => jobs.request('resume', jobId, viewer, requestId),
  },
  {
    type: 'RefinalizeJob',
    field: 'refinalizeJob',
    which: 'Of which job to make the files again.',
    accepted: 'The files are being made again. The state of the job does not change any more.',
    does: 'Makes the files of an ended job again, as another version, while its parts are kept. For a job of which no file could be made, for instance when the disk was full. Asked for while they are being made, it answers for those; should it fail, the event `JobFilesFailed` says so.',
    errors: [...requestErrors, PartsGoneError],
    ask: ({ refinalizer }, jobId, viewer, requestId) => refinalizer.refinalize(jobId, viewer, requestId),
  },
];

for (const { type, field, which, accepted, does, errors, ask } of requests) {
  const Input = builder.inputType(`${type}Input`, {
    description: which,
    fields: (t) => ({
      jobId: t.id({ description: jobIdDescription }),
      requestId: t.string({ required: false, description: requestIdDescription }),
    }),
  });

  const Payload = builder.objectRef<JobAnswer>(`${type}Payload`).implement({
    description: accepted,
    fields: (t) => ({
      job: t.prismaField({
        type: Job,
        description: 'The job as it is now.',
        resolve: (query, { jobId }, _args, context) => jobNow(query, jobId, context),
      }),
      sequence: t.exposeInt('sequence', {
        description: 'Number of the event this caused, or of the latest one before what it causes.',
      }),
    }),
  });

  builder.mutationField(field, (t) =>
    t.withAuth({ mayUse: `Mutation.${field}` }).field({
      type: Payload,
      description: does,
      args: { input: t.arg({ type: Input, description: which }) },
      errors: { types: errors },
      resolve: async (_root, { input }, { services, viewer }) =>
        ask(services, await jobIdFrom(input.jobId, services), viewer, input.requestId ?? undefined),
    }),
  );
}
