/** Delivers the callbacks of one job, one after the other, until nothing is pending. What there is to do is in the table. */
import {
  condition,
  continueAsNew,
  defineSignal,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  type WebhookActivities,
  type WebhookInput,
  wakeSignalName,
  webhooksTaskQueue,
} from '../src/jobs/webhook-messages.js';

const { attemptDelivery } = proxyActivities<WebhookActivities>({
  taskQueue: webhooksTaskQueue,
  // An attempt takes 15 s at most; the rest is for writing down what came of it.
  startToCloseTimeout: '25s',
  // Only failures of our own come here, those of the receiver are in the table.
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

export const wakeSignal = defineSignal(wakeSignalName);

export async function webhook(input: WebhookInput): Promise<void> {
  let woken = false;
  setHandler(wakeSignal, () => {
    woken = true;
  });
  for (;;) {
    woken = false;
    const { waitMs } = await attemptDelivery(input);
    // Woken meanwhile, it looks again: the activity may not have seen what it was woken for.
    if (waitMs === null && !woken) return;
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof webhook>(input);
    if (waitMs) await condition(() => woken, waitMs);
  }
}
