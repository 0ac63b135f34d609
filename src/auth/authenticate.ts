/** From a token to the one who holds it. */
import { batched } from '../batched.js';
import type { Database } from '../db.js';
import { createRoomAdmissions } from './room-admissions.js';
import { createRoomTokens, looksLikeRoomToken } from './room-tokens.js';
import { isSameHash, parseToken } from './tokens.js';
import { grantedBy, type JobViewer, jobTokenScopes, type KeyViewer, type RoomViewer, type Viewer } from './viewer.js';

/** `lastUsedAt` is for people who look for unused keys: a minute is exact enough, and spares a write for each request. */
const lastUsedEveryMs = 60_000;
/** Tokens asked for in one query. */
const batchSize = 1_000;

export interface Authenticator {
  /** Null if the token is malformed, unknown, revoked or expired. Asks the database each time, so that a revocation counts at once. */
  authenticate(token: string): Promise<Viewer | null>;
  /** Those of the tokens that `authenticate` would answer null for, found with a few queries for a thousand of them. */
  findEnded(tokens: readonly string[]): Promise<string[]>;
}

interface KeyRow {
  id: string;
  hash: Uint8Array;
  revokedAt: Date | null;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
}

export function createAuthenticator(db: Database): Authenticator {
  const beingMarked = new Set<string>();
  const roomTokens = createRoomTokens(db);
  const admissions = createRoomAdmissions(db);

  const keyOf = batched(async (prefixes) => {
    const keys = await db.apiKey.findMany({ where: { prefix: { in: prefixes } } });
    return new Map(keys.map((key) => [key.prefix, key]));
  });

  async function authenticateKey(prefix: string, hash: Uint8Array): Promise<KeyViewer | null> {
    const key = await keyOf(prefix);
    if (!key || !opens(key, hash)) return null;
    markUsed(key);
    const viewer = { kind: 'key', projectId: key.projectId, keyId: key.id, scopes: grantedBy(key.scopes) } as const;
    return key.expiresAt ? { ...viewer, expiresAt: key.expiresAt } : viewer;
  }

  async function authenticateJob(jobId: string, hash: Uint8Array): Promise<JobViewer | null> {
    const job = await db.job.findUnique({ where: { id: jobId }, select: { projectId: true, accessTokenHash: true } });
    if (!job || !isSameHash(job.accessTokenHash, hash)) return null;
    return { kind: 'job', projectId: job.projectId, jobId, scopes: jobTokenScopes };
  }

  /** The claims say who may; the rows, whether there still is such a room, and whether they were put out of it. */
  async function authenticateRoom(token: string): Promise<RoomViewer | null> {
    const claims = await roomTokens.verify(token);
    if (claims === null || claims === 'expired') return null;
    if ((await admissions.find(claims)) !== 'admitted') return null;
    const { projectId, roomId, identity, scopes: roomScopes, expiresAt } = claims;
    return { kind: 'room', projectId, roomId, identity, roomScopes, scopes: [], expiresAt };
  }

  async function findEndedRoomTokens(tokens: readonly string[]): Promise<string[]> {
    const viewers = await Promise.all(tokens.map(authenticateRoom));
    return tokens.filter((_token, index) => viewers[index] === null);
  }

  async function findEndedAmong(tokens: readonly string[]): Promise<string[]> {
    const forRooms = tokens.filter(looksLikeRoomToken);
    const parsed = tokens
      .filter((token) => !looksLikeRoomToken(token))
      .map((token) => ({ token, of: parseToken(token) }));
    const prefixes = parsed.flatMap(({ of }) => (of?.kind === 'key' ? [of.prefix] : []));
    const jobIds = parsed.flatMap(({ of }) => (of?.kind === 'job' ? [of.jobId] : []));
    const [endedForRooms, keys, jobs] = await Promise.all([
      findEndedRoomTokens(forRooms),
      prefixes.length > 0 ? db.apiKey.findMany({ where: { prefix: { in: prefixes } } }) : [],
      jobIds.length > 0
        ? db.job.findMany({ where: { id: { in: jobIds } }, select: { id: true, accessTokenHash: true } })
        : [],
    ]);
    const keyOf = new Map(keys.map((key) => [key.prefix, key]));
    const jobHashOf = new Map(jobs.map((job) => [job.id, job.accessTokenHash]));
    const isGood = (of: ReturnType<typeof parseToken>): boolean => {
      if (!of) return false;
      if (of.kind === 'job') return isSameHash(jobHashOf.get(of.jobId) ?? new Uint8Array(), of.hash);
      const key = keyOf.get(of.prefix);
      if (!key || !opens(key, of.hash)) return false;
      // An open stream is a use, as a request is.
      markUsed(key);
      return true;
    };
    return [...endedForRooms, ...parsed.filter(({ of }) => !isGood(of)).map(({ token }) => token)];
  }

  function markUsed({ id, lastUsedAt }: KeyRow): void {
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
      if (looksLikeRoomToken(token)) return authenticateRoom(token);
      const parsed = parseToken(token);
      if (!parsed) return null;
      return parsed.kind === 'key'
        ? authenticateKey(parsed.prefix, parsed.hash)
        : authenticateJob(parsed.jobId, parsed.hash);
    },
    async findEnded(tokens) {
      const ended: string[] = [];
      for (let start = 0; start < tokens.length; start += batchSize) {
        ended.push(...(await findEndedAmong(tokens.slice(start, start + batchSize))));
      }
      return ended;
    },
  };
}

/** Whether the key is good now, for the holder of that secret. */
function opens({ hash, revokedAt, expiresAt }: KeyRow, given: Uint8Array): boolean {
  const expired = expiresAt !== null && expiresAt.getTime() <= Date.now();
  return !revokedAt && !expired && isSameHash(hash, given);
}
