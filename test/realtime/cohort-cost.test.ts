/** What it costs that many follow the same, and that they come back. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db.js';
import { api, type GraphqlError, type Socket } from '../testkit/api.js';
import { happen, happenOften } from '../testkit/happen.js';
import { type LoneReplica, startLoneReplica } from '../testkit/lone-replica.js';
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
  let lone: LoneReplica;
  let db: Database;
  let replica: Replica;
  let key: string;
  beforeAll(async () => {
    lone = await startLoneReplica();
    ({ db, replica, key } = lone);
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
      const { jobId, id } = await lone.newJob();
      await writeJobStats(db, jobId, 1);
      const costs: number[] = [];
      const sockets: Socket[] = [];
      for (const count of [1, 199]) {
        const newcomers = await open(count);
        sockets.push(...newcomers);
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
      const { jobId, id } = await lone.newJob();
      const first = await lone.open();
      first.subscribe('1', asking, { id });
      const [snapshot] = await cursorsOf(first, 1);
      for (let event = 0; event < 3; event++) await happen(db, jobId);
      const cursors = [snapshot, ...(await cursorsOf(first, 3))];
      const sockets = [first];
      for (const [index, after] of cursors.entries()) {
        const socket = await lone.open();
        sockets.push(socket);
        socket.subscribe('1', asking, { id, after });
        expect(await eventsTo(socket, 3 - index)).toEqual(
          [2, 3, 4].slice(index).map((sequence) => `JobFileAdded ${sequence}`),
        );
      }
      expect(replica.followed).toBe(1);
      const alone = await lone.newJob();
      const other = await lone.open();
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
        for (const socket of sockets) expect((await eventTo(socket)).sequence).toBe(5);
      });
      expect(ofAll).toBe(ofOne);
    });

    test('when they all come back at once, behind the same event', async () => {
      const { jobId, id } = await lone.newJob();
      const missed = 20;
      const first = await lone.open();
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
  });

  describe('go on exactly behind what they had', () => {
    const events = 6_000;
    let jobId: string;
    let id: string;
    let late: Replica;
    beforeAll(async () => {
      ({ jobId, id } = await lone.newJob());
      await happenOften(db, jobId, events - 1);
      // It remembers the last 5,000 events from before its start; those before them are in the table.
      late = await startReplica(lone.databaseUrl);
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
