/** The credentials themselves: how they are made, read and compared. Only their SHA-256 is ever stored. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A credential as it is handed out once, and what is kept of it. */
export interface NewToken {
  token: string;
  /** SHA-256 of the token. A fast hash is enough for 256 random bits. */
  hash: Uint8Array<ArrayBuffer>;
}

export type ParsedToken =
  /** `prefix` names the key's row. */
  | { kind: 'key'; prefix: string; hash: Uint8Array<ArrayBuffer> }
  | { kind: 'job'; jobId: string; hash: Uint8Array<ArrayBuffer> };

const keyPattern = /^(td_[0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;
const jobTokenPattern = /^tdj_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;
/** Characters; the longest is a job's: `tdj_`, 32, `_`, 43. */
const maxTokenLength = 80;

/** `td_<prefix>_<secret>`. The prefix is unique, not secret, and shown to tell keys apart. */
export function createApiKeyToken(): NewToken & { prefix: string } {
  const prefix = `td_${randomBytes(8).toString('hex')}`;
  return { prefix, ...withSecret(prefix) };
}

/** `tdj_<job id without dashes>_<secret>`: access to that job alone. */
export function createJobToken(jobId: string): NewToken {
  return withSecret(`tdj_${jobId.replaceAll('-', '')}`);
}

/** Undefined if the text cannot be a credential of ours, which is found out without hashing and without a database. */
export function parseToken(text: string): ParsedToken | undefined {
  if (text.length > maxTokenLength) return undefined;
  const prefix = keyPattern.exec(text)?.[1];
  if (prefix) return { kind: 'key', prefix, hash: sha256(text) };
  const job = jobTokenPattern.exec(text);
  return job ? { kind: 'job', jobId: job.slice(1).join('-'), hash: sha256(text) } : undefined;
}

/** Compares hashes in a time that does not tell where they differ. */
export function isSameHash(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

function withSecret(name: string): NewToken {
  const token = `${name}_${randomBytes(32).toString('base64url')}`;
  return { token, hash: sha256(token) };
}

function sha256(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(text).digest());
}
