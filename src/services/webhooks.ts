/** The rules of callbacks: who sees their deliveries, who may have one sent again, and who may replace the secret. */
import type { Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import { eventsChannel, type Wake } from '../events/outbox.js';
import type { Prisma, WebhookDelivery, WebhookState } from '../generated/prisma/client.js';
import type { WebhookSecrets } from '../webhooks/secrets.js';
import { NotFoundError } from './errors.js';
import { type PageQuery, withoutCursor } from './job-pages.js';
import { checkRequestId, isFirst, named } from './requests.js';
import { visibleJobs } from './visibility.js';

const noSuchDelivery = 'There is no such delivery.';

export interface DeliveryFilter {
  /** Null is no job at all: the id that was given cannot be one. */
  jobId?: string | null;
  state?: WebhookState | null;
}

export interface RotatedSecret {
  /** Never to be seen again; null when the same request had been carried out before. */
  secret: string | null;
  /** Until when the secrets before it sign too; null when they do not, or when nothing was done. */
  previousUntil: Date | null;
}

export function createWebhooks({ db, wake, secrets }: { db: Database; wake: Wake; secrets: WebhookSecrets }) {
  const visible = (viewer: Viewer): Prisma.WebhookDeliveryWhereInput => {
    const { projectId, id: jobId } = visibleJobs(viewer);
    return jobId === undefined ? { projectId } : { projectId, jobId };
  };

  const where = (filter: DeliveryFilter, viewer: Viewer): Prisma.WebhookDeliveryWhereInput => ({
    ...visible(viewer),
    ...(filter.jobId === undefined ? {} : { AND: { jobId: { in: filter.jobId ? [filter.jobId] : [] } } }),
    ...(filter.state ? { state: filter.state } : {}),
  });

  return {
    /**
     * Has a delivery sent again, tried as often as a new one; one that is pending is tried at once instead.
     * Those of the same job still go one after the other. Throws ValidationError, NotFoundError, ConflictError.
     */
    async redeliver(deliveryId: string, viewer: Viewer, requestId?: string): Promise<{ deliveryId: string }> {
      checkRequestId(requestId);
      await db.$transaction(async (transaction) => {
        const found = await transaction.webhookDelivery.count({ where: { ...visible(viewer), id: deliveryId } });
        if (!found) throw new NotFoundError(noSuchDelivery);
        const claim = named(viewer, 'redeliver', requestId, { deliveryId });
        if (claim && !(await isFirst(transaction, claim))) return;
        await transaction.webhookDelivery.updateMany({
          where: { id: deliveryId, state: { not: 'PENDING' } },
          data: { state: 'PENDING', attemptCount: 0, deliveredAt: null },
        });
        // Not null, as at first: whoever sees to it that attempts are made tells turns apart by this.
        const { count } = await transaction.webhookDelivery.updateMany({
          where: { id: deliveryId },
          data: { nextAttemptAt: new Date() },
        });
        // Its time in the log was over in this very moment.
        if (count === 0) throw new NotFoundError(noSuchDelivery);
      });
      wake(eventsChannel);
      return { deliveryId };
    },

    /**
     * Replaces the secret that the project's callbacks are signed with. Those before it sign for another day, or are ended at
     * once when one has leaked. Throws ValidationError, ConflictError.
     */
    async rotateSecret(viewer: Viewer, revokePrevious: boolean, requestId?: string): Promise<RotatedSecret> {
      checkRequestId(requestId);
      return db.$transaction(async (transaction) => {
        const claim = named(viewer, 'rotateWebhookSecret', requestId, { revokePrevious });
        if (claim && !(await isFirst(transaction, claim))) return { secret: null, previousUntil: null };
        return secrets.rotate(transaction, viewer.projectId, revokePrevious);
      });
    },

    find: (query: object, id: string, viewer: Viewer): Promise<WebhookDelivery | null> =>
      db.webhookDelivery.findFirst({ ...query, where: { ...visible(viewer), id } }),

    /** Newest first. */
    list(page: PageQuery, filter: DeliveryFilter, viewer: Viewer): Promise<WebhookDelivery[]> {
      const { query, ids } = withoutCursor(page, {});
      return db.webhookDelivery.findMany({
        ...query,
        where: { AND: [where(filter, viewer), { id: ids }] },
        orderBy: { id: 'desc' },
      });
    },

    count: (filter: DeliveryFilter, viewer: Viewer): Promise<number> =>
      db.webhookDelivery.count({ where: where(filter, viewer) }),
  };
}
