/** The API key that `npm start` prints: made once, kept in the data directory, never in production. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { v7 as uuid } from 'uuid';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import { createApiKeyToken, isSameHash, parseToken } from './tokens.js';

/** The same in every installation, so that processes that start together make one project and not two. */
export const developmentProjectId = '01900000-0000-7000-8000-000000000001';

/**
 * The development key, which may do everything in project `default`; null in production. Registers the key of
 * `<dataDir>/development-key` with a database that does not know it, and replaces one that was revoked.
 */
export async function ensureDevelopmentKey(db: Database, config: Config): Promise<string | null> {
  if (!config.development) return null;
  await mkdir(config.dataDir, { recursive: true });
  const file = join(config.dataDir, 'development-key');
  await ensureDefaultProject(db);
  const kept = (await readKey(file)) ?? (await writeFirst(file));
  if (await register(db, kept)) return kept;
  const fresh = createApiKeyToken().token;
  await writeAtOnce(file, fresh, rename);
  await register(db, fresh);
  return fresh;
}

/** The project that exists without anyone having made it; answers its id. */
export async function ensureDefaultProject(db: Database): Promise<string> {
  await db.project.createMany({ data: [{ id: developmentProjectId, name: 'default' }], skipDuplicates: true });
  return developmentProjectId;
}

/** Makes the database know the key; false if it knows it as revoked, or knows another by its prefix. */
async function register(db: Database, token: string): Promise<boolean> {
  const parsed = parseToken(token);
  if (parsed?.kind !== 'key') return false;
  const { prefix, hash } = parsed;
  const row = { id: uuid(), projectId: developmentProjectId, name: 'development', prefix, hash, scopes: ['admin'] };
  await db.apiKey.createMany({ data: [row], skipDuplicates: true });
  const known = await db.apiKey.findUniqueOrThrow({ where: { prefix } });
  return known.revokedAt === null && isSameHash(known.hash, hash);
}

async function readKey(file: string): Promise<string | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).trim();
    return parseToken(text)?.kind === 'key' ? text : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a new key unless another process was faster; answers the one that is in the file. */
async function writeFirst(file: string): Promise<string> {
  const fresh = createApiKeyToken().token;
  try {
    await writeAtOnce(file, fresh, link);
    return fresh;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const kept = await readKey(file);
  if (kept) return kept;
  // What is there is not a key.
  await writeAtOnce(file, fresh, rename);
  return fresh;
}

/** Puts a whole file in place, readable by its owner only: by `link` if there is none, by `rename` whatever there is. */
async function writeAtOnce(file: string, token: string, place: typeof link | typeof rename): Promise<void> {
  const draft = `${file}.${randomUUID()}`;
  try {
    await writeFile(draft, `${token}\n`, { mode: 0o600, flag: 'wx' });
    await place(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}
