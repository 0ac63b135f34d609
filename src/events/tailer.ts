/** Reads new events of the outbox in commit order, once per process, and publishes them on the bus. */
import pg from 'pg';
import type { Logger } from 'pino';
import type { EventBus } from './bus.js';
import type { Position } from './position.js';
import { committedEvent, eventColumns, type StoredEvent } from './stored.js';

/** Poll interval when no wake-up comes: it bounds the delay of a lost one. */
const idlePollMs = 250;
/** Poll interval while an event waits behind an older open transaction. */
const fencePollMs = 10;
/** Between two reads, however often there is a wake-up: under load, many events share one read. */
const restMs = 5;
const batchSize = 500;
/** A question that was lost with its connection would otherwise wait until TCP gives up, after a quarter of an hour. */
const answerLimitMs = 5_000;
/** How many of the events from before the start are remembered, for clients that resume here. */
const preloaded = 5_000;

export interface Tailer {
  /** Resolves once events are being read; rejects never, it goes on trying. */
  ready: Promise<void>;
  /** Whether the latest read succeeded. */
  readonly healthy: boolean;
  /** Look now: there are new events. */
  wake(): void;
  close(): Promise<void>;
}

/** The database's oldest open transaction, as it was when the rows beside it were read. */
interface Fence {
  fence: string;
}

/**
 * Starts reading at the present end of the outbox. An event is published when no transaction older than its own is still
 * open, so that the order never changes afterwards. While the database is away nothing is missed, only later. Should it
 * come back as it was at an earlier time, `onRewound` is called: positions that were given out then mean other events.
 */
export function startTailer(deps: { url: string; bus: EventBus; log: Logger; onRewound(): void }): Tailer {
  const { url, bus, log, onRewound } = deps;
  let client: pg.Client | undefined;
  let position: Position | undefined;
  let closed = false;
  let healthy = false;
  let awake = false;
  let awaken: () => void = () => {};
  let becomeReady: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    becomeReady = resolve;
  });

  async function pause(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, Math.min(ms, restMs)));
    if (!awake && ms > restMs) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms - restMs);
        awaken = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    awake = false;
  }

  async function connected(): Promise<pg.Client> {
    if (client) return client;
    const fresh = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 5_000,
      query_timeout: answerLimitMs,
      keepAlive: true,
    });
    const forget = () => {
      if (client === fresh) client = undefined;
    };
    fresh.on('error', forget).on('end', forget);
    client = fresh;
    try {
      await fresh.connect();
      // The two queries are to follow their index whatever is known of the table: planned while it was empty, they would be
      // kept as a scan and a sort of all of it.
      await fresh.query('SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off');
    } catch (error) {
      forget();
      throw error;
    }
    return fresh;
  }

  /** Remembers the latest events from before now, as far as none was removed between them; answers where to read on. */
  async function start(): Promise<Position> {
    const { rows } = await (await connected()).query<StoredEvent & Fence & { removed_xid: string; removed_id: string }>(
      {
        text: `SELECT place.fence::text, place.removed_xid::text, place.removed_id::text, settled.*
               FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS fence,
                            coalesce(max(events_removed_xid), 0) AS removed_xid,
                            coalesce(max(events_removed_id), 0) AS removed_id FROM installation) AS place
               LEFT JOIN LATERAL (
                 SELECT ${eventColumns} FROM event
                  WHERE event.xid < place.fence AND (event.xid, event.id) > (place.removed_xid::text::xid8, place.removed_id)
                  ORDER BY event.xid DESC, event.id DESC LIMIT ${preloaded}) AS settled ON true`,
      },
    );
    const [{ fence, removed_xid, removed_id }] = rows as [(typeof rows)[0]];
    const removed = { xid: BigInt(removed_xid), id: BigInt(removed_id) };
    const events = rows
      .filter(({ id }) => id !== null)
      .reverse()
      .map(committedEvent);
    bus.start(events[0]?.position ?? removed);
    bus.publish(events.slice(1), { xid: BigInt(fence), id: 0n });
    return events.at(-1)?.position ?? removed;
  }

  /** Publishes what is settled; answers how long to wait before looking again. */
  async function readAfter(from: Position): Promise<number> {
    // Columns are qualified: `xid` and `id` alone would mean the texts that are selected, which sort otherwise.
    const { rows } = await (await connected()).query<StoredEvent & Fence & { settled: boolean }>({
      name: 'events',
      text: `SELECT fence.xmin::text AS fence, found.*
               FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xmin) AS fence
               LEFT JOIN LATERAL (
                 SELECT ${eventColumns}, event.xid < fence.xmin AS settled
                   FROM event WHERE (event.xid, event.id) > ($1::xid8, $2::bigint)
                  ORDER BY event.xid, event.id LIMIT ${batchSize}) AS found ON true`,
      values: [from.xid.toString(), from.id.toString()],
    });
    const fence = { xid: BigInt(rows[0]?.fence as string), id: 0n };
    // An event is read when its transaction has ended. That one can end again only where it never did.
    if (fence.xid <= from.xid) throw new RewoundError();
    const settled = rows.filter((row) => row.settled).map(committedEvent);
    const full = settled.length === batchSize;
    // Behind the last event, not the fence: a database that crashed gives numbers of transactions anew which left nothing.
    position = settled.at(-1)?.position ?? from;
    bus.publish(settled, full ? position : fence);
    if (full) return 0;
    return rows.some((row) => row.settled === false) ? fencePollMs : idlePollMs;
  }

  async function run(): Promise<void> {
    while (!closed) {
      let waitMs = idlePollMs;
      try {
        position ??= await start();
        waitMs = await readAfter(position);
        healthy = true;
        becomeReady();
      } catch (error) {
        if (error instanceof RewoundError) {
          log.fatal({ err: error }, 'the database is older than before');
          onRewound();
          return;
        }
        if (healthy) log.warn({ err: error }, 'reading events failed, trying again');
        healthy = false;
        // It may be one on which nothing is answered any more.
        client?.end().catch(() => {});
        client = undefined;
      }
      await pause(waitMs);
    }
  }
  const running = run();

  return {
    ready,
    get healthy() {
      return healthy;
    },
    wake() {
      awake = true;
      awaken();
    },
    async close() {
      closed = true;
      awake = true;
      awaken();
      await running;
      await client?.end().catch(() => {});
    },
  };
}

class RewoundError extends Error {
  override readonly name = 'RewoundError';
  constructor() {
    super(
      'Its transactions are numbered below those already read: it was restored, or failed over to a copy that lagged.',
    );
  }
}
