/** The activity of callbacks: one attempt, cut off when the worker is stopped. */
import { Context } from '@temporalio/activity';
import type { WebhookActivities } from '../../src/jobs/webhook-messages.js';
import type { Deliverer } from '../../src/webhooks/deliver.js';

export function createWebhookActivities({ deliverer }: { deliverer: Deliverer }): WebhookActivities {
  return {
    async attemptDelivery({ jobId }) {
      return { waitMs: await deliverer.attemptNext(jobId, Context.current().cancellationSignal) };
    },
  };
}
