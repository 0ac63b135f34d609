/** Tasks as they are asked for: nothing is accepted twice, nothing that cannot be, and a stop is never forgotten. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { TaskPayloadInput } from '../../examples/client/gql/graphql.js';
import { createDatabase, type Database } from '../../src/db.js';
import { api } from '../testkit/api.js';
import { livePage, servePages } from '../testkit/host.js';
import { holdPlacement } from '../testkit/placement.js';
import type { RefusedError } from '../testkit/recordings.js';
import { ensuredRoom, testRoom } from '../testkit/room-tokens.js';
import { createTaskKit, type TaskKit, type TestTask } from '../testkit/tasks.js';

const stack = inject('stack');
let kit: TaskKit;
let db: Database;
let channel: string;
let roomId: string;
let projectId: string;
beforeAll(async () => {
  kit = createTaskKit(stack);
  db = createDatabase(stack.databaseUrl);
  channel = `tasks.${crypto.randomUUID()}`;
  ({ roomId } = await ensuredRoom(api(stack.apiKey), channel));
  ({ projectId } = await db.room.findUniqueOrThrow({ where: { id: roomId } }));
});
afterAll(async () => {
  await db.$disconnect();
  await kit.close();
});

async function ended(task: TestTask): Promise<void> {
  await task.finish();
}

const refusalOf = (payload: TaskPayloadInput): Promise<RefusedError> =>
  kit.start(payload).then(
    () => expect.unreachable('it was accepted'),
    (error: RefusedError) => error,
  );

describe('the same request', () => {
  test('sent many times at once starts one task', async () => {
    const requestId = crypto.randomUUID();
    const tasks = await Promise.all(Array.from({ length: 12 }, () => kit.start({ channel }, { requestId })));
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(1);
    expect(await db.task.count({ where: { projectId, requestId } })).toBe(1);
    expect(await tasks[0]?.facts()).toMatchObject({ requestId, action: 'START' });
    await ended(tasks[0] as TestTask);
    // Whatever became of it.
    expect((await kit.start({ channel }, { requestId })).id).toBe(tasks[0]?.id);
  }, 60_000);

  test('with other input is a conflict, and changes nothing', async () => {
    const requestId = crypto.randomUUID();
    const task = await kit.start({ channel }, { requestId });
    await expect(kit.start({ channel, users: ['ann'] }, { requestId })).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await task.facts()).payload.users).toBeNull();
    // A stop has names of its own.
    expect(await task.stop(requestId)).toMatchObject({ requestId, status: 'ENQUEUED' });
    await task.until('STOPPED');
  }, 60_000);
});

describe('what cannot be is refused with the field that is wrong, and starts nothing', () => {
  test.each<[string, () => TaskPayloadInput, string[]]>([
    ['no room', () => ({}), ['payload.channel']],
    ['no page', () => ({ layout: 'FREESTYLE' }), ['payload.url']],
    ['a page in a room', () => ({ channel, url: 'http://127.0.0.1/' }), ['payload.url']],
    ['people of a page', () => ({ layout: 'FREESTYLE', url: 'http://127.0.0.1/', users: ['a'] }), ['payload.users']],
    ['nobody', () => ({ channel, users: [] }), ['payload.users']],
    ['a name that is none', () => ({ channel, users: ['a b'] }), ['payload.users.0']],
    ['too many', () => ({ channel, users: Array.from({ length: 33 }, (_, i) => `u${i}`) }), ['payload.users']],
    ['a folder', () => ({ channel, filenamePattern: '../{user}' }), ['payload.filenamePattern']],
    ['what it does not know', () => ({ channel, filenamePattern: '{secret}' }), ['payload.filenamePattern']],
    [
      'a user of a page',
      () => ({ layout: 'FREESTYLE', url: 'http://127.0.0.1/', filenamePattern: '{user}' }),
      ['payload.filenamePattern'],
    ],
    ['absurd pictures', () => ({ channel, video: { width: 1_920, height: 1_920 } }), ['payload.video']],
    ['no rate', () => ({ channel, video: { frameRate: 0 } }), ['payload.video.frameRate']],
    ['no such sound', () => ({ channel, audio: { sampleRate: 47_999 } }), ['payload.audio.sampleRate']],
    ['a page as MP3', () => ({ layout: 'FREESTYLE', url: 'http://127.0.0.1/', format: 'MP3' }), ['payload.format']],
    ['pictures in MP3', () => ({ channel, format: 'MP3', video: {} }), ['payload.video']],
    ['an id that is none', () => ({ channel, workerUid: 0 }), ['payload.workerUid']],
    ['a token that is none', () => ({ channel, accessToken: 'a.b.c' }), ['payload.accessToken']],
  ])('%s', async (_, payload, fields) => {
    const before = await db.task.count({ where: { projectId } });
    expect(await refusalOf(payload())).toMatchObject({ code: 'VALIDATION_FAILED', fields });
    expect(await db.task.count({ where: { projectId } })).toBe(before);
  });

  test('a room that is not there, and an address that is not to be reached', async () => {
    expect(await refusalOf({ channel: 'no such room' })).toMatchObject({ code: 'NOT_FOUND' });
    expect(await refusalOf({ layout: 'FREESTYLE', url: 'http://10.0.0.1/' })).toMatchObject({ code: 'URL_REFUSED' });
  });
});

test('a token opens its own room alone, and is kept nowhere', async () => {
  const other = await testRoom(db, projectId);
  const own = { ...(await testRoom(db, projectId)), projectId };
  const { name } = await db.room.findUniqueOrThrow({ where: { id: own.roomId } });
  expect(await refusalOf({ channel: name, accessToken: await other.token() })).toMatchObject({
    fields: ['payload.accessToken'],
  });
  const old = await own.token({ expiresAt: new Date(Date.now() - 1_000) });
  expect((await refusalOf({ channel: name, accessToken: old })).message).toContain('expired');
  const accessToken = await own.token();
  const requestId = crypto.randomUUID();
  const task = await kit.start({ channel: name, accessToken, workerUid: 42 }, { requestId });
  const row = await db.task.findUniqueOrThrow({ where: { id: task.jobId }, include: { job: true } });
  expect(JSON.stringify(row, (_, value) => (typeof value === 'bigint' ? `${value}` : value))).not.toContain(
    accessToken,
  );
  expect(JSON.stringify(await task.facts())).not.toContain('42"');
  // The same request, with a token that was made anew.
  const again = await kit.start({ channel: name, accessToken: await own.token(), workerUid: 42 }, { requestId });
  expect(again.id).toBe(task.id);
  await ended(task);
}, 60_000);

describe('a stop', () => {
  test('of a task that nobody has taken yet ends it at once', async () => {
    const release = await holdPlacement();
    const task = await kit.start({ channel });
    expect((await task.facts()).state).toBe('ENQUEUED');
    expect(await task.stop('first')).toMatchObject({ status: 'ENQUEUED' });
    expect(await task.until('STOPPED')).toMatchObject({ reason: 'USER_STOP', action: 'STOP', lease: null });
    await release();
  }, 60_000);

  test('is answered the same however often it is sent, and is a conflict for another task', async () => {
    const [task, other] = await Promise.all([kit.start({ channel }), kit.start({ channel })]);
    const requestId = crypto.randomUUID();
    const { status, message } = await task.stop(requestId);
    const same = { requestId, status, message };
    expect(await task.stop(requestId)).toMatchObject(same);
    await task.until('STOPPED');
    expect(await task.stop(requestId)).toMatchObject(same);
    await expect(other.stop(requestId)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await other.facts()).action).toBe('START');
    await ended(other);
  }, 60_000);

  test('of one that has ended says so, and of one that never was is refused', async () => {
    const url = await servePages({ '/': livePage() });
    const page = await kit.start({ layout: 'FREESTYLE', url: `${url}/`, format: 'MP4', maxDuration: 1 });
    await page.until('STOPPED');
    expect(await page.stop()).toMatchObject({ status: 'COMPLETED' });
    expect(await page.facts()).toMatchObject({ action: 'START', reason: 'COMPLETED' });
    const unknown = kit.find(Buffer.from('Task:0193a5b2-7c1e-7d4f-8a21-000000000001').toString('base64url'));
    await expect(unknown.stop()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }, 90_000);

  test('that was accepted is carried out though nobody asked the engine for it', async () => {
    const task = await kit.start({ channel });
    await task.until('PROCESSING');
    // As if the API had been killed right after it accepted the stop.
    await db.task.update({ where: { id: task.jobId }, data: { stopRequestedAt: new Date() } });
    expect(await task.until('STOPPED')).toMatchObject({ reason: 'USER_STOP' });
  }, 60_000);
});

test('a task for which no recorder has room in time ends in TIMEOUT, says so, and is not taken up later', async () => {
  const release = await holdPlacement();
  const task = await kit.start({ channel });
  const { error, reason, job } = await task.until('TIMEOUT');
  expect(error).toContain('No recorder had room in time');
  expect({ reason, job: job.reason }).toEqual({ reason: null, job: 'QUEUE_TIMEOUT' });
  await release();
  expect(await task.stop()).toMatchObject({ status: 'COMPLETED' });
  expect(await db.placement.findUnique({ where: { jobId: task.jobId } })).toBeNull();
}, 90_000);

test('tasks are listed newest first, and by the states of their jobs', async () => {
  const task = await kit.start({ channel });
  const list =
    'query($states: [JobState!]) { tasks(first: 5, filter: { states: $states }) { nodes { id } totalCount } }';
  const { tasks } = await api(stack.apiKey).get<{ tasks: { nodes: { id: string }[]; totalCount: number } }>(list);
  expect(tasks.nodes[0]?.id).toBe(task.id);
  expect(tasks.totalCount).toBeGreaterThan(1);
  await ended(task);
  const canceled = await api(stack.apiKey).get<{ tasks: { nodes: { id: string }[] } }>(list, { states: ['CANCELED'] });
  expect(canceled.tasks.nodes.map(({ id }) => id)).toContain(task.id);
}, 60_000);
