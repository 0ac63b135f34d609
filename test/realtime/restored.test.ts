import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEventSources } from '../../src/events/event-sources.js';
import { startFeed } from '../../src/events/feed.js';
import { adoptRestoredEvents, installationEpoch } from '../../src/installation.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { follow } from '../testkit/follower.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';

const log = pino({ level: 'silent' });
let own: OwnDatabase;
beforeEach(async () => {
  own = await ownDatabase();
});
afterEach(() => own.remove());

test('a database that was restored from a dump into another server tells its events, and answers old cursors with a snapshot', async () => {
  const { db, url } = own;
  const jobId = await createJobRow(db, await createProject(db));
  for (let index = 0; index < 3; index++) await happen(db, jobId);
  // What the dump brings: numbers of transactions that this server has not counted up to.
  await db.$executeRaw`UPDATE event SET xid = (event.xid::text::bigint + 1000000000)::text::xid8`;
  const before = await installationEpoch(db);
  await db.installation.updateMany({ data: { eventsRemovedXid: 900_000_000n } });
  const old = await createEventSources({ db, epoch: before }).cursorOf(jobId, 2);

  await adoptRestoredEvents(db, log);
  const epoch = await installationEpoch(db);
  expect(epoch).not.toBe(before);
  const feed = startFeed({ url, db, log, onRewound: () => expect.unreachable() });
  await feed.ready;
  const sources = createEventSources({ db, epoch });
  const follower = follow(feed, sources.job(jobId, old));
  expect((await follower.first(1))[0]).toMatchObject({ kind: 'snapshot', sequence: 4 });
  await happen(db, jobId);
  expect((await follower.first(2))[1]).toMatchObject({ kind: 'event', sequence: 5 });
  follower.leave();
  const resumed = follow(feed, sources.job(jobId, await sources.cursorOf(jobId, 2)));
  expect((await resumed.first(3)).map(({ sequence }) => sequence)).toEqual([3, 4, 5]);
  resumed.leave();
  await feed.close();
});

test('a database that is as it was keeps its epoch and its cursors', async () => {
  const { db } = own;
  const jobId = await createJobRow(db, await createProject(db));
  const epoch = await installationEpoch(db);
  const { cursorOf } = createEventSources({ db, epoch });
  const cursor = await cursorOf(jobId, 1);
  await adoptRestoredEvents(db, log);
  expect(await installationEpoch(db)).toBe(epoch);
  expect(await cursorOf(jobId, 1)).toBe(cursor);
});
