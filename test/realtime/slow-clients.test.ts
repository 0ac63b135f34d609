import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db.js';
import { type Api, api, type Socket, serverSentEvents } from '../testkit/api.js';
import { happenOften } from '../testkit/happen.js';
import { type LoneReplica, startLoneReplica } from '../testkit/lone-replica.js';
import { heldBytes } from '../testkit/memory.js';
import type { Replica } from '../testkit/server.js';
import { writeJobStats } from '../testkit/stats.js';

interface Item {
  __typename: string;
  cursor: string;
  sequence: number;
  dropped?: number;
}

const document = `subscription($id: ID!, $after: Cursor) {
  jobEvents(jobId: $id, after: $after) { __typename cursor sequence ... on JobFileAdded { name } ... on StreamLagged { dropped } }
}`;
const statsDocument = 'subscription($id: ID!) { jobStats(jobId: $id) { frames } }';

/** Some MB fit into what the system keeps for a connection: only what is more shows who is slow. */
const nameBytes = 1_000;
/** Fits into the queue of a follower. */
const burst = 500;

describe('a client that does not read', () => {
  let lone: LoneReplica;
  let db: Database;
  let replica: Replica;
  let client: Api;
  beforeAll(async () => {
    lone = await startLoneReplica();
    ({ db, replica } = lone);
    client = api(lone.key, replica.url);
  });
  afterEach(() => lone.leaveAll());
  afterAll(() => lone.remove());

  const itemOf = (payload: unknown) => (payload as { data: { jobEvents: Item } }).data.jobEvents;
  const nextItem = async (socket: Socket, id = '1') => itemOf((await socket.next(id)).payload);
  const megabytes = (bytes: number) => bytes / 1_048_576;

  /** Writes events in bursts, each once all of `readers` have been told of the one before; answers the number of the last. */
  async function flow(jobId: string, bursts: number, readers: readonly Socket[]): Promise<number> {
    let last = 0;
    for (let times = 0; times < bursts; times++) {
      const first = last;
      last = await happenOften(db, jobId, burst, nameBytes);
      for (const reader of readers) {
        for (let expected = first || last - burst; expected < last; )
          expect((await nextItem(reader)).sequence).toBe(++expected);
      }
    }
    return last;
  }

  /** All that is told until the client is cut off, which is the last of it. */
  async function untilCutOff(socket: Socket, id = '1'): Promise<Item[]> {
    const told: Item[] = [];
    while (told.at(-1)?.__typename !== 'StreamLagged') told.push(await nextItem(socket, id));
    return told;
  }

  /** What a client was told that had been told `from` already: each event once, then that it missed some of those up to `until`. */
  function expectCutOff(told: readonly Item[], from: number, until: number): Item {
    const events = told.slice(0, -1);
    const lagged = told.at(-1) as Item & { dropped: number };
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => from + 1 + index));
    expect(lagged.sequence).toBe(from + events.length);
    expect(lagged.dropped).toBeGreaterThan(0);
    expect(lagged.dropped).toBeLessThanOrEqual(until - lagged.sequence);
    return lagged;
  }

  test('costs nobody anything: the others are told all, and it goes on where it was cut off', async () => {
    const { jobId, id } = await lone.newJob();
    const other = await lone.newJob();
    const [reader, another, slow] = [await lone.open(), await lone.open(), await lone.open()];
    for (const socket of [reader, another, slow]) {
      socket.subscribe('1', document, { id });
      expect((await nextItem(socket)).sequence).toBe(1);
    }
    const events = serverSentEvents<{ data: { jobEvents: Item } }>(await client.stream(document, { id }));
    expect((await events.next()).value?.data.jobEvents.sequence).toBe(1);
    const read = await flow(jobId, 2, [reader, another, slow]);
    slow.pause();
    // What the process remembers of events is filled before it is looked what slow clients add to it.
    await flow(jobId, 20, [reader, another]);

    const frames = async (socket: Socket) =>
      Number(((await socket.next('stats')).payload as { data: { jobStats: { frames: string } } }).data.jobStats.frames);
    await writeJobStats(db, other.jobId, 1);
    for (const socket of [reader, slow]) socket.subscribe('stats', statsDocument, { id: other.id });
    expect(await frames(reader)).toBe(1);

    const held = await heldBytes();
    const last = await flow(jobId, 20, [reader, another]);
    expect(megabytes((await heldBytes()) - held)).toBeLessThan(8);

    for (const value of [2, 3]) {
      await writeJobStats(db, other.jobId, value);
      expect(await frames(reader)).toBe(value);
    }
    slow.resume();
    const lagged = expectCutOff(await untilCutOff(slow), read, last);
    // It was cut off only now, since some had still been waiting for it.
    expect(lagged.dropped).toBe(last - lagged.sequence);
    expect(await slow.next('1')).toEqual({ id: '1', type: 'complete' });
    // Of statistics, the one that was on its way when it stopped to read, and the newest.
    expect([await frames(slow), await frames(slow)]).toEqual([1, 3]);

    const told: Item[] = [];
    for await (const { data } of events) told.push(data.jobEvents);
    const alsoLagged = expectCutOff(told, 1, last);

    slow.subscribe('2', document, { id, after: lagged.cursor });
    for (let expected = lagged.sequence; expected < last; )
      expect((await nextItem(slow, '2')).sequence).toBe(++expected);
    const leaving = new AbortController();
    const again = await client.stream(document, { id, after: alsoLagged.cursor }, leaving.signal);
    let expected = alsoLagged.sequence;
    for await (const { data } of serverSentEvents<{ data: { jobEvents: Item } }>(again)) {
      expect(data.jobEvents.sequence).toBe(++expected);
      if (expected === last) break;
    }
    leaving.abort();
    expect(slow.received).toEqual([]);
  });

  test('is forgotten when it goes, though much was still to be sent to it', async () => {
    const { jobId, id } = await lone.newJob();
    const [reader, slow] = [await lone.open(), await lone.open()];
    for (const socket of [reader, slow]) {
      socket.subscribe('1', document, { id });
      await nextItem(socket);
    }
    slow.pause();
    const leaving = new AbortController();
    const events = serverSentEvents(await client.stream(document, { id }, leaving.signal));
    await events.next();
    await flow(jobId, 20, [reader]);
    expect([replica.followed, replica.kept]).toEqual([1, 3]);
    leaving.abort();
    slow.close();
    await expect.poll(() => replica.kept).toBe(1);
    reader.send({ id: '1', type: 'complete' });
    await expect.poll(() => replica.followed).toBe(0);
  });

  test('is not sent more of what was before it came than it takes', async () => {
    const { jobId, id } = await lone.newJob();
    const reader = await lone.open();
    reader.subscribe('1', document, { id });
    const after = (await nextItem(reader)).cursor;
    const last = await flow(jobId, 18, [reader]);
    const slow = await Promise.all(Array.from({ length: 10 }, () => lone.open()));
    const held = await heldBytes();
    for (const socket of slow) {
      socket.pause();
      socket.subscribe('1', document, { id, after });
    }
    // What happens meanwhile fits into their queues.
    await flow(jobId, 1, [reader]);
    expect(megabytes((await heldBytes()) - held)).toBeLessThan(12);
    const [resumed, ...others] = slow as [Socket, ...Socket[]];
    for (const socket of others) socket.close();
    resumed.resume();
    for (let expected = 1; expected < last + burst; ) expect((await nextItem(resumed)).sequence).toBe(++expected);
    expect(resumed.received).toEqual([]);
  });

  test('with many operations, of which it gives up some: each of the others is told where it was cut off', async () => {
    const { jobId, id } = await lone.newJob();
    const [reader, slow] = [await lone.open(), await lone.open()];
    const operations = Array.from({ length: 40 }, (_, index) => `o${index}`);
    reader.subscribe('1', document, { id });
    await nextItem(reader);
    for (const operation of operations) slow.subscribe(operation, document, { id });
    for (const operation of operations) await nextItem(slow, operation);
    slow.pause();
    const held = await heldBytes();
    const last = await flow(jobId, 6, [reader]);
    expect(megabytes((await heldBytes()) - held)).toBeLessThan(20);
    const [givenUp, kept] = [operations.slice(0, 20), operations.slice(20)];
    for (const operation of givenUp) slow.send({ id: operation, type: 'complete' });
    await flow(jobId, 1, [reader]);
    slow.resume();
    for (const operation of kept) {
      expectCutOff(await untilCutOff(slow, operation), 1, last + burst);
      expect((await slow.next(operation)).type).toBe('complete');
    }
    slow.subscribe('again', document, { id });
    expect(await nextItem(slow, 'again')).toMatchObject({ __typename: 'JobSnapshot', sequence: last + burst });
  });
});
