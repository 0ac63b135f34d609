/** One process of several does some work: whoever holds an advisory lock of Postgres, while it holds it. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from 'pino';

/** How late another process notices that the one which worked is gone. */
const lookIntervalMs = 1_000;
const answerLimitMs = 5_000;
/** Postgres gives up the lock of a machine that has vanished from the network after about 20 s; its own default is two hours. */
const keepalives = '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3';

export interface Work {
  close(): Promise<void>;
}

export interface Turn {
  /** Resolves when it is known whose turn it is: this process works then, or another does. */
  settled: Promise<void>;
  /** Ends the work, then lets others have their turn. */
  close(): Promise<void>;
}

/**
 * Starts `work` when it is this process's turn, and closes it when it is another's. A lost connection alone ends nothing: while
 * the database is away nobody else can take the turn, and whoever connects first afterwards has it.
 */
export function takeTurns(options: {
  url: string;
  /** Names the lock. */
  lock: number;
  work(): Promise<Work>;
  log: Logger;
}): Turn {
  const { url, lock, work, log } = options;
  const ending = new AbortController();
  let client: pg.Client | undefined;
  let working: Work | undefined;
  let settle: () => void = () => {};
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });

  async function connect(): Promise<pg.Client> {
    const fresh = new pg.Client({
      ...{ connectionString: url, connectionTimeoutMillis: answerLimitMs, query_timeout: answerLimitMs },
      ...{ keepAlive: true, options: keepalives },
    });
    const drop = () => {
      if (client === fresh) client = undefined;
    };
    fresh.on('error', drop);
    fresh.on('end', drop);
    try {
      await fresh.connect();
    } catch (error) {
      void fresh.end().catch(() => {});
      throw error;
    }
    return fresh;
  }

  /** Whether it is this process's turn. */
  async function isOurs(): Promise<boolean> {
    client ??= await connect();
    const asked = client;
    try {
      // Held by this very connection already, or to be had.
      const { rows } = await asked.query(
        `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = 0
                           AND objid::bigint = $1::bigint AND granted) OR pg_try_advisory_lock($1::bigint) AS ours`,
        [lock],
      );
      return rows[0].ours;
    } catch (error) {
      if (client === asked) client = undefined;
      void asked.end().catch(() => {});
      throw error;
    }
  }

  async function look(): Promise<void> {
    const ours = await isOurs();
    if (ours && !working) {
      log.info('it is the turn of this process');
      working = await work();
    } else if (!ours && working) {
      log.warn('it is the turn of another process now');
      const ended = working;
      working = undefined;
      await ended.close();
    }
    settle();
  }

  const looking = (async () => {
    while (!ending.signal.aborted) {
      await look().catch((error) => log.warn({ err: error }, 'it could not be found out whose turn it is, or begun'));
      await sleep(lookIntervalMs, undefined, { signal: ending.signal }).catch(() => {});
    }
  })();

  return {
    settled,
    async close() {
      ending.abort();
      await looking;
      await working?.close();
      await client?.end().catch(() => {});
    },
  };
}
