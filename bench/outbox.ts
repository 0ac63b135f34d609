/**
 * Commits a second with the outbox: each changes the row of a job as a transition does and appends its event, while a feed
 * delivers. Against the same without outbox: each changes the row and inserts a row of the same columns and contents into a
 * table that has a primary key and no other index, with no wake-up, and with nobody who reads. Both are tried through Prisma,
 * as the service writes, and on bare connections: there it is the database that has the most to do, not this process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { pino } from 'pino';
import { createDatabase, type Database, type Transaction } from '../src/db.js';
import { type CommittedEvent, type CommittedJobEvent, projectTopic } from '../src/events/bus.js';
import { startFeed } from '../src/events/feed.js';
import { appendJobEvent, createWake, type EventJob, eventsChannel } from '../src/events/outbox.js';
import type { JobEventPayload } from '../src/jobs/events.js';
import type { JobState } from '../src/jobs/states.js';
import { temporaryDataFolder } from '../stack/isolated.js';
import { startStack } from '../stack/stack.js';
import { createJobRow, createProject } from '../test/testkit/jobs.js';
import { configWithoutEngine } from './api-stack.js';
import { type BenchResult, type Spread, spread, table } from './result.js';

const lowestRatio = 0.7;
const writers = 16;
/** Enough that two writers rarely want the same one, few enough that it happens all the time. */
const jobCount = 500;
const deliveryPatienceMs = 15_000;
const pollMs = 20;
/** A waker may have a last NOTIFY to send: it must not find its connection closed. */
const restMs = 50;

/** Executes a transaction of one writer: changes the job's row to the state, and does `also` with what it is then. */
type Transact = (jobId: string, state: JobState, also: Append) => Promise<unknown>;
type Append = typeof appendJobEvent;

interface Round {
  commits: number;
  seconds: number;
}

/** About 3 minutes; 45 s when quick. */
export async function benchOutbox(quick: boolean): Promise<BenchResult> {
  const rounds = quick ? 3 : 7;
  const roundMs = quick ? 2_500 : 5_000;
  const { dataDir, remove } = temporaryDataFolder();
  const stack = await startStack({ config: configWithoutEngine(dataDir), services: [], log: () => {} });
  const db = createDatabase(stack.databaseUrl, writers + 1);
  const bare = bareConnections(stack.databaseUrl);
  const paths: Path[] = [];
  try {
    const projectId = await createProject(db);
    const jobIds: string[] = [];
    for (let count = 0; count < jobCount; count++) jobIds.push(await createJobRow(db, projectId, 'RECORDING'));
    await createPlainTable(db);
    const of = (name: string, transact: Transact): Path => ({ name, transact, ours: [], plain: [] });
    paths.push(of('through Prisma', throughPrisma(db)), of('bare connections', bare.transact));
    // Code and caches get warm first.
    for (const { transact } of paths) await write(transact, jobIds, roundMs / 2, insertPlain);
    for (let round = 1; round <= rounds; round++) {
      for (const { name, transact, ours, plain } of paths) {
        const outbox = () => withOutbox(db, stack.databaseUrl, projectId, jobIds, roundMs, transact);
        // Who comes first alternates: a checkpoint, or what else the database does now and then, comes to both.
        if (round % 2 === 0) ours.push(await outbox());
        plain.push(await write(transact, jobIds, roundMs, insertPlain));
        if (round % 2 === 1) ours.push(await outbox());
        console.log(`round ${round} of ${rounds}, ${name}: outbox ${told(ours.at(-1))}, plain ${told(plain.at(-1))}`);
      }
    }
  } finally {
    await Promise.all([db.$disconnect(), bare.close()]);
    await stack.stop();
    remove();
  }

  const results = paths.map(({ name, ours, plain }) => {
    const [us, them] = [spread(ours.map(rate)), spread(plain.map(rate))];
    return { name, us, them, ratio: us.median / them.median };
  });
  const row = (name: string, { median, min, max }: Spread) => [name, ...[median, min, max].map((n) => n.toFixed(0))];
  const headings = [`commits a second, ${writers} writers`, 'median', 'lowest', 'highest', 'ratio'];
  const rows = results.flatMap(({ name, us, them, ratio }) => [
    [...row(`${name}: outbox, delivered`, us), ratio.toFixed(3)],
    [...row(`${name}: plain insert`, them), ''],
  ]);
  console.log(`\n${table(headings, rows)}`);
  const delivered = paths.flatMap(({ ours }) => ours).reduce((sum, { commits }) => sum + commits, 0);
  console.log(`${delivered.toLocaleString('en')} events were delivered, each once and in the order of its job.`);
  const worst = results.reduce((one, other) => (other.ratio < one.ratio ? other : one));
  return {
    ...{ name: 'outbox', value: worst.us.median, unit: 'commits/s', floor: worst.them.median, ratio: worst.ratio },
    ...{ goal: lowestRatio, goalIs: 'at least', ok: worst.ratio >= lowestRatio && delivered > 0 },
    details: { writers, jobs: jobCount, roundMs, delivered, worst: worst.name, paths: results },
  };
}

interface Path {
  name: string;
  transact: Transact;
  ours: Round[];
  plain: Round[];
}

const rate = ({ commits, seconds }: Round): number => commits / seconds;
const told = (round: Round | undefined): string => `${round && rate(round).toFixed(0)}/s`;

/** One round of ours; resolves when all of it has been delivered. Throws when an event was not, or twice, or out of order. */
async function withOutbox(
  db: Database,
  url: string,
  projectId: string,
  jobIds: readonly string[],
  roundMs: number,
  transact: Transact,
): Promise<Round> {
  const before = await sequences(db);
  const feed = startFeed({ url, db, log: pino({ level: 'silent' }), onRewound: () => {} });
  await feed.ready;
  const events: CommittedEvent[] = [];
  const unsubscribe = feed.bus.subscribe(projectTopic(projectId), (batch) => events.push(...batch));
  const wake = createWake(db);
  try {
    const round = await write(transact, jobIds, roundMs, appendJobEvent, () => wake(eventsChannel));
    for (let waitedMs = 0; events.length < round.commits && waitedMs < deliveryPatienceMs; waitedMs += pollMs) {
      await sleep(pollMs);
    }
    check(events, before, await sequences(db));
    return round;
  } finally {
    unsubscribe();
    await Promise.all([feed.close(), sleep(restMs)]);
  }
}

/** The number of the latest event of each job. */
async function sequences(db: Database): Promise<Map<string, number>> {
  const jobs = await db.job.findMany({ select: { id: true, eventSequence: true } });
  return new Map(jobs.map(({ id, eventSequence }) => [id, eventSequence]));
}

function check(events: readonly CommittedEvent[], before: Map<string, number>, after: Map<string, number>): void {
  const reached = new Map(before);
  for (const { jobId, jobSequence } of events as readonly CommittedJobEvent[]) {
    const expected = (reached.get(jobId) ?? 0) + 1;
    if (jobSequence !== expected) throw new Error(`Job ${jobId}: event ${jobSequence} came instead of ${expected}.`);
    reached.set(jobId, jobSequence);
  }
  for (const [jobId, sequence] of after) {
    const last = reached.get(jobId);
    if (last !== sequence) throw new Error(`Job ${jobId}: event ${sequence} was written, ${last} came last.`);
  }
}

/** All writers at once, each with a job after another, for so long. */
async function write(
  transact: Transact,
  jobIds: readonly string[],
  roundMs: number,
  also: Append,
  afterCommit: () => void = () => {},
): Promise<Round> {
  const startedAt = performance.now();
  let commits = 0;
  const writer = async () => {
    while (performance.now() - startedAt < roundMs) {
      const jobId = jobIds[Math.floor(Math.random() * jobIds.length)] as string;
      await transact(jobId, Math.random() < 0.5 ? 'RECORDING' : 'RECONNECTING', also);
      afterCommit();
      commits++;
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
  return { commits, seconds: (performance.now() - startedAt) / 1000 };
}

const throughPrisma =
  (db: Database): Transact =>
  (jobId, state, also) =>
    db.$transaction(async (transaction) => {
      const data = { state, stateSince: new Date(), eventSequence: { increment: 1 } };
      const job = await transaction.job.update({ where: { id: jobId }, data });
      await also(transaction, job, payloadOf(state));
    });

/** The same statements, without what Prisma does around them. */
function bareConnections(url: string): { transact: Transact; close(): Promise<void> } {
  const pool = new pg.Pool({ connectionString: url, max: writers });
  const transact: Transact = async (jobId, state, also) => {
    const client = await pool.connect();
    try {
      const $queryRaw = async (texts: TemplateStringsArray, ...values: unknown[]) => {
        const text = texts.reduce((before, after, index) => `${before}$${index}${after}`);
        return (await client.query({ name: texts[0]?.slice(0, 60), text, values })).rows;
      };
      await client.query('BEGIN');
      const [job] = await $queryRaw`
        UPDATE job SET state = ${state}::text::"JobState", state_since = ${new Date()}, updated_at = now(),
          event_sequence = event_sequence + 1
         WHERE id = ${jobId}::uuid
        RETURNING id, project_id AS "projectId", room_id AS "roomId", session_id AS "sessionId",
          event_sequence AS "eventSequence", callback_url AS "callbackUrl"`;
      // An event of a job without callback URL needs no more of a transaction, and no more of the job.
      await also({ $queryRaw } as unknown as Transaction, job as EventJob, payloadOf(state));
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  };
  return { transact, close: () => pool.end() };
}

const payloadOf = (state: JobState): JobEventPayload => ({
  ...{ type: 'JobStateChanged', state, previousState: null, reason: null, message: null, actor: null },
});

async function createPlainTable(db: Database): Promise<void> {
  await db.$executeRaw`
    CREATE TABLE plain (id bigserial PRIMARY KEY, written_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
      project_id uuid NOT NULL, room_id uuid, session_id uuid, job_id uuid, job_seq int, type text NOT NULL,
      version int NOT NULL DEFAULT 1, payload jsonb NOT NULL, occurred_at timestamptz(3) NOT NULL DEFAULT now())`;
}

const insertPlain: Append = async (transaction, { id, projectId, roomId, sessionId, eventSequence }, payload) => {
  await transaction.$queryRaw`
    INSERT INTO plain (project_id, room_id, session_id, job_id, job_seq, type, payload)
    VALUES (${projectId}::uuid, ${roomId}::uuid, ${sessionId}::uuid, ${id}::uuid, ${eventSequence}, ${payload.type},
      ${JSON.stringify(payload)}::jsonb)
    RETURNING occurred_at`;
};
