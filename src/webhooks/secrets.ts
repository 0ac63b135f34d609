/** The secrets a project's callbacks are signed with. */
import { randomBytes } from 'node:crypto';
import { v7 as uuid } from 'uuid';
import type { Database, Transaction } from '../db.js';

/** How long a replaced secret still signs, so that receivers can be changed one after the other. */
const overlapMs = 24 * 3_600_000;
// Each adds 48 bytes to a header; who replaces more often than this in a day has lost some of them.
const maxSigning = 5;
// As long as the digest of the signature (HMAC-SHA256); Standard Webhooks asks for 24 to 64.
const secretBytes = 32;

export function createWebhookSecrets({ db }: { db: Database }) {
  const inForce = (transaction: Transaction, projectId: string) =>
    transaction.webhookSecret.findMany({
      where: { projectId, OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }] },
      orderBy: { id: 'desc' },
      take: maxSigning,
    });

  /** Two processes that need the first secret at once shall make one; the events of other transactions go on. */
  const lock = (transaction: Transaction, projectId: string) =>
    transaction.$executeRaw`SELECT 1 FROM project WHERE id = ${projectId}::uuid FOR NO KEY UPDATE`;

  async function make(transaction: Transaction, projectId: string): Promise<{ id: string; secret: string }> {
    const secret = `whsec_${randomBytes(secretBytes).toString('base64')}`;
    return transaction.webhookSecret.create({ data: { id: uuid(), projectId, secret } });
  }

  return {
    /** Everything that signs the project's callbacks now, newest first. The first secret is made when it is needed. */
    async signing(projectId: string): Promise<string[]> {
      const known = await inForce(db, projectId);
      if (known.length > 0) return known.map(({ secret }) => secret);
      return db.$transaction(async (transaction) => {
        await lock(transaction, projectId);
        const made = await inForce(transaction, projectId);
        return made.length > 0 ? made.map(({ secret }) => secret) : [(await make(transaction, projectId)).secret];
      });
    },

    /**
     * Makes a new secret; those before it sign for another 24 h, or never again. `previousUntil` is null when none of them
     * does.
     */
    async rotate(
      transaction: Transaction,
      projectId: string,
      revokePrevious: boolean,
    ): Promise<{ secret: string; previousUntil: Date | null }> {
      await lock(transaction, projectId);
      const previousUntil = new Date(Date.now() + overlapMs);
      const over = revokePrevious ? {} : { expiresAt: { lt: new Date() } };
      await transaction.webhookSecret.deleteMany({ where: { projectId, ...over } });
      const { count } = await transaction.webhookSecret.updateMany({
        where: { projectId, expiresAt: null },
        data: { expiresAt: previousUntil },
      });
      const { secret } = await make(transaction, projectId);
      return { secret, previousUntil: count > 0 ? previousUntil : null };
    },
  };
}
export type WebhookSecrets = ReturnType<typeof createWebhookSecrets>;
