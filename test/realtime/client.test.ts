/** What the typed client promises, against an API process that is killed, lags, refuses and fails. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'graphql';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createTapedeck, type TapedeckOptions } from '../../examples/client/client.js';
import { followJob } from '../../examples/client/job.js';
import { Archive, JobEvents, JobStats } from '../../examples/client/operations.js';
import { mostWaiting } from '../../examples/client/subscription.js';
import { encodeId } from '../../schema/ids.js';
import type { Database } from '../../src/db.js';
import { api } from '../testkit/api.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { enter, happen, happenOften } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type OwnApi, startOwnApi } from '../testkit/own-api.js';
import { writeJobStats } from '../testkit/stats.js';

let own: OwnDatabase;
let service: OwnApi;
let db: Database;
let projectId: string;
let key: string;
let jobId: string;
let id: string;
beforeAll(async () => {
  own = await ownDatabase();
  db = own.db;
  service = await startOwnApi(own.url);
  projectId = await createProject(db);
  key = await createKey(db, projectId);
});
afterAll(async () => {
  await service?.stop();
  await own?.remove();
});
beforeEach(async () => {
  jobId = await createJobRow(db, projectId, 'RECORDING');
  id = encodeId('Job', jobId);
});

/** A client whose sockets can be looked at. */
function client(options: Partial<TapedeckOptions> = {}) {
  const sockets: WebSocket[] = [];
  class Seen extends WebSocket {
    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args);
      sockets.push(this);
    }
  }
  return { sockets, tapedeck: createTapedeck({ url: service.url, apiKey: key, webSocket: Seen, ...options }) };
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe('a stream', () => {
  test('tells every event once and in order, even if the API is killed again and again while they are written', async () => {
    const last = 400;
    const { tapedeck } = client();
    const told: number[] = [];
    const types: string[] = [];
    let read = () => {};
    const firstRead = new Promise<void>((resolve) => {
      read = resolve;
    });
    const reading = (async () => {
      for await (const { sequence, __typename } of tapedeck.follow(JobEvents, { jobId: id })) {
        told.push(sequence);
        types.push(__typename);
        read();
        // So slow at times that events are waiting in the client when its connection is lost.
        if (sequence % 100 === 50) await sleep(1_000);
        if (sequence === last) return;
      }
    })();
    await firstRead;
    for (let sequence = 1; sequence < last; ) {
      sequence = await happen(db, jobId);
      if (sequence === 60 || sequence === 250) await service.kill();
    }
    await reading;
    await tapedeck.close();
    expect(told).toEqual(upTo(last));
    expect(types.filter((type) => type === 'JobSnapshot')).toHaveLength(1);
  }, 120_000);

  test('goes on behind the last event when it was cut off for being too slow, and says nothing of that', async () => {
    const { sockets, tapedeck } = client();
    const messages: string[] = [];
    const events = tapedeck.follow(JobEvents, { jobId: id });
    const told = [(await events.next()).value?.sequence];
    sockets[0]?.on('message', (data) => messages.push(String(data)));
    sockets[0]?.pause();
    const reader = await api(key, service.url).connect();
    await reader.init();
    reader.subscribe('1', 'subscription($id: ID!) { jobEvents(jobId: $id) { __typename sequence } }', { id });
    await reader.next('1');
    // More than the buffers of both sockets and the service's queue take, together about 12 MB.
    const count = 800;
    await happenOften(db, jobId, count, 50_000);
    // So much at once that also one who reads may be cut off: when it was told that, or the last event, the other has been.
    for (let isOver = false; !isOver; ) {
      const { data } = (await reader.next('1')).payload as {
        data: { jobEvents: { __typename: string; sequence: number } };
      };
      isOver = data.jobEvents.__typename === 'StreamLagged' || data.jobEvents.sequence === count + 1;
    }
    reader.close();
    sockets[0]?.resume();
    while (told.at(-1) !== count + 1) told.push((await events.next()).value?.sequence);
    await events.return();
    await tapedeck.close();
    expect(told).toEqual(upTo(count + 1));
    expect(messages.some((message) => message.includes('StreamLagged'))).toBe(true);
  });

  test('keeps a bounded number of events for a loop that is slow, and gets the others when it comes to them', async () => {
    const { sockets, tapedeck } = client();
    const events = tapedeck.follow(JobEvents, { jobId: id });
    const told = [(await events.next()).value?.sequence];
    const count = mostWaiting * 3;
    await happenOften(db, jobId, count);
    await expect.poll(() => sockets[0]?.readyState, { timeout: 10_000 }).toBe(WebSocket.CLOSED);
    await sleep(300);
    expect(sockets).toHaveLength(1);
    while (told.at(-1) !== count + 1) told.push((await events.next()).value?.sequence);
    await events.return();
    await tapedeck.close();
    expect(told).toEqual(upTo(count + 1));
    expect(sockets.length).toBeGreaterThan(1);
  });

  test('goes on after a cursor that was kept', async () => {
    const { tapedeck } = client();
    const first = tapedeck.follow(JobEvents, { jobId: id });
    const { value } = await first.next();
    await first.return();
    await happen(db, jobId);
    const second = tapedeck.follow(JobEvents, { jobId: id, after: value?.cursor });
    expect((await second.next()).value).toMatchObject({ __typename: 'JobFileAdded', sequence: 2 });
    await second.return();
    await tapedeck.close();
  });

  test('waits for a fault of the service to pass', async () => {
    const { tapedeck } = client();
    const events = tapedeck.follow(JobEvents, { jobId: id });
    await db.$executeRawUnsafe('ALTER TABLE job RENAME TO lost');
    const first = events.next();
    await sleep(1_000);
    await db.$executeRawUnsafe('ALTER TABLE lost RENAME TO job');
    expect((await first).value).toMatchObject({ __typename: 'JobSnapshot', sequence: 1 });
    await events.return();
    await tapedeck.close();
  });

  test('gives up a service that stays away for longer than it has patience', async () => {
    const { tapedeck } = client({ url: 'http://127.0.0.1:1', patienceMs: 300 });
    await expect(tapedeck.follow(JobEvents, { jobId: id }).next()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await tapedeck.close();
  });

  test('says at once what is not there', async () => {
    const { tapedeck } = client();
    const nothing = tapedeck.follow(JobEvents, { jobId: encodeId('Job', '01900000-0000-7000-8000-000000000000') });
    await expect(nothing.next()).rejects.toMatchObject({ name: 'TapedeckError', code: 'NOT_FOUND', temporary: false });
    await tapedeck.close();
  });

  test('says at once that the service takes no message of that length', async () => {
    const { sockets, tapedeck } = client();
    const tooLong = tapedeck.follow(JobEvents, { jobId: '.'.repeat(1_000_000) });
    await expect(tooLong.next()).rejects.toMatchObject({
      code: 'PROTOCOL',
      message: expect.stringContaining('1009'),
      temporary: false,
    });
    expect(sockets).toHaveLength(1);
    await tapedeck.close();
  });

  test.each(['return', 'signal', 'close'])('ends at once and unsubscribes by %s, even while it waits', async (how) => {
    const { sockets, tapedeck } = client();
    const leaving = new AbortController();
    const events = tapedeck.follow(JobEvents, { jobId: id }, { signal: leaving.signal });
    await events.next();
    const waiting = events.next();
    if (how === 'return') await events.return();
    else if (how === 'signal') leaving.abort();
    else await tapedeck.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await expect.poll(() => sockets[0]?.readyState).toBe(WebSocket.CLOSED);
    await tapedeck.close();
    expect(() => tapedeck.follow(JobEvents, { jobId: id })).toThrow('closed');
  });

  test('ends at once while it waits for a service that is away', async () => {
    const { tapedeck } = client({ url: 'http://127.0.0.1:1' });
    const events = tapedeck.follow(JobEvents, { jobId: id });
    const waiting = events.next();
    await sleep(300);
    await events.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await tapedeck.close();
  });
});

describe('a document is refused when it', () => {
  const refusal = (text: string) => () => client().tapedeck.follow(parse(text) as typeof JobEvents, { jobId: id });

  test('does not select the cursor', () => {
    expect(refusal('subscription($a: Cursor) { jobEvents(jobId: "1", after: $a) { __typename sequence } }')).toThrow(
      'does not select `cursor` of jobEvents',
    );
    expect(refusal('subscription($a: Cursor) { jobEvents(jobId: "1", after: $a) { __typename c: cursor } }')).toThrow(
      'does not select `cursor` of jobEvents',
    );
  });

  test('does not select the type', () => {
    expect(refusal('subscription($a: Cursor) { jobEvents(jobId: "1", after: $a) { cursor } }')).toThrow(
      'does not select `__typename` of jobEvents',
    );
  });

  test('has no variable to go on with', () => {
    expect(refusal('subscription { jobEvents(jobId: "1") { __typename cursor } }')).toThrow('as `after`');
    expect(refusal('subscription { jobEvents(jobId: "1", after: "x") { __typename cursor } }')).toThrow('as `after`');
  });

  test('is not one subscription of one field', () => {
    for (const text of ['{ viewer { scopes } }', 'subscription A { a } subscription B { b }', 'subscription { a b }'])
      expect(refusal(text)).toThrow('not one subscription of one field');
  });

  test('but not when it selects them in fragments, under an alias, and names the variable as it likes', async () => {
    const { tapedeck } = client();
    const document = parse(`
      subscription($jobId: ID!, $since: Cursor) { it: jobEvents(jobId: $jobId, after: $since) { ...event } }
      fragment event on JobEvent { __typename ... on JobEvent { cursor sequence } }
    `) as typeof JobEvents;
    const events = tapedeck.follow(document, { jobId: id });
    expect((await events.next()).value).toMatchObject({ __typename: 'JobSnapshot', sequence: 1 });
    await events.return();
    await tapedeck.close();
  });
});

describe('credentials', () => {
  async function revoke(token: string): Promise<void> {
    await db.apiKey.updateMany({ where: { prefix: token.slice(0, 19) }, data: { revokedAt: new Date() } });
  }

  test('are asked for again when they end, and the stream goes on with the new ones', async () => {
    const keys = [await createKey(db, projectId), key];
    let asked = 0;
    const { sockets, tapedeck } = client({ apiKey: async () => keys[asked++] as string });
    const events = tapedeck.follow(JobEvents, { jobId: id });
    await events.next();
    await revoke(keys[0] as string);
    await happen(db, jobId);
    expect((await events.next()).value?.sequence).toBe(2);
    const third = events.next();
    await expect.poll(() => sockets.length, { timeout: 10_000 }).toBe(2);
    await happen(db, jobId);
    expect((await third).value).toMatchObject({ __typename: 'JobFileAdded', sequence: 3 });
    expect(asked).toBe(2);
    await events.return();
    await tapedeck.close();
  });

  test('that are refused are asked for once more, and given up when they are the same', async () => {
    let asked = 0;
    const { sockets, tapedeck } = client({
      apiKey: () => {
        asked++;
        return 'nonsense';
      },
    });
    const refusal = { code: 'UNAUTHENTICATED', temporary: false };
    await expect(tapedeck.follow(JobEvents, { jobId: id }).next()).rejects.toMatchObject(refusal);
    expect(asked).toBe(2);
    expect(sockets).toHaveLength(2);
    await tapedeck.close();
  });

  test('that are refused twice are given up, even when others would follow', async () => {
    let asked = 0;
    const { tapedeck } = client({ apiKey: () => `nonsense-${++asked}` });
    await expect(tapedeck.follow(JobEvents, { jobId: id }).next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(asked).toBe(2);
    await tapedeck.close();
  });

  test('that are fixed are given up at once, for requests and streams alike', async () => {
    const { sockets, tapedeck } = client({ apiKey: 'nonsense' });
    await expect(tapedeck.follow(JobEvents, { jobId: id }).next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(sockets).toHaveLength(1);
    await expect(tapedeck.request(Archive, { id })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await tapedeck.close();
  });
});

describe('a request', () => {
  test('answers what was asked for, or says with a stable code what is wrong', async () => {
    const { tapedeck } = client();
    expect(await tapedeck.request(Archive, { id: encodeId('Archive', jobId) })).toEqual({ archive: null });
    await expect(tapedeck.request(Archive, {} as { id: string })).rejects.toMatchObject({
      name: 'TapedeckError',
      code: 'BAD_USER_INPUT',
      temporary: false,
    });
    await tapedeck.close();
  });

  test('says that a service is away, or that something else answers in its place', async () => {
    const { tapedeck: away } = client({ url: 'http://127.0.0.1:1' });
    await expect(away.request(Archive, { id })).rejects.toMatchObject({ code: 'UNAVAILABLE', temporary: true });
    const { tapedeck: other } = client({ url: `${service.url}/elsewhere` });
    await expect(other.request(Archive, { id })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('status'),
    });
  });
});

describe('following a job', () => {
  test('ends with the event that ended it, and answers how', async () => {
    const { tapedeck } = client();
    const events = followJob(tapedeck, id);
    expect((await events.next()).value).toMatchObject({ __typename: 'JobSnapshot' });
    await enter(db, jobId, 'PARTIAL');
    expect((await events.next()).value).toMatchObject({ __typename: 'JobStateChanged', state: 'PARTIAL' });
    expect(await events.next()).toEqual({ done: true, value: 'PARTIAL' });
    expect(await followJob(tapedeck, id).next()).toMatchObject({ value: { __typename: 'JobSnapshot' } });
    await tapedeck.close();
  });

  test('is over at once when it is left while it waits', async () => {
    const { tapedeck } = client();
    const events = followJob(tapedeck, id);
    await events.next();
    const waiting = events.next();
    await events.return(undefined);
    expect((await waiting).done).toBe(true);
    await tapedeck.close();
  });

  test('can be done with its statistics, of which a slow loop gets the latest, until the job has ended', async () => {
    const { sockets, tapedeck } = client();
    await writeJobStats(db, jobId, 1);
    const values = tapedeck.latest(JobStats, { jobId: id });
    expect((await values.next()).value?.frames).toBe('1');
    let received = 0;
    sockets[0]?.on('message', () => received++);
    for (const frames of [2, 3, 4]) {
      await writeJobStats(db, jobId, frames);
      await expect.poll(() => received, { timeout: 10_000 }).toBeGreaterThanOrEqual(frames - 1);
    }
    expect((await values.next()).value?.frames).toBe('4');
    await db.job.update({ where: { id: jobId }, data: { state: 'COMPLETE' } });
    await writeJobStats(db, jobId, 5);
    let last = await values.next();
    while (!last.done) last = await values.next();
    await tapedeck.close();
  });
});
