/** Callbacks: what was posted to a job's callback URL, and the secret that signs it. */
import { viewerOf } from '../src/context.js';
import type { WebhookState } from '../src/generated/prisma/client.js';
import { ConflictError, NotFoundError, ValidationError } from '../src/services/errors.js';
import type { DeliveryFilter, RotatedSecret } from '../src/services/webhooks.js';
import { builder } from './builder.js';
import { jobTypes, uuidFrom, uuidOf } from './ids.js';
import { requestIdDescription } from './job-requests.js';
import { totalCountField } from './pages.js';

const WebhookStateEnum = builder.enumType('WebhookState', {
  description: 'Where the delivery of a callback is.',
  values: {
    PENDING: { description: 'Not delivered yet: its turn has not come, or it is tried again later.' },
    DELIVERED: { description: 'The receiver answered with a status of 200 to 299.' },
    FAILED: { description: 'Given up: the receiver took nothing for too long, or answered 410 Gone.' },
  } satisfies Record<WebhookState, { description: string }>,
});

builder.prismaObject('WebhookAttempt', {
  description: 'One POST, and what came of it.',
  select: { id: true },
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When it began.' }),
    duration: t.float({
      description: 'How long it took, seconds; 15 at most.',
      select: { durationMs: true },
      resolve: ({ durationMs }) => durationMs / 1000,
    }),
    responseStatus: t.exposeInt('responseStatus', {
      nullable: true,
      description: 'HTTP status of the answer. Null when there was none.',
    }),
    detail: t.exposeString('detail', {
      nullable: true,
      description: 'Why there was no answer, or how its body began. Null when the body was empty.',
    }),
  }),
});

const WebhookDelivery = builder.prismaNode('WebhookDelivery', {
  id: { field: 'id', description: 'Global id. Opaque, and lasting.' },
  description: 'One change of a job on its way to the callback URL of the job.',
  select: { id: true },
  fields: (t) => ({
    eventId: t.string({
      description: 'Names the change: the header `webhook-id` of every attempt, and of redeliveries.',
      select: { payload: true },
      resolve: ({ payload }) => (payload as { eventId: string }).eventId,
    }),
    sequence: t.exposeInt('sequence', {
      description: "Number of the job's event. Deliveries of a job keep this order.",
    }),
    url: t.exposeString('url', { description: 'Where it is posted to.' }),
    payload: t.string({
      description: 'The body that is posted, a JSON object. It is fixed when the change happens.',
      select: { payload: true },
      resolve: ({ payload }) => JSON.stringify(payload),
    }),
    state: t.expose('state', { type: WebhookStateEnum, description: 'Where it is.' }),
    attemptCount: t.exposeInt('attemptCount', {
      description: 'Attempts since the change happened, or since it was last asked to be sent again.',
    }),
    attempts: t.relation('attempts', {
      query: { orderBy: [{ at: 'desc' }, { id: 'desc' }] },
      complexity: 10,
      description: 'What came of the attempts, newest first; the newest 50 are kept.',
    }),
    nextAttemptAt: t.expose('nextAttemptAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it is tried again. Null when it was not tried yet, or is not going to be.',
    }),
    deliveredAt: t.expose('deliveredAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the receiver had it. Null until then.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the change happened.' }),
    job: t.relation('job', { description: 'The job that changed.' }),
  }),
});

const WebhookDeliveriesFilter = builder.inputType('WebhookDeliveriesFilter', {
  description: 'Which deliveries to list. Every condition given must hold.',
  fields: (t) => ({
    jobId: t.id({ required: false, description: 'Of this job: its global id, or that of its archive.' }),
    state: t.field({ type: WebhookStateEnum, required: false, description: 'In this state.' }),
  }),
});

/** An id that is none of a job's finds nothing. */
function filterFrom(given: { jobId?: string | null; state?: WebhookState | null } | null | undefined): DeliveryFilter {
  if (given?.jobId == null) return { state: given?.state };
  return { jobId: uuidOf(given.jobId, jobTypes), state: given.state };
}

builder.queryField('webhookDeliveries', (t) =>
  t.withAuth({ mayUse: 'Query.webhookDeliveries' }).prismaConnection(
    {
      type: WebhookDelivery,
      cursor: 'id',
      description: 'The log of callbacks of the project, newest first. Those that ended 30 days ago are gone.',
      args: {
        filter: t.arg({
          type: WebhookDeliveriesFilter,
          required: false,
          description: 'Which ones; all when left out.',
        }),
      },
      totalCount: (_connection, { filter }, { services, viewer }) =>
        services.webhooks.count(filterFrom(filter), viewer),
      resolve: (query, _root, { filter }, { services, viewer }) =>
        services.webhooks.list(query, filterFrom(filter), viewer),
    },
    {
      name: 'WebhookDeliveryConnection',
      description: 'A page of deliveries.',
      fields: (c) => ({ totalCount: c.int(totalCountField) }),
    },
    { name: 'WebhookDeliveryEdge', description: 'A delivery and its cursor.' },
  ),
);

const RedeliverWebhookInput = builder.inputType('RedeliverWebhookInput', {
  description: 'Which delivery to send again.',
  fields: (t) => ({
    deliveryId: t.id({ description: 'Global id of the delivery.' }),
    requestId: t.string({ required: false, description: requestIdDescription }),
  }),
});

const RedeliverWebhookPayload = builder.objectRef<{ deliveryId: string }>('RedeliverWebhookPayload').implement({
  description: 'The delivery is going to be sent again, with the same event id and the same body.',
  fields: (t) => ({
    delivery: t.prismaField({
      type: WebhookDelivery,
      description: 'The delivery as it is now.',
      resolve: async (query, { deliveryId }, _args, context) => {
        const delivery = await context.services.webhooks.find(query, deliveryId, viewerOf(context));
        if (!delivery) throw new NotFoundError('There is no such delivery any more.');
        return delivery;
      },
    }),
  }),
});

builder.mutationField('redeliverWebhook', (t) =>
  t.withAuth({ mayUse: 'Mutation.redeliverWebhook' }).field({
    type: RedeliverWebhookPayload,
    description:
      'Sends a callback again, whether it was delivered or failed; it is tried as often as a new one. A pending one is tried now.',
    args: { input: t.arg({ type: RedeliverWebhookInput, description: 'What to send again.' }) },
    errors: { types: [ValidationError, NotFoundError, ConflictError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.webhooks.redeliver(
        uuidFrom(input.deliveryId, ['WebhookDelivery'], 'delivery'),
        viewer,
        input.requestId ?? undefined,
      ),
  }),
);

const RotateWebhookSecretInput = builder.inputType('RotateWebhookSecretInput', {
  description: 'How to replace the secret.',
  fields: (t) => ({
    revokePrevious: t.boolean({
      required: false,
      defaultValue: false,
      description: 'Whether older secrets stop signing at once, as when one has leaked, and not after 24 hours.',
    }),
    requestId: t.string({ required: false, description: requestIdDescription }),
  }),
});

const RotateWebhookSecretPayload = builder.objectRef<RotatedSecret>('RotateWebhookSecretPayload').implement({
  description: 'The project has a new secret.',
  fields: (t) => ({
    secret: t.exposeString('secret', {
      nullable: true,
      description:
        'The secret, `whsec_` and Base64, shown only here. Null when the request had been carried out before.',
    }),
    previousUntil: t.expose('previousUntil', {
      type: 'DateTime',
      nullable: true,
      description: 'Until when the secret before it signs too. Null when there was none, or when it was revoked.',
    }),
  }),
});

builder.mutationField('rotateWebhookSecret', (t) =>
  t.withAuth({ mayUse: 'Mutation.rotateWebhookSecret' }).field({
    type: RotateWebhookSecretPayload,
    description:
      "Makes a new secret that signs the project's callbacks. For 24 hours they are signed with the one before it too, unless that is revoked.",
    args: { input: t.arg({ type: RotateWebhookSecretInput, description: 'How to replace it.' }) },
    errors: { types: [ValidationError, ConflictError] },
    resolve: (_root, { input }, { services, viewer }) =>
      services.webhooks.rotateSecret(viewer, input.revokePrevious ?? false, input.requestId ?? undefined),
  }),
);
