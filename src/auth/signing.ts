/** Signed download URLs: whoever has one may fetch one file for a while, without any other credentials. */
import { createHmac } from 'node:crypto';
import type { Database } from '../db.js';
import { createSigningKeys, type SigningKey } from './signing-keys.js';
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
  const keys = createSigningKeys(db);

  return {
    async sign(fileId, expiresAt) {
      const current = await keys.current();
      const exp = String(Math.floor(expiresAt.getTime() / 1000));
      return { kid: current.id, exp, sig: mac(current, fileId, exp).toString('base64url') };
    },

    async verify(fileId, { kid, exp, sig }) {
      if (!/^\d{1,12}$/.test(exp) || !/^[A-Za-z0-9_-]{43}$/.test(sig)) return 'invalid';
      const key = await keys.find(kid);
      if (!key || !isSameHash(mac(key, fileId, exp), Buffer.from(sig, 'base64url'))) return 'invalid';
      return Number(exp) * 1000 > Date.now() ? 'valid' : 'expired';
    },
  };
}

/** The kind of thing signed stands first, so that a signature is good for nothing else. */
function mac({ secret }: SigningKey, fileId: string, exp: string): Buffer {
  return createHmac('sha256', secret).update(`file\n${fileId.toLowerCase()}\n${exp}`).digest();
}
