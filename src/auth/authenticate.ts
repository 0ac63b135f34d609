/** From a token to the one who holds it. */
import type { Database } from '../db.js';
import { isSameHash, parseToken } from './tokens.js';
import { grantedBy, type JobViewer, jobTokenScopes, type KeyViewer, type Viewer } from './viewer.js';

/** `lastUsedAt` is for people who look for unused keys: a minute is exact enough, and spares a write for each request. */
const lastUsedEveryMs = 60_000;

export interface Authenticator {
  /** Null if the token is malformed, unknown or revoked. Asks the database each time, so that a revocation counts at once. */
  authenticate(token: string): Promise<Viewer | null>;
}

export function createAuthenticator(db: Database): Authenticator {
  const beingMarked = new Set<string>();

  async function authenticateKey(prefix: string, hash: Uint8Array): Promise<KeyViewer | null> {
    const key = await db.apiKey.findUnique({ where: { prefix } });
    if (!key || key.revokedAt || !isSameHash(key.hash, hash)) return null;
    markUsed(key);
    return { kind: 'key', projectId: key.projectId, keyId: key.id, scopes: grantedBy(key.scopes) };
  }

  async function authenticateJob(jobId: string, hash: Uint8Array): Promise<JobViewer | null> {
    const job = await db.job.findUnique({ where: { id: jobId }, select: { projectId: true, accessTokenHash: true } });
    if (!job || !isSameHash(job.accessTokenHash, hash)) return null;
    return { kind: 'job', projectId: job.projectId, jobId, scopes: jobTokenScopes };
  }

  function markUsed({ id, lastUsedAt }: { id: string; lastUsedAt: Date | null }): void {
    const now = new Date();
    const stale = new Date(now.getTime() - lastUsedEveryMs);
    if (beingMarked.has(id) || (lastUsedAt && lastUsedAt > stale)) return;
    beingMarked.add(id);
    db.apiKey
      .updateMany({
        where: { id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lte: stale } }] },
        data: { lastUsedAt: now },
      })
      // Nobody waits for this, and the next request tries again.
      .catch(() => {})
      .finally(() => beingMarked.delete(id));
  }

  return {
    async authenticate(token) {
      const parsed = parseToken(token);
      if (!parsed) return null;
      return parsed.kind === 'key'
        ? authenticateKey(parsed.prefix, parsed.hash)
        : authenticateJob(parsed.jobId, parsed.hash);
    },
  };
}
