/** A busy system: many jobs with an event a second each, written as changes are, many jobs to a statement. */
import { v7 as uuid } from 'uuid';
import type { Database } from '../src/db.js';
import { createWake, eventsChannel } from '../src/events/outbox.js';
import type { JobEventPayload } from '../src/jobs/events.js';
import { type Pace, pace } from './pace.js';
import { fileName } from './realtime-peer.js';

export interface BusyJob {
  id: string;
  /** Number of its latest event. */
  sequence: number;
}

export interface BusyWriting {
  /** Events written so far. */
  readonly written: number;
  /** Resolves when the last statement has been committed. Rejects when one failed. */
  stop(): Promise<void>;
}

const batchSize = 250;
/** Batches that are written at the same time, each on a connection: fewer would wait for each other's commits. */
const lanes = 4;

/** Jobs as they are when they record, each with its first event; nothing else knows of them. */
export async function createBusyJobs(db: Database, projectId: string, count: number): Promise<BusyJob[]> {
  const jobs = Array.from({ length: count }, () => ({ id: uuid(), sequence: 1 }));
  const payload: JobEventPayload = {
    ...{ type: 'JobStateChanged', state: 'RECORDING', previousState: null, reason: null, message: null, actor: null },
  };
  for (const batch of batchesOf(jobs)) {
    await db.job.createMany({
      data: batch.map(({ id, sequence }) => ({
        ...{ id, projectId, kind: 'ARCHIVE', state: 'RECORDING', eventSequence: sequence, maxDurationMs: 3_600_000 },
        source: { kind: 'page', url: 'http://127.0.0.1/', width: 1280, height: 720, fps: 30, loadTimeoutMs: 30_000 },
        accessTokenHash: new Uint8Array(32),
      })),
    });
    await db.event.createMany({
      data: batch.map(({ id, sequence }) => ({
        ...{ projectId, jobId: id, jobSequence: sequence, type: payload.type, payload },
      })),
    });
  }
  return jobs;
}

/** Writes one event of every job each second, evenly spread over it, until it is stopped. */
export function writeEverySecond(db: Database, jobs: BusyJob[]): BusyWriting {
  const wake = createWake(db);
  const batches = batchesOf(jobs);
  let written = 0;

  async function write(batch: BusyJob[]): Promise<void> {
    const ids = batch.map(({ id }) => id);
    const name = fileName((batch[0] as BusyJob).sequence + 1);
    // One writer a job: the writing transaction is always its newest, so the label of an event needs no care.
    const count = await db.$executeRaw`
      WITH written AS (
        UPDATE job SET event_sequence = event_sequence + 1, updated_at = now() WHERE id = ANY(${ids}::uuid[])
        RETURNING id, project_id, room_id, session_id, event_sequence)
      INSERT INTO event (project_id, room_id, session_id, job_id, job_seq, type, payload)
      SELECT project_id, room_id, session_id, id, event_sequence, 'JobFileAdded',
             jsonb_build_object('type', 'JobFileAdded', 'fileId', id, 'name', ${name}::text, 'kind', 'VIDEO')
        FROM written`;
    if (count !== batch.length) throw new Error(`${count} events were written instead of ${batch.length}.`);
    for (const job of batch) job.sequence++;
    written += count;
    wake(eventsChannel);
  }

  const paces: Pace[] = [];
  for (let lane = 0; lane < Math.min(lanes, batches.length); lane++) {
    const mine = batches.filter((_, index) => index % lanes === lane);
    // A batch comes once a second; the lanes take turns.
    const delayMs = (1000 / batches.length) * lane;
    paces.push(pace(mine.length, (number) => write(mine[(number - 1) % mine.length] as BusyJob[]), delayMs));
  }
  return {
    get written() {
      return written;
    },
    async stop() {
      await Promise.all(paces.map((lane) => lane.stop()));
    },
  };
}

function batchesOf(jobs: BusyJob[]): BusyJob[][] {
  const count = Math.ceil(jobs.length / batchSize);
  return Array.from({ length: count }, (_, index) => jobs.slice(index * batchSize, (index + 1) * batchSize));
}
