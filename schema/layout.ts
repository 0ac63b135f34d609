/** Changing the layout of a recorded room. */
import { InvalidStateError, NotFoundError, ValidationError } from '../src/services/errors.js';
import { builder } from './builder.js';
import { jobUuidFrom } from './ids.js';
import { Job } from './job.js';
import { jobNow } from './job-now.js';
import { LayoutEnum } from './sources.js';

const SetLayoutInput = builder.inputType('SetLayoutInput', {
  description: 'Which job, and how its participants are to be arranged.',
  fields: (t) => ({
    jobId: t.id({ description: 'Global id of the job, or of its archive or render.' }),
    layout: t.field({ type: LayoutEnum, description: 'How our viewer page arranges participants from now on.' }),
  }),
});

const SetLayoutPayload = builder.objectRef<{ jobId: string }>('SetLayoutPayload').implement({
  description: 'The layout was accepted. It is seen within 2 seconds.',
  fields: (t) => ({
    job: t.prismaField({
      type: Job,
      description: 'The job as it is now.',
      resolve: (query, { jobId }, _args, context) => jobNow(query, jobId, context),
    }),
  }),
});

builder.mutationField('setLayout', (t) =>
  t.withAuth({ mayUse: 'Mutation.setLayout' }).field({
    type: SetLayoutPayload,
    description:
      'Arranges the participants of a room that is captured by our viewer page in another way, while it is captured. May be sent again.',
    args: { input: t.arg({ type: SetLayoutInput, description: 'Which job, and which layout.' }) },
    errors: { types: [NotFoundError, ValidationError, InvalidStateError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.layouts.set(jobUuidFrom(input.jobId), input.layout, viewer),
  }),
);
