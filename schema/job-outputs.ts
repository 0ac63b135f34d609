/** Changing where a job is broadcast to while it is live. */
import { UrlRefusedError } from '../src/services/errors.js';
import type { JobAnswer } from '../src/services/jobs.js';
import { mostTargets } from '../src/services/targets.js';
import { builder } from './builder.js';
import { jobUuidFrom, uuidFrom } from './ids.js';
import { Job } from './job.js';
import { jobNow } from './job-now.js';
import { requestErrors, requestIdDescription } from './job-requests.js';

const UpdateJobOutputsInput = builder.inputType('UpdateJobOutputsInput', {
  description: 'Which far servers a job is to be broadcast to besides, and which no longer.',
  fields: (t) => ({
    jobId: t.id({ description: 'Global id of the job, or of its archive or render.' }),
    add: t.stringList({
      required: false,
      description: `URLs of servers, \`rtmp://\` or \`rtmps://\`, with app and stream key. A job has at most ${mostTargets} targets.`,
    }),
    remove: t.idList({ required: false, description: 'Global ids of targets.' }),
    requestId: t.string({ required: false, description: requestIdDescription }),
  }),
});

const UpdateJobOutputsPayload = builder.objectRef<JobAnswer>('UpdateJobOutputsPayload').implement({
  description: 'The change was accepted. Its recorder follows within a few seconds.',
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

builder.mutationField('updateJobOutputs', (t) =>
  t.withAuth({ mayUse: 'Mutation.updateJobOutputs' }).field({
    type: UpdateJobOutputsPayload,
    description:
      'Adds and takes away far servers that a job is broadcast to, also while it is live. What is recorded is not touched.',
    args: { input: t.arg({ type: UpdateJobOutputsInput, description: 'What to change.' }) },
    errors: { types: [...requestErrors, UrlRefusedError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.targets.update(
        {
          jobId: jobUuidFrom(input.jobId),
          add: input.add ?? [],
          remove: (input.remove ?? []).map((id) => uuidFrom(id, ['JobTarget'], 'target')),
        },
        viewer,
        input.requestId ?? undefined,
      ),
  }),
);
