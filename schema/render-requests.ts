/** Starting and stopping renders. */
import { viewerOf } from '../src/context.js';
import { ConflictError, NotFoundError, UrlRefusedError, ValidationError } from '../src/services/errors.js';
import type { JobAnswer } from '../src/services/jobs.js';
import { type RenderResolution, renderResolutions } from '../src/services/renders.js';
import type { StartedJob } from '../src/services/start-job.js';
import { builder } from './builder.js';
import { uuidFrom } from './ids.js';
import { requestErrors, requestIdDescription } from './job-requests.js';
import { Render } from './render.js';
import { sourceInputFields, sourceWishFrom } from './sources.js';
import { startedFields, startInputFields } from './start-fields.js';

const RenderResolutionEnum = builder.enumType('RenderResolution', {
  description: 'Width and height of a render, pixels.',
  values: Object.fromEntries(
    renderResolutions.map((value) => [`R${value}`.toUpperCase(), { value, description: value.replace('x', ' by ') }]),
  ) as Record<string, { value: RenderResolution; description: string }>,
});

const StartRenderInput = builder.inputType('StartRenderInput', {
  description: 'What to publish, and into which room.',
  fields: (t) => ({
    ...sourceInputFields(t),
    resolution: t.field({
      type: RenderResolutionEnum,
      required: false,
      description: 'Size of the page, R1280X720 when left out.',
    }),
    maxDuration: t.int({
      required: false,
      description: 'Seconds from the first frame until it stops by itself; 60 to 36,000, 7,200 when left out.',
    }),
    name: t.string({
      required: false,
      description: 'What others in the room see it called; at most 200 characters.',
    }),
    ...startInputFields(t),
    requestId: t.string({
      required: false,
      description:
        'Names this request, at most 128 characters. Sent again with the same id it answers with the first render.',
    }),
  }),
});

const StartRenderPayload = builder.objectRef<StartedJob>('StartRenderPayload').implement({
  description: 'The render was accepted. Follow it with `jobEvents`.',
  fields: (t) => ({
    render: t.prismaField({
      type: Render,
      description: 'The render as it is now.',
      resolve: (query, { jobId }, _args, context) => renderNow(query, jobId, context),
    }),
    accessToken: t.string(startedFields('render').accessToken),
    sequence: t.int(startedFields('render').sequence),
  }),
});

builder.mutationField('startRender', (t) =>
  t.withAuth({ mayUse: 'Mutation.startRender' }).field({
    type: StartRenderPayload,
    description:
      'Publishes a page, or our own viewer page, into a room. Answers once that is accepted; it is seen when a recorder has room.',
    args: { input: t.arg({ type: StartRenderInput, description: 'What to publish, and where.' }) },
    errors: { types: [ValidationError, UrlRefusedError, NotFoundError, ConflictError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.renders.start({ ...input, ...sourceWishFrom(input) }, viewer),
  }),
);

const StopRenderInput = builder.inputType('StopRenderInput', {
  description: 'Which render to stop.',
  fields: (t) => ({
    renderId: t.id({ description: 'Global id of the render.' }),
    requestId: t.string({ required: false, description: requestIdDescription }),
  }),
});

const StopRenderPayload = builder.objectRef<JobAnswer>('StopRenderPayload').implement({
  description: 'The stop was accepted. The render leaves the room.',
  fields: (t) => ({
    render: t.prismaField({
      type: Render,
      description: 'The render as it is now.',
      resolve: (query, { jobId }, _args, context) => renderNow(query, jobId, context),
    }),
    sequence: t.exposeInt('sequence', { description: 'Number of the event this caused.' }),
  }),
});

builder.mutationField('stopRender', (t) =>
  t.withAuth({ mayUse: 'Mutation.stopRender' }).field({
    type: StopRenderPayload,
    description: 'Ends a render: one that has not begun is canceled. Answers once that is accepted.',
    args: { input: t.arg({ type: StopRenderInput, description: 'Which render to stop.' }) },
    errors: { types: requestErrors },
    resolve: (_root, { input }, { services, viewer }) =>
      services.jobs.end(uuidFrom(input.renderId, ['Render'], 'render'), viewer, input.requestId ?? undefined),
  }),
);

async function renderNow(query: object, id: string, context: Parameters<typeof viewerOf>[0]) {
  const render = await context.services.renders.find(query, id, viewerOf(context));
  if (!render) throw new NotFoundError('There is no such render any more.');
  return render;
}
