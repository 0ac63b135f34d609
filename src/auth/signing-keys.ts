/** The keys that this installation signs with: in table `signing_key`, so that all replicas have the same. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Database } from '../db.js';

export interface SigningKey {
  /** Sixteen hexadecimal digits, shown beside each signature. */
  id: string;
  secret: Uint8Array;
}

/** A key that was retired or removed in another replica is honoured no longer than this. */
const keysKeptMs = 60_000;
/** Any number; the same in all replicas. */
const firstKeyLock = 7_360_041;

interface Kept {
  keys: SigningKey[];
  current: SigningKey;
  at: number;
}

export interface SigningKeys {
  /** The newest key that is not retired; it is made when there is none. */
  current(): Promise<SigningKey>;
  /** Retired ones too, since what they signed lasts until it expires. */
  find(id: string): Promise<SigningKey | undefined>;
}

export function createSigningKeys(db: Database): SigningKeys {
  let kept: Kept | undefined;
  let loading: Promise<Kept> | undefined;

  async function load(): Promise<Kept> {
    const rows = await db.signingKey.findMany({ orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] });
    const current = rows.find(({ retiredAt }) => retiredAt === null) ?? (await createFirst(db));
    kept = { keys: [...rows, current], current, at: Date.now() };
    return kept;
  }

  /** Asked for by a thousand at once, they are loaded once. */
  function keys(): Kept | Promise<Kept> {
    if (kept && Date.now() - kept.at < keysKeptMs) return kept;
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  }

  return {
    current: async () => (await keys()).current,
    async find(id) {
      if (!/^[0-9a-f]{16}$/.test(id)) return undefined;
      const among = (known: Kept) => known.keys.find((key) => key.id === id);
      // A replica may have made the key a moment ago.
      return among(await keys()) ?? among(await load());
    },
  };
}

/** A key that is good for one purpose only: what it signs means nothing elsewhere. */
export const keyFor = (purpose: string, { secret }: SigningKey): Uint8Array =>
  createHmac('sha256', secret).update(`key\n${purpose}`).digest();

async function createFirst(db: Database): Promise<SigningKey> {
  return db.$transaction(async (transaction) => {
    await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${firstKeyLock}::bigint)`;
    const made = await transaction.signingKey.findFirst({ where: { retiredAt: null } });
    if (made) return made;
    const [id, secret] = [randomBytes(8).toString('hex'), new Uint8Array(randomBytes(32))];
    return transaction.signingKey.create({ data: { id, secret } });
  });
}
