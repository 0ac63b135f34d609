/** Reads new events of the outbox in commit order, once per process, and publishes them on the bus. */
import type { Logger } from 'pino';
import type { Database } from '../db.js';
import type { JobEventPayload } from '../jobs/events.js';
import type { EventBus } from './bus.js';
import type { Position } from './position.js';

/** Poll interval when no wake-up comes: it bounds the delay of a lost one. */
const idlePollMs = 250;
/** Poll interval while an event waits behind an older open transaction. */
const fencePollMs = 10;
const batchSize = 500;

export interface Tailer {
  /** Resolves once events are being read; rejects never, it goes on trying. */
  ready: Promise<void>;
  /** Whether the latest read succeeded. */
  readonly healthy: boolean;
  /** Look now: there are new events. */
  wake(): void;
  close(): Promise<void>;
}

interface EventRow {
  id: string;
  xid: string;
  project_id: string;
  job_id: string | null;
  job_seq: number | null;
  payload: JobEventPayload;
  occurred_at: Date;
  settled: boolean;
}

/**
 * Starts reading at the present end of the outbox. An event is published when no transaction older than its own is still
 * open, so that the order never changes afterwards. While the database is away nothing is missed, only later.
 */
export function startTailer({ db, bus, log }: { db: Database; bus: EventBus; log: Logger }): Tailer {
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
    if (!awake && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        awaken = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    awake = false;
  }

  async function start(): Promise<Position> {
    const [row] = await db.$queryRaw<{ xmin: string }[]>`SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin`;
    return { xid: BigInt(row?.xmin ?? 0), id: -1n };
  }

  /** Publishes what is settled; answers how long to wait before looking again. */
  async function readAfter(from: Position): Promise<number> {
    // Columns are qualified: `xid` and `id` alone would mean the texts that are selected, which sort otherwise.
    const rows = await db.$queryRaw<EventRow[]>`
      SELECT id::text, xid::text, project_id, job_id, job_seq, payload, occurred_at,
             xid < pg_snapshot_xmin(pg_current_snapshot()) AS settled
        FROM event WHERE (event.xid, event.id) > (${from.xid.toString()}::xid8, ${from.id}) ORDER BY event.xid, event.id LIMIT ${batchSize}`;
    for (const row of rows) {
      if (!row.settled) return fencePollMs;
      position = { xid: BigInt(row.xid), id: BigInt(row.id) };
      bus.publish({
        position,
        projectId: row.project_id,
        jobId: row.job_id,
        jobSequence: row.job_seq,
        payload: row.payload,
        occurredAt: row.occurred_at,
      });
    }
    return rows.length === batchSize ? 0 : idlePollMs;
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
        if (healthy) log.warn({ err: error }, 'reading events failed, trying again');
        healthy = false;
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
    },
  };
}
