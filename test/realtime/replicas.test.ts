import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createDatabase, type Database } from '../../src/db.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { type Api, api, type Socket, serverSentEvents } from '../testkit/api.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { type DatabaseLink, linkTo } from '../testkit/database-link.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type Replica, startReplica } from '../testkit/server.js';

interface Item {
  __typename: string;
  cursor: string;
  sequence: number;
}
interface Told {
  data: { jobEvents: Item };
}

const document =
  'subscription($id: ID!, $after: Cursor) { jobEvents(jobId: $id, after: $after) { __typename cursor sequence } }';

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Follows a job until it is left: what it was told, whichever replica it was told by. */
class Wanderer {
  readonly told: Item[] = [];
  #socket: Socket | undefined;

  constructor(private readonly id: string) {}

  get sequences(): number[] {
    return this.told.map(({ sequence }) => sequence);
  }

  /** Goes on there, behind what it was told last; a connection that is lost ends it. */
  async goTo(replica: Api): Promise<void> {
    this.leave();
    const socket = await replica.connect();
    await socket.init();
    this.#socket = socket;
    socket.subscribe('1', document, { id: this.id, after: this.told.at(-1)?.cursor });
    void this.#listen(socket);
  }

  async #listen(socket: Socket): Promise<void> {
    for (;;) {
      const message = await socket.next('1').catch(() => null);
      if (!message || this.#socket !== socket) return;
      if (message.type !== 'next') throw new Error(`Expected the stream to go on, not ${JSON.stringify(message)}.`);
      this.told.push((message.payload as Told).data.jobEvents);
    }
  }

  async untilTold(sequence: number, timeout = 20_000): Promise<void> {
    await expect.poll(() => this.told.at(-1)?.sequence ?? 0, { timeout, interval: 5 }).toBeGreaterThanOrEqual(sequence);
  }

  get closed(): Promise<number> | undefined {
    return this.#socket?.closed;
  }

  leave(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }
}

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

describe('the streams of a job outlive', () => {
  const folder = temporaryDataFolder();
  const isolated = isolatedConfig(folder.dataDir);
  let stack: Stack;
  let db: Database;
  let replica: Replica;
  let projectId: string;

  async function start(): Promise<void> {
    stack = await startStack({
      config: {
        ...isolated,
        ...(stack ? { postgresPort: Number(new URL(stack.databaseUrl).port) } : {}),
        temporal: { ...isolated.temporal, address: inject('stack').temporalAddress },
      },
      services: ['api'],
      log: () => {},
    });
  }
  beforeAll(async () => {
    await start();
    db = createDatabase(stack.databaseUrl, 2);
    replica = await startReplica(stack.databaseUrl);
    ({ projectId } = await db.apiKey.findFirstOrThrow());
  });
  afterAll(async () => {
    await replica.close();
    await db.$disconnect();
    await stack.stop();
    folder.remove();
  });

  /** One replica is a process of its own, the other is in this one. */
  const process = () => api(stack.apiKey, stack.url);
  const inside = () => api(stack.apiKey, replica.url);
  async function newJob() {
    const jobId = await createJobRow(db, projectId, 'RECORDING');
    return { jobId, id: encodeId('Job', jobId) };
  }
  /** Writes events until it is told to stop, whatever becomes of the database; then answers how many there are. */
  function write(jobId: string): () => Promise<number> {
    let goesOn = true;
    const writing = (async () => {
      while (goesOn) await happen(db, jobId).catch(() => sleep(50));
    })();
    return async () => {
      goesOn = false;
      await writing;
      return db.event.count({ where: { jobId } });
    };
  }

  test('a replica that is killed: its clients go on at another one, and at itself when it is back', async () => {
    const { jobId, id } = await newJob();
    const wanderer = new Wanderer(id);
    await wanderer.goTo(process());
    await wanderer.untilTold(1);
    const stop = write(jobId);
    await wanderer.untilTold(100);
    const { closed } = wanderer;
    await stack.kill('api', 'SIGKILL');
    expect(await closed).toBe(1006);
    await wanderer.goTo(inside());
    await wanderer.untilTold(200);
    await stack.ready('api');
    await wanderer.goTo(process());
    await wanderer.untilTold((wanderer.told.at(-1) as Item).sequence + 100);
    const last = await stop();
    await wanderer.untilTold(last);
    expect(wanderer.sequences).toEqual(upTo(last));
    wanderer.leave();
  });

  test('a database that is killed: no connection is lost, and no event', async () => {
    const { jobId, id } = await newJob();
    const followers = [new Wanderer(id), new Wanderer(id)] as const;
    await followers[0].goTo(process());
    await followers[1].goTo(inside());
    for (const follower of followers) await follower.untilTold(1);
    const stop = write(jobId);
    await followers[0].untilTold(100);
    await stack.kill('postgres', 'SIGKILL');
    await stack.ready('postgres');
    const back = await db.event.count({ where: { jobId } });
    for (const follower of followers) await follower.untilTold(back + 100);
    const last = await stop();
    for (const follower of followers) {
      await follower.untilTold(last);
      expect(follower.sequences).toEqual(upTo(last));
      follower.leave();
    }
  });

  test('a database that is killed at rest, and then gives numbers of transactions anew that had left nothing', async () => {
    const { jobId, id } = await newJob();
    const follower = new Wanderer(id);
    await follower.goTo(inside());
    await follower.untilTold(1);
    for (let times = 0; times < 5; times++) await happen(db, jobId);
    await follower.untilTold(6);
    // What woke the replica was a transaction too, of which nothing is on disk: it has the highest number.
    await sleep(50);
    const all = 'subscription($after: Cursor) { events(after: $after) { __typename cursor sequence } }';
    const told = async (socket: Socket, operation: string) =>
      ((await socket.next(operation)).payload as { data: { events: Item } }).data.events;
    const socket = await inside().connect();
    await socket.init();
    socket.subscribe('1', all);
    const snapshot = await told(socket, '1');
    expect(snapshot).toMatchObject({ __typename: 'ProjectSnapshot', sequence: 0 });

    await stack.kill('postgres', 'SIGKILL');
    await stack.ready('postgres');
    while ((await db.event.count({ where: { jobId } }).catch(() => 0)) < 9)
      await happen(db, jobId).catch(() => sleep(50));
    await follower.untilTold(9);
    expect(follower.sequences).toEqual(upTo(9));
    socket.subscribe('2', all, { after: snapshot.cursor });
    for (const operation of ['1', '2']) {
      for (const sequence of [7, 8, 9]) expect((await told(socket, operation)).sequence).toBe(sequence);
    }
    expect(replica.logged.filter((line) => line.includes('RewoundError'))).toEqual([]);
    socket.close();
    follower.leave();
  });

  /** With owners: Postgres runs as another user than root, and on nothing that is not its own. */
  const copy = (from: string, to: string) => execFileSync('cp', ['-a', from, to]);

  test('a database that is set back to an earlier time: replicas notice, and cursors of what never happened get the state', async () => {
    const { jobId, id } = await newJob();
    const backup = `${folder.dataDir}-backup`;
    await happen(db, jobId);
    await stack.stop();
    copy(folder.dataDir, backup);
    await start();
    const lost = new Wanderer(id);
    await lost.goTo(inside());
    await lost.untilTold(2);
    for (let times = 0; times < 20; times++) await happen(db, jobId);
    await lost.untilTold(22);
    lost.leave();
    await stack.stop();
    rmSync(folder.dataDir, { recursive: true });
    copy(backup, folder.dataDir);
    rmSync(backup, { recursive: true });
    await start();
    await replica.rewound;
    const told = lost.told.length;
    await lost.goTo(process());
    await expect.poll(() => lost.told.length).toBe(told + 1);
    expect(lost.told.at(-1)).toMatchObject({ __typename: 'JobSnapshot', sequence: 2 });
    lost.leave();
  });
});
