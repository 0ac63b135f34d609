/** Who follows the same and who does not, what they are told when something goes wrong, and how they leave. */
import { v7 as uuid } from 'uuid';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import type { Database } from '../../src/db.js';
import { api, type GraphqlError, type Socket, serverSentEvents } from '../testkit/api.js';
import { happen, happenOften } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type LoneReplica, startLoneReplica } from '../testkit/lone-replica.js';
import type { Replica } from '../testkit/server.js';

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
  let lone: LoneReplica;
  let db: Database;
  let replica: Replica;
  let projectId: string;
  let key: string;
  beforeAll(async () => {
    lone = await startLoneReplica();
    ({ db, replica, projectId, key } = lone);
  });
  // Whatever a test did, nobody is followed for when all have left.
  afterEach(() => lone.leaveAll());
  afterAll(() => lone.remove());

  const open = (count: number): Promise<Socket[]> => Promise.all(Array.from({ length: count }, () => lone.open()));
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

  describe('are only those', () => {
    test('with the same variables', async () => {
      const [one, other] = [await lone.newJob(), await lone.newJob()];
      const socket = await lone.open();
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
      const { jobId, id } = await lone.newJob();
      const two = `
        subscription One($id: ID!) { jobEvents(jobId: $id) { sequence } }
        subscription Other($id: ID!) { jobEvents(jobId: $id) { __typename } }`;
      const socket = await lone.open();
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
      const { jobId, id } = await lone.newJob();
      const file = { jobId, projectId, name: 'video.mp4', mediaType: 'video/mp4', kind: 'VIDEO' as const };
      await db.file.create({
        data: { ...file, id: uuid(), storageKey: 'video', sizeBytes: 1, sha256: new Uint8Array(32) },
      });
      const document =
        'subscription($id: ID!) { jobEvents(jobId: $id) { sequence job { files { edges { node { name downloadUrl } } } } } }';
      const mayDownload = [key, await createKey(db, projectId, ['jobs:read', 'files:read']), await lone.tokenOf(jobId)];
      const mayNot = [await createKey(db, projectId, ['jobs:read']), await createKey(db, projectId, ['jobs:read'])];
      const readers = await Promise.all([...mayDownload, ...mayNot].map((reader) => lone.open(reader)));
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
      const other = await createProject(db);
      const foreign = await createKey(db, other);
      const theirJob = await createJobRow(db, other);
      const { jobId, id } = await lone.newJob();
      const document = 'subscription { events { __typename ... on JobEvent { job { id } } } }';
      const [mine, theirs] = [await lone.open(), await lone.open(foreign)];
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
      expect([mine.received, theirs.received]).toEqual([[], []]);
      theirs.subscribe('2', plain, { id });
      expect(JSON.stringify((await theirs.next('2')).payload)).toContain('NOT_FOUND');
    });

    test('with the token of the same job: it is told of that one, whatever else happens', async () => {
      const jobs = [await lone.newJob(), await lone.newJob()];
      const tokens = await Promise.all(jobs.map(({ jobId }) => lone.tokenOf(jobId)));
      const readers = await Promise.all([...tokens, key].map((token) => lone.open(token)));
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
      const { jobId, id } = await lone.newJob();
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
      const { jobId, id } = await lone.newJob();
      const readers = await open(2);
      for (const socket of readers) socket.subscribe('1', asking, { id });
      const [snapshot] = await toldToAll(readers);
      await db.$executeRaw`ALTER TABLE job_stats RENAME TO job_stats_away`;
      await happen(db, jobId);
      const [failed] = await toldToAll(readers);
      await db.$executeRaw`ALTER TABLE job_stats_away RENAME TO job_stats`;
      expect(failed?.errors).toHaveLength(1);
      const again = await lone.open();
      again.subscribe('1', asking, { id, after: snapshot?.data?.jobEvents.cursor });
      expect(await toldTo(again)).toMatchObject({ data: { jobEvents: { sequence: 2, job: { state: 'RECORDING' } } } });
    });

    test('a job that is gone ends the stream with a typed error, when its state was to be read', async () => {
      const { jobId, id } = await lone.newJob();
      await db.event.deleteMany({ where: { jobId } });
      const socket = await lone.open();
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
      const { jobId, id } = await lone.newJob();
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
      const { jobId, id } = await lone.newJob();
      const staying = await lone.open();
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
      const { id } = await lone.newJob();
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
});
