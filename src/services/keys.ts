/** The rules of API keys. */
import { validate as isUuid, v7 as uuid } from 'uuid';
import { createApiKeyToken } from '../auth/tokens.js';
import { allScopes, isScope, type Scope, type Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import { createWake, keysChannel } from '../events/outbox.js';
import type { ApiKey } from '../generated/prisma/client.js';
import { type FieldIssue, NotFoundError, ValidationError } from './errors.js';

/** Characters. */
const maxNameLength = 100;
/** Ten years, with their leap days: what lives longer was meant not to expire, or is a mistake in the unit. */
const maxLifetimeMs = 3_653 * 86_400_000;

export interface NewKey {
  name: string;
  scopes: readonly string[];
  /** When it ends by itself; absent or null: never. */
  expiresAt?: Date | null | undefined;
}

export function createKeys({ db }: { db: Database }) {
  const wake = createWake(db);
  return {
    /** Makes a key of the viewer's project. `key` is never to be seen again. Throws ValidationError. */
    async create({ name, scopes, expiresAt }: NewKey, viewer: Viewer): Promise<{ id: string; key: string }> {
      const label = name.trim();
      const issues = [...nameIssues(label), ...scopeIssues(scopes, viewer), ...expiryIssues(expiresAt, viewer)];
      if (issues.length > 0) throw new ValidationError(issues);
      const { token, prefix, hash } = createApiKeyToken();
      const granted = allScopes.filter((scope) => scopes.includes(scope));
      const { id } = await db.apiKey.create({
        data: { id: uuid(), projectId: viewer.projectId, name: label, prefix, hash, scopes: granted, expiresAt },
      });
      return { id, key: token };
    },

    /** Ends a key at once and for ever, and tells every API process to end its streams; again changes nothing. Throws NotFoundError. */
    async revoke(id: string, viewer: Viewer): Promise<ApiKey> {
      const key = isUuid(id) ? await db.apiKey.findFirst({ where: { id, projectId: viewer.projectId } }) : null;
      if (!key || viewer.kind !== 'key')
        throw new NotFoundError('There is no such API key in this project. Check its id.');
      await db.apiKey.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: new Date() } });
      wake(keysChannel);
      return db.apiKey.findUniqueOrThrow({ where: { id } });
    },
  };
}
export type Keys = ReturnType<typeof createKeys>;

function nameIssues(name: string): FieldIssue[] {
  if (name.length < 1 || name.length > maxNameLength) {
    return [{ field: 'name', message: `It has ${name.length} characters. Use 1 to ${maxNameLength}.` }];
  }
  return /\p{Cc}/u.test(name) ? [{ field: 'name', message: 'It contains control characters. Use plain text.' }] : [];
}

function expiryIssues(expiresAt: NewKey['expiresAt'], viewer: Viewer): FieldIssue[] {
  const own = viewer.kind === 'key' ? viewer.expiresAt : undefined;
  if (own && (!expiresAt || expiresAt > own)) {
    const message = `Your credentials expire at ${own.toISOString()}, and cannot give longer than they last. Use that or earlier.`;
    return [{ field: 'expiresAt', message }];
  }
  if (!expiresAt) return [];
  const lifetimeMs = expiresAt.getTime() - Date.now();
  if (lifetimeMs > 0 && lifetimeMs <= maxLifetimeMs) return [];
  const wrong = lifetimeMs > 0 ? 'more than ten years away' : 'not in the future';
  const message = `${expiresAt.toISOString()} is ${wrong}. Use a moment within ten years, or leave it out for a key that does not expire.`;
  return [{ field: 'expiresAt', message }];
}

function scopeIssues(scopes: readonly string[], viewer: Viewer): FieldIssue[] {
  if (scopes.length === 0)
    return [
      { field: 'scopes', message: `A key without scopes is good for nothing. Use some of ${allScopes.join(', ')}.` },
    ];
  const unknown = scopes.filter((scope) => !isScope(scope));
  if (unknown.length > 0) {
    const named = unknown.slice(0, 5).map((scope) => `"${scope.slice(0, 40)}"`);
    return [{ field: 'scopes', message: `${named.join(', ')} is unknown. Use some of ${allScopes.join(', ')}.` }];
  }
  const held: readonly Scope[] = viewer.kind === 'key' ? viewer.scopes : [];
  const lacking = scopes.filter((scope) => !held.includes(scope as Scope));
  if (lacking.length === 0) return [];
  const message = `Your credentials lack ${[...new Set(lacking)].join(', ')}, and cannot give what they do not have. Use a key that has it.`;
  return [{ field: 'scopes', message }];
}
