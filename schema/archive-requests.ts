/** Starting, beginning and stopping archives. */
import { viewerOf } from '../src/context.js';
import type { JobRequest } from '../src/jobs/states.js';
import { ConflictError, NotFoundError, UrlRefusedError, ValidationError } from '../src/services/errors.js';
import type { JobAnswer } from '../src/services/jobs.js';
import type { StartedJob } from '../src/services/start-job.js';
import { Archive } from './archive.js';
import { archiveInputFields } from './archive-input.js';
import { builder } from './builder.js';
import { uuidFrom } from './ids.js';
import { requestErrors, requestIdDescription } from './job-requests.js';
import { sourceWishFrom } from './sources.js';
import { startedFields } from './start-fields.js';

const StartArchiveInput = builder.inputType('StartArchiveInput', {
  description: 'What to record, and how.',
  fields: (t) => ({
    ...archiveInputFields(t, { maxDuration: '300 when left out', idleTimeout: '60 when left out' }),
    launchTime: t.field({
      type: 'DateTime',
      required: false,
      description: 'When to start, at most a year ahead; until then it is SCHEDULED. At once when left out or past.',
    }),
    requestId: t.string({
      required: false,
      description:
        'Names this request, at most 128 characters. Sent again with the same id it answers with the first archive.',
    }),
  }),
});

const StartArchivePayload = builder.objectRef<StartedJob>('StartArchivePayload').implement({
  description: 'The archive was accepted. Follow it with `jobEvents`.',
  fields: (t) => ({
    archive: t.prismaField({
      type: Archive,
      description: 'The archive as it is now.',
      resolve: (query, { jobId }, _args, context) => archiveNow(query, jobId, context),
    }),
    accessToken: t.string(startedFields('archive').accessToken),
    sequence: t.int(startedFields('archive').sequence),
  }),
});

builder.mutationField('startArchive', (t) =>
  t.withAuth({ mayUse: 'Mutation.startArchive' }).field({
    type: StartArchivePayload,
    description:
      'Starts to record a page, or a room. Answers once that is accepted; recording begins when a recorder has room.',
    args: { input: t.arg({ type: StartArchiveInput, description: 'What to record.' }) },
    errors: { types: [ValidationError, UrlRefusedError, NotFoundError, ConflictError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.archives.start({ ...input, ...sourceWishFrom(input) }, viewer),
  }),
);

const requests = {
  begin: {
    type: 'BeginArchive',
    field: 'beginArchive',
    which: 'Which archive to begin.',
    accepted: 'Recording begins with the next frame.',
    does: 'Begins to record an archive in STANDBY: one that was started with `autostart: false`, once its page is ready.',
  },
  stop: {
    type: 'StopArchive',
    field: 'stopArchive',
    which: 'Which archive to stop.',
    accepted: 'The stop was accepted. The archive completes on its own.',
    does: 'Ends a recording and keeps what was recorded. Answers once that is accepted; the file follows.',
  },
} as const;

for (const [request, { type, field, which, accepted, does }] of Object.entries(requests)) {
  const Input = builder.inputType(`${type}Input`, {
    description: which,
    fields: (t) => ({
      archiveId: t.id({ description: 'Global id of the archive.' }),
      requestId: t.string({ required: false, description: requestIdDescription }),
    }),
  });

  const Payload = builder.objectRef<JobAnswer>(`${type}Payload`).implement({
    description: accepted,
    fields: (t) => ({
      archive: t.prismaField({
        type: Archive,
        description: 'The archive as it is now.',
        resolve: (query, { jobId }, _args, context) => archiveNow(query, jobId, context),
      }),
      sequence: t.exposeInt('sequence', { description: 'Number of the event this caused.' }),
    }),
  });

  builder.mutationField(field, (t) =>
    t.withAuth({ mayUse: `Mutation.${field}` }).field({
      type: Payload,
      description: does,
      args: { input: t.arg({ type: Input, description: which }) },
      errors: { types: requestErrors },
      resolve: (_root, { input }, { services, viewer }) =>
        services.jobs.request(
          request as JobRequest,
          uuidFrom(input.archiveId, ['Archive'], 'archive'),
          viewer,
          input.requestId ?? undefined,
        ),
    }),
  );
}

async function archiveNow(query: object, id: string, context: Parameters<typeof viewerOf>[0]) {
  const archive = await context.services.archives.find(query, id, viewerOf(context));
  if (!archive) throw new NotFoundError('There is no such archive any more.');
  return archive;
}
