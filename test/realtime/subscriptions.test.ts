import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { WebSocket } from 'ws';
import { createTapedeck } from '../../examples/client/client.js';
import { TapedeckError } from '../../examples/client/errors.js';
import { followJob } from '../../examples/client/job.js';
import { JobEvents } from '../../examples/client/operations.js';
import { encodeId } from '../../schema/ids.js';
import { createDatabase, type Database } from '../../src/db.js';
import { api, serverSentEvents } from '../testkit/api.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';

const document =
  'subscription($id: ID!, $after: Cursor) { jobEvents(jobId: $id, after: $after) { __typename cursor sequence } }';
interface Item {
  data: { jobEvents: { __typename: string; cursor: string; sequence: number } };
}

describe('jobEvents', () => {
  const { url } = inject('stack');
  let db: Database;
  let projectId: string;
  let key: string;
  beforeAll(async () => {
    db = createDatabase(inject('stack').databaseUrl);
    projectId = await createProject(db);
    key = await createKey(db, projectId);
  });
  afterAll(() => db.$disconnect());

  async function newJob() {
    const jobId = await createJobRow(db, projectId, 'COMPLETE');
    return { jobId, id: encodeId('Job', jobId) };
  }
  async function open() {
    const socket = await api(key).connect();
    await socket.init();
    return socket;
  }
  const eventOf = async (next: Promise<{ type: string; payload?: unknown }>) =>
    ((await next).payload as Item).data.jobEvents;

  test('begins with the job as it is, then tells each change', async () => {
    const { jobId, id } = await newJob();
    await happen(db, jobId);
    const socket = await open();
    socket.subscribe(
      '1',
      'subscription($id: ID!) { jobEvents(jobId: $id) { __typename sequence job { id state sequence } ... on JobFileAdded { name } } }',
      { id },
    );
    expect((await socket.next('1')).payload).toEqual({
      data: { jobEvents: { __typename: 'JobSnapshot', sequence: 2, job: { id, state: 'COMPLETE', sequence: 2 } } },
    });
    await happen(db, jobId);
    expect((await socket.next('1')).payload).toMatchObject({
      data: { jobEvents: { __typename: 'JobFileAdded', sequence: 3, name: 'file-3' } },
    });
    socket.close();
  });

  test('takes the id of an archive for that of its job', async () => {
    const { jobId } = await newJob();
    const socket = await open();
    socket.subscribe('1', document, { id: encodeId('Archive', jobId) });
    expect(await eventOf(socket.next('1'))).toMatchObject({ __typename: 'JobSnapshot', sequence: 1 });
    socket.close();
  });

  test("goes on after a job's own cursor with what happened since it was read", async () => {
    const { jobId, id } = await newJob();
    const { job } = await api(key).get<{ job: { cursor: string } }>('query($id: ID!) { job(id: $id) { cursor } }', {
      id,
    });
    await happen(db, jobId);
    const socket = await open();
    socket.subscribe('1', document, { id, after: job.cursor });
    expect(await eventOf(socket.next('1'))).toMatchObject({ __typename: 'JobFileAdded', sequence: 2 });
    socket.close();
  });

  test('a cursor that is none is refused with a stable code', async () => {
    const { id } = await newJob();
    const socket = await open();
    socket.subscribe('1', document, { id, after: 'nonsense' });
    const { payload } = await socket.next('1');
    expect(JSON.stringify(payload)).toContain('BAD_USER_INPUT');
    socket.close();
  });

  test('is told by the typed client without loss or repeat, even if the connection breaks again and again', async () => {
    const { jobId, id } = await newJob();
    const sockets: WebSocket[] = [];
    class Breakable extends WebSocket {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        super(...args);
        sockets.push(this);
      }
    }
    const tapedeck = createTapedeck({ url, apiKey: key, webSocket: Breakable });
    const seen: number[] = [];
    const events = tapedeck.follow(JobEvents, { jobId: id });
    const breaks = 3;
    let snapshots = 0;
    while ((seen.at(-1) ?? 0) < 2 + 10 * breaks) {
      const event = (await events.next()).value as { sequence: number; __typename: string };
      if (event.__typename === 'JobSnapshot') {
        snapshots++;
        await happen(db, jobId);
      }
      seen.push(event.sequence);
      const round = (event.sequence - 2) / 10;
      if (Number.isInteger(round) && round >= 0 && round < breaks) {
        for (let index = 0; index < 5; index++) await happen(db, jobId);
        sockets.at(-1)?.terminate();
        for (let index = 0; index < 5; index++) await happen(db, jobId);
      }
    }
    await events.return();
    await tapedeck.close();
    expect(snapshots).toBe(1);
    expect(sockets).toHaveLength(1 + breaks);
    expect(seen).toEqual(Array.from({ length: 2 + 10 * breaks }, (_, index) => index + 1));
  });

  test('arrives as server-sent events too, and goes on after a cursor', async () => {
    const { jobId, id } = await newJob();
    const leaving = new AbortController();
    const stream = async (after?: string) =>
      fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { accept: 'text/event-stream', 'content-type': 'application/json', authorization: `Bearer ${key}` },
        body: JSON.stringify({ query: document, variables: { id, after } }),
        signal: leaving.signal,
      });
    const response = await stream();
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const first = serverSentEvents<Item>(response);
    const snapshot = (await first.next()).value as Item;
    expect(snapshot.data.jobEvents).toMatchObject({ __typename: 'JobSnapshot', sequence: 1 });
    await happen(db, jobId);
    expect(((await first.next()).value as Item).data.jobEvents.sequence).toBe(2);
    const resumed = serverSentEvents<Item>(await stream(snapshot.data.jobEvents.cursor));
    expect(((await resumed.next()).value as Item).data.jobEvents).toMatchObject({
      __typename: 'JobFileAdded',
      sequence: 2,
    });
    leaving.abort();
  });

  test('a socket without good credentials is closed with 4403', async () => {
    for (const token of [null, 'nonsense', `td_${'0'.repeat(16)}_${'x'.repeat(43)}`]) {
      const socket = await api(token).connect();
      await expect(socket.init()).rejects.toThrow('4403');
      expect(await socket.closed).toBe(4403);
    }
  });

  test('ends within seconds when its key is revoked: sockets with 4403, server-sent events with an error', async () => {
    const { id } = await newJob();
    const { token, row } = await (async () => {
      const made = await createKey(db, projectId);
      return { token: made, row: await db.apiKey.findFirstOrThrow({ where: { prefix: made.slice(0, 19) } }) };
    })();
    const socket = await api(token).connect();
    await socket.init();
    socket.subscribe('1', document, { id });
    await socket.next('1');
    const events = serverSentEvents<Item & { errors?: { extensions: { code: string } }[] }>(
      await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { accept: 'text/event-stream', 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ query: document, variables: { id } }),
      }),
    );
    await events.next();
    await db.apiKey.update({ where: { id: row.id }, data: { revokedAt: new Date() } });
    expect(await socket.closed).toBe(4403);
    const { value } = await events.next();
    expect(value?.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect((await events.next()).done).toBe(true);
  });

  test('the typed client says why, and does not try again, when its key is not good', async () => {
    const tapedeck = createTapedeck({ url, apiKey: 'nonsense', webSocket: WebSocket });
    const { id } = await newJob();
    await expect(followJob(tapedeck, id).next()).rejects.toThrow(TapedeckError);
    await expect(followJob(tapedeck, id).next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await tapedeck.close();
  });
});

describe('jobStats', () => {
  test('tells the latest value, and ends with the job', async () => {
    const db = createDatabase(inject('stack').databaseUrl);
    const projectId = await createProject(db);
    const client = api(await createKey(db, projectId));
    const jobId = await createJobRow(db, projectId, 'COMPLETE');
    await db.jobStats.create({
      data: {
        jobId,
        incarnation: 1,
        frames: 300,
        fps: 29.9,
        bitrate: 1e6,
        bytes: 5_000_000_000,
        positionMs: 10_000,
        dropped: 0,
        duplicated: 1,
        speed: 1,
        pageFrames: 600,
        progress: 99,
        updatedAt: new Date(),
      },
    });
    const socket = await client.connect();
    await socket.init();
    socket.subscribe(
      '1',
      'subscription($id: ID!) { jobStats(jobId: $id) { frames fps size position duplicated progress } }',
      { id: encodeId('Job', jobId) },
    );
    expect((await socket.next('1')).payload).toEqual({
      data: { jobStats: { frames: '300', fps: 29.9, size: '5000000000', position: 10, duplicated: '1', progress: 99 } },
    });
    expect((await socket.next('1')).type).toBe('complete');
    socket.close();
    await db.$disconnect();
  });
});
