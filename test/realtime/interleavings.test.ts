import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { createEventSources, type EventSources } from '../../src/events/event-sources.js';
import { type Feed, startFeed } from '../../src/events/feed.js';
import { appendJobEvent, createWake, eventsChannel, type Wake } from '../../src/events/outbox.js';
import { parseCursor } from '../../src/events/position.js';
import type { EventSource } from '../../src/events/source.js';
import { installationEpoch } from '../../src/installation.js';
import type { StreamItem } from '../../src/jobs/events.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { follow } from '../testkit/follower.js';
import { createJobRow, createProject, createRoom } from '../testkit/jobs.js';

const runs = 1_000;
const atOnce = 8;
/** After that, what was not told is missing. */
const longestSilenceMs = 20_000;
/** Of a busy machine; by default a transaction must begin in 2 s and be over in 5. */
const patience = { maxWait: 30_000, timeout: 30_000 };

let own: OwnDatabase;
let db: Database;
let wake: Wake;
let replicas: Feed[];
let sources: EventSources;
let epoch: string;

beforeAll(async () => {
  // In that of the shared stack, two thousand jobs would wait for its recorder, and every other test's behind them.
  own = await ownDatabase();
  const { url } = own;
  db = createDatabase(url, 20);
  wake = createWake(db);
  replicas = [1, 2].map(() => startFeed({ url, db, log: pino({ level: 'silent' }), onRewound: () => {} }));
  await Promise.all(replicas.map(({ ready }) => ready));
  epoch = await installationEpoch(db);
  sources = createEventSources({ db, epoch });
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.close()));
  await db.$disconnect();
  await own.remove();
});

/** Repeatable chance: the same seed makes the same choices (mulberry32). */
function chance(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    below: (limit: number) => Math.floor(next() * limit),
    of: <Choice>(choices: readonly Choice[]): Choice => choices[Math.floor(next() * choices.length)] as Choice,
    rest: () => new Promise<void>((resolve) => setTimeout(resolve, next() * 3)),
  };
}
type Chance = ReturnType<typeof chance>;

/** One transaction: an event or two of one job or two, sometimes given up, sometimes held open for a while. */
async function write(jobs: readonly string[], { below, of, rest }: Chance): Promise<void> {
  const givenUp = below(10) === 0;
  const written = db.$transaction(async (transaction) => {
    if (below(4) === 0) await transaction.$queryRaw`SELECT pg_current_xact_id()::text`;
    // In one order, so that two writers never wait for each other.
    const chosen = [...new Set([of(jobs), ...(below(3) === 0 ? [of(jobs)] : [])])].sort();
    for (const jobId of chosen) {
      if (below(4) === 0) await rest();
      const job = await transaction.job.update({ where: { id: jobId }, data: { eventSequence: { increment: 1 } } });
      await appendJobEvent(transaction, job, { type: 'JobFileAdded', fileId: jobId, name: 'n', kind: 'LOG' });
    }
    if (givenUp) throw new Error('given up');
  }, patience);
  await written.catch((error: Error) => {
    if (error.message !== 'given up') throw error;
  });
  if (below(5) > 0) wake(eventsChannel);
}

const nameOf = (jobId: string, sequence: number) => `${jobId} ${sequence}`;

/** What the table has behind the snapshot that a stream began with. */
async function eventsBehind(
  snapshot: StreamItem,
  column: 'job_id' | 'room_id' | 'project_id',
  id: string,
): Promise<string[]> {
  const position = parseCursor(epoch, snapshot.cursor);
  if (position === null || position === 'foreign') throw new Error('The cursor is none.');
  const rows = await db.$queryRawUnsafe<{ job_id: string; job_seq: number }[]>(
    `SELECT job_id, job_seq FROM event WHERE ${column} = $1::uuid AND (xid, id) > ($2::text::xid8, $3::bigint) ORDER BY xid, id`,
    id,
    position.xid.toString(),
    position.id.toString(),
  );
  return rows.map((row) => nameOf(row.job_id, row.job_seq));
}

/** Follows until it was told as much as `expected` once writing is over, leaving and coming back to this replica or the other. */
async function listen(options: {
  open(after: string | null): EventSource;
  expected(snapshot: StreamItem): Promise<string[]>;
  chances: Chance;
  writing: Promise<void>;
}): Promise<{ told: string[]; wanted: string[] }> {
  const { open, expected, writing } = options;
  const { below, of, rest } = options.chances;
  const told: string[] = [];
  let snapshot: StreamItem | undefined;
  let wanted: string[] | undefined;
  let after: string | null = null;
  let over = false;
  let toldAt = Date.now();
  void writing.then(() => {
    over = true;
  });
  const isDone = () => wanted !== undefined && (told.length >= wanted.length || Date.now() - toldAt > longestSilenceMs);
  while (!isDone()) {
    const follower = follow(of(replicas), open(after));
    const turns = over ? Number.POSITIVE_INFINITY : 1 + below(8);
    let taken = 0;
    const take = () => {
      for (; taken < follower.items.length; taken++) {
        const item = follower.items[taken] as StreamItem;
        after = item.cursor;
        toldAt = Date.now();
        if (item.kind === 'event') told.push(nameOf(item.jobId as string, item.sequence));
        else if (snapshot) throw new Error(`A stream that was resumed began anew: ${JSON.stringify(item)}`);
        else snapshot = item;
      }
    };
    for (let turn = 0; turn < turns && !isDone(); turn++) {
      if (below(6) === 0) follower.pause();
      await rest();
      if (over || below(2) === 0) follower.resume();
      take();
      if (over && snapshot) wanted ??= await expected(snapshot);
    }
    // Left in the middle of things: what was handed over was received, and its cursor is kept.
    follower.leave();
    take();
  }
  return { told, wanted: wanted ?? [] };
}

async function run(seed: number): Promise<void> {
  const chances = chance(seed);
  const projectId = await createProject(db);
  const roomId = await createRoom(db, projectId);
  const rooms = [roomId, chances.of([roomId, undefined])];
  const jobs = await Promise.all(rooms.map((room) => createJobRow(db, projectId, 'QUEUED', { roomId: room })));
  const followed = chances.of(jobs);
  const writing = Promise.all(
    [1, 2].map(async () => {
      for (let turn = 1 + chances.below(5); turn > 0; turn--) {
        await write(jobs, chances);
        await chances.rest();
      }
    }),
  ).then(() => {});
  const [ofJob, ofRoom, ofProject] = await Promise.all([
    listen({
      ...{ chances, writing },
      open: (after) => sources.job(followed, after),
      expected: (snapshot) => eventsBehind(snapshot, 'job_id', followed),
    }),
    listen({
      ...{ chances, writing },
      open: (after) => sources.room(roomId, after),
      expected: (snapshot) => eventsBehind(snapshot, 'room_id', roomId),
    }),
    listen({
      ...{ chances, writing },
      open: (after) => sources.project(projectId, after, {}),
      expected: (snapshot) => eventsBehind(snapshot, 'project_id', projectId),
    }),
  ]);
  expect(ofJob.told, `the job, seed ${seed}`).toEqual(ofJob.wanted);
  expect(ofRoom.told, `the room, seed ${seed}`).toEqual(ofRoom.wanted);
  expect(ofProject.told, `the project, seed ${seed}`).toEqual(ofProject.wanted);
}

test(`whoever writes, subscribes, leaves and resumes in whatever order: none missed, none twice, in ${runs} random runs`, async () => {
  let seed = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (seed < runs) await run(++seed);
    }),
  );
}, 600_000);
