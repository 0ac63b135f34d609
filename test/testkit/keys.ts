/** Keys for tests: a project of its own, and keys with just the scopes a test is about. */
import { v7 as uuid } from 'uuid';
import { createApiKeyToken } from '../../src/auth/tokens.js';
import type { Scope } from '../../src/auth/viewer.js';
import type { Database } from '../../src/db.js';

/** A new key of the project; what a client would send. */
export async function createKey(
  db: Database,
  projectId: string,
  scopes: readonly Scope[] = ['admin'],
): Promise<string> {
  const { token, prefix, hash } = createApiKeyToken();
  await db.apiKey.create({ data: { id: uuid(), projectId, name: 'test', prefix, hash, scopes: [...scopes] } });
  return token;
}
