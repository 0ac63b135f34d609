import { v7 as uuid } from 'uuid';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createJobToken } from '../../src/auth/tokens.js';
import type { Database } from '../../src/db.js';
import { api, type GraphqlError, type Socket, serverSentEvents } from '../testkit/api.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { happen, happenOften } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type Replica, startReplica } from '../testkit/server.js';
import { writeJobStats } from '../testkit/stats.js';

interface Item {
  __typename: string;
  cursor: string;
  sequence: number;
}
interface Told {
  data: { jobEvents: Item } | null;
  errors?: GraphqlError[];
}

const plain =
  'subscription($id: ID!, $after: Cursor) { jobEvents(jobId: $id, after: $after) { __typename cursor sequence } }';
/** Has to ask the database for every event. */
const asking =
  'subscription($id: ID!, $after: Cursor) { jobEvents(jobId: $id, after: $after) { __typename cursor sequence job { state stats { fps } } } }';

describe('those who follow the same', () => {
  let own: OwnDatabase;
  let db: Database;
  let replica: Replica;
  let projectId: string;
  let key: string;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    own = await ownDatabase();
    ({ db } = own);
    replica = await startReplica(own.url);
    projectId = await createProject(db);
    key = await createKey(db, projectId);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.close();
    // Whatever a test did, nobody is followed for when all have left.
    await expect.poll(() => [replica.followed, replica.kept]).toEqual([0, 0]);
  });
  afterAll(async () => {
    await replica.close();
    await own.remove();
  });

  async function newJob() {
    const jobId = await createJobRow(db, projectId, 'RECORDING');
    return { jobId, id: encodeId('Job', jobId) };
  }
  async function open(count: number, token = key): Promise<Socket[]> {
    const opened = await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = await api(token, replica.url).connect();
        await socket.init();
        return socket;
      }),
    );
    sockets.push(...opened);
    return opened;
  }
  async function openOne(token = key): Promise<Socket> {
    return (await open(1, token))[0] as Socket;
  }
  const toldTo = async (socket: Socket, id = '1') => (await socket.next(id)).payload as Told;
  const eventTo = async (socket: Socket, id = '1') => (await toldTo(socket, id)).data?.jobEvents as Item;
  const toldToAll = (all: readonly Socket[]) => Promise.all(all.map((socket) => toldTo(socket)));
  /** The next `count` events, as text. */
  async function eventsTo(socket: Socket, count: number): Promise<string[]> {
    const told: string[] = [];
    while (told.length < count) {
      const { __typename, sequence } = await eventTo(socket);
      told.push(`${__typename} ${sequence}`);
    }
    return told;
  }
  /** How many statements are sent while something is done. */
  async function statementsOf(doing: () => Promise<unknown>): Promise<number> {
    const before = replica.statements.length;
    await doing();
    return replica.statements.length - before;
  }
  async function cursorsOf(socket: Socket, count: number): Promise<string[]> {
    const cursors: string[] = [];
    for (let index = 0; index < count; index++) cursors.push((await eventTo(socket)).cursor);
    return cursors;
  }

  describe('cost the database as much as one of them', () => {
    test('for every event', async () => {
      const { jobId, id } = await newJob();
      await writeJobStats(db, jobId, 1);
      const costs: number[] = [];
      for (const count of [1, 199]) {
        const newcomers = await open(count);
        for (const socket of newcomers) socket.subscribe('1', asking, { id });
        await toldToAll(newcomers);
        await happen(db, jobId);
        await toldToAll(sockets);
        for (let event = 0; event < 3; event++) {
          costs.push(
            await statementsOf(async () => {
              await happen(db, jobId);
              const [first, ...others] = await toldToAll(sockets);
              expect(first).toMatchObject({
                data: { jobEvents: { job: { state: 'RECORDING', stats: { fps: 29.97 } } } },
              });
              for (const other of others) expect(other).toEqual(first);
            }),
          );
        }
      }
      expect(costs[0]).toBeGreaterThan(0);
      expect(new Set(costs).size).toBe(1);
      expect(replica.followed).toBe(1);
    });

    test('also those that came at different times, from different places', async () => {
      const { jobId, id } = await newJob();
      const first = await openOne();
      first.subscribe('1', asking, { id });
      const [snapshot] = await cursorsOf(first, 1);
      for (let event = 0; event < 3; event++) await happen(db, jobId);
      const cursors = [snapshot, ...(await cursorsOf(first, 3))];
      for (const [index, after] of cursors.entries()) {
        const socket = await openOne();
        socket.subscribe('1', asking, { id, after });
        expect(await eventsTo(socket, 3 - index)).toEqual(
          [2, 3, 4].slice(index).map((sequence) => `JobFileAdded ${sequence}`),
        );
      }
      expect(replica.followed).toBe(1);
      const alone = await newJob();
      const other = await openOne();
      other.subscribe('1', asking, { id: alone.id });
      await eventTo(other);
      // The first event was before the snapshot, and may yet be read: not so after another.
      await happen(db, alone.jobId);
      await eventTo(other);
      const ofOne = await statementsOf(async () => {
        await happen(db, alone.jobId);
        await eventTo(other);
      });
      const ofAll = await statementsOf(async () => {
        await happen(db, jobId);
        for (const socket of sockets) if (socket !== other) expect((await eventTo(socket)).sequence).toBe(5);
      });
      expect(ofAll).toBe(ofOne);
    });

    test('when they all come back at once, behind the same event', async () => {
      const { jobId, id } = await newJob();
      const missed = 20;
      const first = await openOne();
      first.subscribe('1', asking, { id });
      await eventTo(first);
      await happen(db, jobId);
      const [after] = await cursorsOf(first, 1);
      const ofOne = await statementsOf(async () => {
        for (let event = 0; event < missed; event++) await happen(db, jobId);
        await eventsTo(first, missed);
      });
      first.close();
      await expect.poll(() => replica.followed).toBe(0);
      const all = await open(100);
      const ofAll = await statementsOf(async () => {
        for (const socket of all) socket.subscribe('1', asking, { id, after });
        for (const socket of all)
          expect(await eventsTo(socket, missed)).toEqual(
            Array.from({ length: missed }, (_, index) => `JobFileAdded ${index + 3}`),
          );
      });
      // Whether the job may be seen is asked for each of them.
      expect(ofAll - all.length).toBeLessThanOrEqual(ofOne + 5);
    });

    test('for their snapshots, nearly: those that come while one is read share the next', async () => {
      const { id } = await newJob();
      const all = await open(100);
      const before = replica.statements.length;
      for (const socket of all) socket.subscribe('1', asking, { id });
      await toldToAll(all);
      const readings = replica.statements.slice(before).filter((sql) => sql.includes('ORDER BY job_seq DESC'));
      expect(readings.length).toBeLessThan(50);
    });
  });

  describe('are only those', () => {
    test('with the same variables', async () => {
      const [one, other] = [await newJob(), await newJob()];
      const socket = await openOne();
      socket.subscribe('1', plain, { id: one.id });
      socket.subscribe('2', plain, { id: other.id });
      for (const id of ['1', '2']) expect((await eventTo(socket, id)).sequence).toBe(1);
      expect(replica.followed).toBe(2);
      await happen(db, other.jobId);
      expect((await eventTo(socket, '2')).sequence).toBe(2);
      await happen(db, one.jobId);
      await happen(db, one.jobId);
      expect([(await eventTo(socket, '1')).sequence, (await eventTo(socket, '1')).sequence]).toEqual([2, 3]);
    });

    test('with the same document and operation of it', async () => {
      const { jobId, id } = await newJob();
      const two = `
        subscription One($id: ID!) { jobEvents(jobId: $id) { sequence } }
        subscription Other($id: ID!) { jobEvents(jobId: $id) { __typename } }`;
      const socket = await openOne();
      const subscribe = (operation: string, query: string, operationName?: string) =>
        socket.send({ id: operation, type: 'subscribe', payload: { query, operationName, variables: { id } } });
      subscribe('1', two, 'One');
      subscribe('2', two, 'Other');
      subscribe('3', plain);
      for (const operation of ['1', '2', '3']) await socket.next(operation);
      expect(replica.followed).toBe(3);
      await happen(db, jobId);
      expect((await socket.next('1')).payload).toEqual({ data: { jobEvents: { sequence: 2 } } });
      expect((await socket.next('2')).payload).toEqual({ data: { jobEvents: { __typename: 'JobFileAdded' } } });
      expect(Object.keys((await eventTo(socket, '3')) as object)).toEqual(['__typename', 'cursor', 'sequence']);
    });

    test('of whom each may see as much: every field answers as the rights of its own reader have it', async () => {
      const { jobId, id } = await newJob();
      const file = { jobId, projectId, name: 'video.mp4', mediaType: 'video/mp4', kind: 'VIDEO' as const };
      await db.file.create({
        data: { ...file, id: uuid(), storageKey: 'video', sizeBytes: 1, sha256: new Uint8Array(32) },
      });
      const { token, hash } = createJobToken(jobId);
      await db.job.update({ where: { id: jobId }, data: { accessTokenHash: hash } });
      const document =
        'subscription($id: ID!) { jobEvents(jobId: $id) { sequence job { files { edges { node { name downloadUrl } } } } } }';
      const mayDownload = [key, await createKey(db, projectId, ['jobs:read', 'files:read']), token];
      const mayNot = [await createKey(db, projectId, ['jobs:read']), await createKey(db, projectId, ['jobs:read'])];
      const readers = await Promise.all([...mayDownload, ...mayNot].map((reader) => openOne(reader)));
      for (const socket of readers) socket.subscribe('1', document, { id });
      await toldToAll(readers);
      await happen(db, jobId);
      const told = await toldToAll(readers);
      const urls = told.map(({ data }) => JSON.stringify(data).includes('/files/'));
      expect(urls).toEqual([true, true, true, false, false]);
      const refusal = {
        path: ['jobEvents', 'job', 'files', 'edges', 0, 'node', 'downloadUrl'],
        extensions: { code: 'FORBIDDEN', requestId: expect.any(String) },
      };
      expect(told.map(({ errors }) => errors)).toMatchObject([undefined, undefined, undefined, [refusal], [refusal]]);
      // All scopes, two of them, those of a job's token: these three, and one of the two keys that may not.
      expect(replica.followed).toBe(4);
    });

    test('of the same project: another one is told nothing', async () => {
      const [one, other] = [projectId, await createProject(db)];
      const foreign = await createKey(db, other);
      const theirJob = await createJobRow(db, other);
      const { jobId, id } = await newJob();
      const document = 'subscription { events { __typename ... on JobEvent { job { id } } } }';
      const [mine, theirs] = [await openOne(), await openOne(foreign)];
      for (const socket of [mine, theirs]) {
        socket.subscribe('1', document);
        expect((await socket.next('1')).payload).toMatchObject({ data: { events: { __typename: 'ProjectSnapshot' } } });
      }
      expect(replica.followed).toBe(2);
      await happen(db, jobId);
      await happen(db, theirJob);
      expect((await mine.next('1')).payload).toMatchObject({ data: { events: { job: { id } } } });
      expect((await theirs.next('1')).payload).toMatchObject({
        data: { events: { job: { id: encodeId('Job', theirJob) } } },
      });
      expect([one, mine.received, theirs.received]).toEqual([projectId, [], []]);
      theirs.subscribe('2', plain, { id });
      expect(JSON.stringify((await theirs.next('2')).payload)).toContain('NOT_FOUND');
    });

    test('with the token of the same job: it is told of that one, whatever else happens', async () => {
      const jobs = [await newJob(), await newJob()];
      const tokens = await Promise.all(
        jobs.map(async ({ jobId }) => {
          const { token, hash } = createJobToken(jobId);
          await db.job.update({ where: { id: jobId }, data: { accessTokenHash: hash } });
          return token;
        }),
      );
      const readers = await Promise.all([...tokens, key].map((token) => openOne(token)));
      const document = 'subscription { events { ... on JobEvent { job { id } } } }';
      for (const socket of readers) {
        socket.subscribe('1', document);
        await socket.next('1');
      }
      expect(replica.followed).toBe(3);
      for (const { jobId } of jobs) await happen(db, jobId);
      const of = ({ id }: { id: string }) => ({ data: { events: { job: { id } } } });
      const [first, second] = jobs as [(typeof jobs)[0], (typeof jobs)[0]];
      const [one, other, all] = readers as [Socket, Socket, Socket];
      expect((await one.next('1')).payload).toEqual(of(first));
      expect((await other.next('1')).payload).toEqual(of(second));
      expect([(await all.next('1')).payload, (await all.next('1')).payload]).toEqual([of(first), of(second)]);
      expect([one.received, other.received]).toEqual([[], []]);
    });
  });

  describe('when something goes wrong for all of them', () => {
    test('each is told, without what is inside, under an id that is in the log; and the stream goes on', async () => {
      const { jobId, id } = await newJob();
      const readers = await open(3);
      for (const socket of readers) socket.subscribe('1', asking, { id });
      await toldToAll(readers);
      const leaving = new AbortController();
      const events = serverSentEvents<Told>(await api(key, replica.url).stream(asking, { id }, leaving.signal));
      await events.next();
      await db.$executeRaw`ALTER TABLE job_stats RENAME TO job_stats_away`;
      await happen(db, jobId);
      const told = [...(await toldToAll(readers)), (await events.next()).value as Told];
      await db.$executeRaw`ALTER TABLE job_stats_away RENAME TO job_stats`;
      const [first] = told as [Told];
      expect(first.data?.jobEvents).toMatchObject({ __typename: 'JobFileAdded', sequence: 2, job: null });
      expect(first.errors).toMatchObject([{ path: ['jobEvents', 'job'], extensions: { code: 'INTERNAL' } }]);
      expect(JSON.stringify(first)).not.toContain('job_stats');
      for (const other of told) expect(other).toEqual(first);
      const requestId = first.errors?.[0]?.extensions.requestId as string;
      expect(replica.logged.filter((line) => line.includes(requestId) && line.includes('job_stats'))).toHaveLength(1);

      await happen(db, jobId);
      for (const { data, errors } of [...(await toldToAll(readers)), (await events.next()).value as Told]) {
        expect(data?.jobEvents).toMatchObject({ sequence: 3, job: { state: 'RECORDING' } });
        expect(errors).toBeUndefined();
      }
      leaving.abort();
    });

    test('who comes back later is told what happened, not what had gone wrong', async () => {
      const { jobId, id } = await newJob();
      const readers = await open(2);
      for (const socket of readers) socket.subscribe('1', asking, { id });
      const [snapshot] = await toldToAll(readers);
      await db.$executeRaw`ALTER TABLE job_stats RENAME TO job_stats_away`;
      await happen(db, jobId);
      const [failed] = await toldToAll(readers);
      await db.$executeRaw`ALTER TABLE job_stats_away RENAME TO job_stats`;
      expect(failed?.errors).toHaveLength(1);
      const again = await openOne();
      again.subscribe('1', asking, { id, after: snapshot?.data?.jobEvents.cursor });
      expect(await toldTo(again)).toMatchObject({ data: { jobEvents: { sequence: 2, job: { state: 'RECORDING' } } } });
    });

    test('a job that is gone ends the stream with a typed error, when its state was to be read', async () => {
      const { jobId, id } = await newJob();
      await db.event.deleteMany({ where: { jobId } });
      const socket = await openOne();
      socket.subscribe('1', plain, { id });
      expect(await socket.next('1')).toMatchObject({
        type: 'error',
        payload: [
          { message: 'There is no such job.', extensions: { code: 'NOT_FOUND', requestId: expect.any(String) } },
        ],
      });
      const events = serverSentEvents<Told>(await api(key, replica.url).stream(plain, { id }));
      expect((await events.next()).value).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
      expect((await events.next()).done).toBe(true);
    });
  });

  describe('leave without the others noticing', () => {
    const ways: [string, (socket: Socket) => void][] = [
      ['by completing', (socket) => socket.send({ id: '1', type: 'complete' })],
      ['by closing the socket at once', (socket) => socket.close()],
    ];
    test.each(ways)('%s', async (_, leave) => {
      const { jobId, id } = await newJob();
      const [leaving, staying] = (await open(2)) as [Socket, Socket];
      for (const socket of [leaving, staying]) socket.subscribe('1', plain, { id });
      await toldToAll([leaving, staying]);
      await happenOften(db, jobId, 50);
      await toldTo(leaving);
      leave(leaving);
      await happenOften(db, jobId, 50);
      expect(await eventsTo(staying, 100)).toEqual(
        Array.from({ length: 100 }, (_, index) => `JobFileAdded ${index + 2}`),
      );
      expect(replica.followed).toBe(1);
      staying.send({ id: '1', type: 'complete' });
      await expect.poll(() => replica.followed).toBe(0);
    });

    test('by aborting server-sent events', async () => {
      const { jobId, id } = await newJob();
      const staying = await openOne();
      staying.subscribe('1', plain, { id });
      await toldTo(staying);
      const leaving = new AbortController();
      const events = serverSentEvents<Told>(await api(key, replica.url).stream(plain, { id }, leaving.signal));
      await events.next();
      expect([replica.followed, replica.kept]).toEqual([1, 2]);
      leaving.abort();
      await expect.poll(() => replica.kept).toBe(1);
      await happen(db, jobId);
      expect(await eventsTo(staying, 1)).toEqual(['JobFileAdded 2']);
      staying.close();
      await expect.poll(() => replica.followed).toBe(0);
    });

    test('before there was anything to tell', async () => {
      const { id } = await newJob();
      const all = await open(20);
      for (const socket of all) {
        socket.subscribe('1', asking, { id });
        socket.send({ id: '1', type: 'complete' });
      }
      for (const socket of await open(20)) {
        socket.subscribe('1', asking, { id });
        socket.close();
      }
      await expect.poll(() => replica.followed).toBe(0);
      const [socket] = all as [Socket];
      socket.subscribe('2', plain, { id });
      expect((await eventTo(socket, '2')).sequence).toBe(1);
    });
  });

  describe('go on exactly behind what they had', () => {
    const events = 6_000;
    let jobId: string;
    let id: string;
    let late: Replica;
    beforeAll(async () => {
      ({ jobId, id } = await newJob());
      await happenOften(db, jobId, events - 1);
      // It remembers the last 5,000 events from before its start; those before them are in the table.
      late = await startReplica(own.url);
    });
    afterAll(() => late.close());

    async function follow(after: string, until: number): Promise<number[]> {
      const socket = await api(key, late.url).connect();
      await socket.init();
      socket.subscribe('1', plain, { id, after });
      const told: number[] = [];
      while (told.at(-1) !== until) told.push((await eventTo(socket)).sequence);
      socket.close();
      return told;
    }
    async function cursorOf(sequence: number): Promise<string> {
      const [row] = await db.$queryRaw<{ epoch: string; xid: string; id: string }[]>`
        SELECT epoch::text, xid::text, event.id::text FROM event, installation
         WHERE job_id = ${jobId}::uuid AND job_seq = ${sequence}`;
      return Buffer.from(`${row?.epoch}:${row?.xid}:${row?.id}`).toString('base64url');
    }
    const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

    test('from memory, where it is remembered: the table is not asked', async () => {
      const before = late.statements.length;
      expect(await follow(await cursorOf(5_500), events)).toEqual(from(5_501, events));
      expect(late.statements.slice(before).filter((sql) => sql.includes('FROM event'))).toEqual([]);
    });

    test('from the table and then from memory, where it is older, while more happens', async () => {
      const told = follow(await cursorOf(1), events + 100);
      for (let times = 0; times < 4; times++) await happenOften(db, jobId, 25);
      expect(await told).toEqual(from(2, events + 100));
    });
  });
});
