/** Clients go from one replica of the API to another, and lose nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import type { Database } from '../../src/db.js';
import { api, serverSentEvents } from '../testkit/api.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { type DatabaseLink, linkTo } from '../testkit/database-link.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type Replica, startReplica } from '../testkit/server.js';
import { document, type Item, type Told, upTo, Wanderer } from '../testkit/wanderer.js';

describe('from one replica to another', () => {
  let own: OwnDatabase;
  let db: Database;
  let replicas: [Replica, Replica];
  let projectId: string;
  let key: string;

  beforeAll(async () => {
    own = await ownDatabase();
    ({ db } = own);
    replicas = await Promise.all([startReplica(own.url), startReplica(own.url)]);
    projectId = await createProject(db);
    key = await createKey(db, projectId);
  });
  afterAll(async () => {
    for (const replica of replicas) await replica.close();
    await own.remove();
  });

  const apiOf = (replica: Replica) => api(key, replica.url);
  async function newJob() {
    const jobId = await createJobRow(db, projectId, 'RECORDING');
    return { jobId, id: encodeId('Job', jobId) };
  }

  test('and back, again and again while 1,000 events are written: none is missed or repeated', async () => {
    const { jobId, id } = await newJob();
    const last = 1_001;
    const wanderers = [5, 40].map((patience) => ({ wanderer: new Wanderer(id), patience }));
    let written = 1;
    const writing = (async () => {
      while (written < last) written = await happen(db, jobId);
    })();
    await Promise.all(
      wanderers.map(async ({ wanderer, patience }) => {
        for (let visits = 0; (wanderer.told.at(-1)?.sequence ?? 0) < last; visits++) {
          await wanderer.goTo(apiOf(replicas[visits % 2] as Replica));
          await wanderer.untilTold(Math.min((wanderer.told.at(-1)?.sequence ?? 0) + patience, last));
        }
        wanderer.leave();
      }),
    );
    await writing;
    for (const { wanderer } of wanderers) {
      const first = wanderer.told[0] as Item;
      expect(first.__typename).toBe('JobSnapshot');
      expect(wanderer.sequences).toEqual(upTo(last).slice(first.sequence - 1));
    }
  });

  test('also from a socket to server-sent events', async () => {
    const { jobId, id } = await newJob();
    const wanderer = new Wanderer(id);
    await wanderer.goTo(apiOf(replicas[0]));
    await wanderer.untilTold(1);
    await happen(db, jobId);
    await wanderer.untilTold(2);
    wanderer.leave();
    await happen(db, jobId);
    const leaving = new AbortController();
    const after = wanderer.told.at(-1)?.cursor;
    const response = await apiOf(replicas[1]).stream(document, { id, after }, leaving.signal);
    const events = serverSentEvents<Told>(response);
    expect((await events.next()).value?.data.jobEvents).toMatchObject({ __typename: 'JobFileAdded', sequence: 3 });
    leaving.abort();
  });

  /** Ends the connections of both replicas that events come by; answers how many there were. */
  async function cutFeeds(): Promise<number> {
    const [{ cut }] = await db.$queryRaw<[{ cut: bigint }]>`
      SELECT count(pg_terminate_backend(pid)) AS cut FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND (query LIKE 'LISTEN%' OR query LIKE '%AS fence%')`;
    return Number(cut);
  }

  test('is not needed when the connections of a feed are cut: what happens meanwhile is told later', async () => {
    const { jobId, id } = await newJob();
    const followers = replicas.map(() => new Wanderer(id));
    for (const [index, follower] of followers.entries()) await follower.goTo(apiOf(replicas[index] as Replica));
    for (const follower of followers) await follower.untilTold(1);
    for (let cuts = 0; cuts < 5; cuts++) {
      for (let times = 0; times < 5; times++) await happen(db, jobId);
      await expect.poll(cutFeeds).toBeGreaterThan(0);
    }
    for (const follower of followers) {
      await follower.untilTold(26);
      expect(follower.sequences).toEqual(upTo(26));
      follower.leave();
    }
  });

  test('is not needed either when they go silent, though nobody is told that they are gone', async () => {
    const link: DatabaseLink = await linkTo(own.url);
    const replica = await startReplica(link.url);
    const { jobId, id } = await newJob();
    const follower = new Wanderer(id);
    await follower.goTo(apiOf(replica));
    await follower.untilTold(1);
    await happen(db, jobId);
    await follower.untilTold(2);
    link.silence();
    await happen(db, jobId);
    await follower.untilTold(3, 15_000);
    expect(follower.sequences).toEqual(upTo(3));
    follower.leave();
    await link.close();
    await replica.close();
  });
});
