/** Replicas and databases that are killed, or set back: those who follow a job lose nothing by that. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createDatabase, type Database } from '../../src/db.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { api, type Socket } from '../testkit/api.js';
import { happen } from '../testkit/happen.js';
import { createJobRow } from '../testkit/jobs.js';
import { type Replica, startReplica } from '../testkit/server.js';
import { type Item, upTo, Wanderer } from '../testkit/wanderer.js';

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
