/** The deliveries of a job in their order, one attempt at a time, each written down. */
import { Webhook } from 'standardwebhooks';
import { v7 as uuid } from 'uuid';
import type { Database } from '../db.js';
import type { Prisma, WebhookDelivery } from '../generated/prisma/client.js';
import type { Gate } from '../net/gate.js';
import { abortedAfter } from '../time-signal.js';
import { version } from '../version.js';
import { eventIdOf } from './append.js';
import { type PostOutcome, post } from './post.js';
import { impatientRetryPeriodMs, retryDelayMs, retryPeriodMs } from './schedule.js';
import type { WebhookSecrets } from './secrets.js';

/** From the look-up of the name to the end of the answer. */
export const attemptTimeoutMs = 15_000;
/** Of one delivery; older ones are forgotten, which only redeliveries come to. */
const keptAttempts = 50;
/** "Gone": the receiver wants no more of this. */
const goneStatus = 410;

export function createDeliverer({ db, gate, secrets }: { db: Database; gate: Gate; secrets: WebhookSecrets }) {
  const firstPending = (jobId: string) =>
    db.webhookDelivery.findFirst({ where: { jobId, state: 'PENDING' }, orderBy: { sequence: 'asc' } });

  async function attempt(delivery: WebhookDelivery, signal: AbortSignal): Promise<PostOutcome> {
    const body = JSON.stringify(delivery.payload);
    const id = eventIdOf(delivery.jobId, delivery.sequence);
    const at = new Date();
    const signatures = (await secrets.signing(delivery.projectId)).map((secret) =>
      new Webhook(secret).sign(id, at, body),
    );
    const headers = {
      'content-type': 'application/json',
      'user-agent': `Tapedeck/${version}`,
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': signatures.join(' '),
    };
    return post(gate, { url: delivery.url, headers, body, signal });
  }

  /** How long this delivery may be tried, depending on what became of the job's one before it. */
  async function periodOf({ jobId, sequence, createdAt }: WebhookDelivery): Promise<number> {
    const before = await db.webhookDelivery.findFirst({
      where: { jobId, sequence: { lt: sequence } },
      orderBy: { sequence: 'desc' },
      select: { state: true, attempts: { orderBy: [{ at: 'desc' }, { id: 'desc' }], take: 1 } },
    });
    // Who says that it is gone is there.
    const isDead = before?.state === 'FAILED' && before.attempts[0]?.responseStatus !== goneStatus;
    return isDead ? impatientRetryPeriodMs(Date.now() - createdAt.getTime()) : retryPeriodMs;
  }

  /** Also written when the delivery has ended meanwhile: the receiver saw it. */
  async function writeDown(delivery: WebhookDelivery, startedAt: Date, outcome: PostOutcome, cutOff: boolean) {
    const { id: deliveryId, attemptCount } = delivery;
    const attempt = {
      id: uuid(),
      deliveryId,
      at: startedAt,
      durationMs: Date.now() - startedAt.getTime(),
      responseStatus: outcome.status,
      detail: cutOff ? 'The service was stopped during the attempt.' : outcome.detail,
    };
    const { guard, data } = consequence(attemptCount, outcome, cutOff, await periodOf(delivery));
    await db.$transaction([
      db.webhookAttempt.create({ data: attempt }),
      db.$executeRaw`
        DELETE FROM webhook_attempt WHERE id IN (
          SELECT id FROM webhook_attempt WHERE delivery_id = ${deliveryId}::uuid ORDER BY at DESC, id DESC OFFSET ${keptAttempts})`,
      db.webhookDelivery.updateMany({ where: { id: deliveryId, state: 'PENDING', ...guard }, data }),
    ]);
  }

  return {
    /**
     * Makes one attempt at the job's first pending delivery, if it is due. Answers in how many milliseconds there is
     * something to do again, null when nothing is pending. When `stopping` is aborted the attempt is cut off and does not
     * count: throws the reason of the abort.
     */
    async attemptNext(jobId: string, stopping: AbortSignal): Promise<number | null> {
      const delivery = await firstPending(jobId);
      if (!delivery) return null;
      const earlyMs = waitOf(delivery);
      if (earlyMs > 0) return earlyMs;
      const startedAt = new Date();
      const outcome = await attempt(delivery, abortedAfter(attemptTimeoutMs, stopping));
      const cutOff = outcome.status === null && stopping.aborted;
      await writeDown(delivery, startedAt, outcome, cutOff);
      if (cutOff) throw stopping.reason;
      const next = await firstPending(jobId);
      return next && waitOf(next);
    },
  };
}
export type Deliverer = ReturnType<typeof createDeliverer>;

/** Milliseconds until the delivery is due. */
function waitOf({ nextAttemptAt }: WebhookDelivery): number {
  return Math.max(0, (nextAttemptAt?.getTime() ?? 0) - Date.now());
}

/** What an attempt changes, and under which condition: a failure counts once, should two attempts have overlapped. */
function consequence(
  attemptsBefore: number,
  { status }: PostOutcome,
  cutOff: boolean,
  periodMs: number,
): { guard?: Prisma.WebhookDeliveryWhereInput; data: Prisma.WebhookDeliveryUpdateManyMutationInput } {
  if (cutOff) return { data: {} };
  const attemptCount = attemptsBefore + 1;
  if (status !== null && status >= 200 && status < 300) {
    return { data: { state: 'DELIVERED', deliveredAt: new Date(), nextAttemptAt: null, attemptCount } };
  }
  const guard = { attemptCount: attemptsBefore };
  const delayMs = status === goneStatus ? null : retryDelayMs(attemptCount, periodMs);
  if (delayMs === null) return { guard, data: { state: 'FAILED', nextAttemptAt: null, attemptCount } };
  return { guard, data: { nextAttemptAt: new Date(Date.now() + delayMs), attemptCount } };
}
