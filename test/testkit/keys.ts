/** Keys for tests: a project of its own, and keys with just the scopes a test is about. */
import { v7 as uuid } from 'uuid';
import { createApiKeyToken } from '../../src/auth/tokens.js';
import type { Scope } from '../../src/auth/viewer.js';
import type { Database } from '../../src/db.js';
import type { Api } from './api.js';

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

interface Created {
  createApiKey: { key: string; apiKey: { id: string; expiresAt: string | null } };
}

/** A key made as a client makes it, with the key of `owner`. */
export async function askForKey(owner: Api, expiresAt?: Date): Promise<Created['createApiKey']> {
  const { createApiKey } = await owner.get<Created>(
    `mutation($expiresAt: DateTime) { createApiKey(input: { name: "one", scopes: [JOBS_READ, KEYS_WRITE], expiresAt: $expiresAt }) {
      ... on CreateApiKeyPayload { key apiKey { id expiresAt } }
    } }`,
    { expiresAt },
  );
  return createApiKey;
}

export async function revokeKey(owner: Api, apiKeyId: string): Promise<void> {
  await owner.get('mutation($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }', { id: apiKeyId });
}
