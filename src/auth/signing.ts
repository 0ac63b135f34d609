/** Signed download URLs: whoever has one may fetch one file for a while, without any other credentials. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Database } from '../db.js';
import { isSameHash } from './tokens.js';

/** The query parameters of a signed URL. */
export interface Signature {
  /** Names the key. */
  kid: string;
  /** Epoch seconds. */
  exp: string;
  /** HMAC-SHA256, base64url. */
  sig: string;
}

export type SignatureVerdict = 'valid' | 'invalid' | 'expired';

interface Key {
  id: string;
  secret: Uint8Array;
}

/** A key that was retired or removed in another replica is honoured no longer than this. */
const keysKeptMs = 60_000;
/** Any number; the same in all replicas. */
const firstKeyLock = 7_360_041;

export interface Signer {
  /** Signs the id of a file until `expiresAt`. */
  sign(fileId: string, expiresAt: Date): Promise<Signature>;
  verify(fileId: string, signature: Signature): Promise<SignatureVerdict>;
}

/**
 * Signs with the newest key of table `signing_key`, and makes the first one when there is none. A retired key signs
 * no more, but its URLs last until they expire; a removed one takes its URLs with it.
 */
export function createSigner(db: Database): Signer {
  let kept: { keys: Key[]; current: Key; at: number } | undefined;

  async function load() {
    const rows = await db.signingKey.findMany({ orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] });
    const current = rows.find(({ retiredAt }) => retiredAt === null) ?? (await createFirst(db));
    kept = { keys: [...rows, current], current, at: Date.now() };
    return kept;
  }

  async function keys() {
    return kept && Date.now() - kept.at < keysKeptMs ? kept : load();
  }

  return {
    async sign(fileId, expiresAt) {
      const { current } = await keys();
      const exp = String(Math.floor(expiresAt.getTime() / 1000));
      return { kid: current.id, exp, sig: mac(current, fileId, exp).toString('base64url') };
    },

    async verify(fileId, { kid, exp, sig }) {
      if (!/^[0-9a-f]{16}$/.test(kid) || !/^\d{1,12}$/.test(exp) || !/^[A-Za-z0-9_-]{43}$/.test(sig)) return 'invalid';
      const find = (known: { keys: Key[] }) => known.keys.find(({ id }) => id === kid);
      // A replica may have made the key a moment ago.
      const key = find(await keys()) ?? find(await load());
      if (!key || !isSameHash(mac(key, fileId, exp), Buffer.from(sig, 'base64url'))) return 'invalid';
      return Number(exp) * 1000 > Date.now() ? 'valid' : 'expired';
    },
  };
}

/** The kind of thing signed stands first, so that a signature is good for nothing else. */
function mac({ secret }: Key, fileId: string, exp: string): Buffer {
  return createHmac('sha256', secret).update(`file\n${fileId.toLowerCase()}\n${exp}`).digest();
}

async function createFirst(db: Database): Promise<Key> {
  return db.$transaction(async (transaction) => {
    await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${firstKeyLock}::bigint)`;
    const made = await transaction.signingKey.findFirst({ where: { retiredAt: null } });
    if (made) return made;
    const [id, secret] = [randomBytes(8).toString('hex'), new Uint8Array(randomBytes(32))];
    return transaction.signingKey.create({ data: { id, secret } });
  });
}
