/** What the workflow that delivers a job's callbacks, its activity and whoever starts it say to each other. */

/** A queue of their own: receivers that do not answer must not hold up the jobs' own activities. */
export const webhooksTaskQueue = 'webhooks';
export const webhookWorkflowId = (jobId: string): string => `webhook-${jobId}`;
/** Says that there is something to look at, perhaps earlier than was thought. */
export const wakeSignalName = 'wake';

export interface WebhookInput {
  jobId: string;
}

export interface WebhookActivities {
  /**
   * Makes one attempt at the job's first pending delivery, if that is due. Answers in how many milliseconds there is
   * something to do again; null when nothing is pending.
   */
  attemptDelivery(input: WebhookInput): Promise<{ waitMs: number | null }>;
}
