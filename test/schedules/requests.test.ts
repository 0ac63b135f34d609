/** Schedules as they are asked for: nothing is accepted that could not be started, and nothing twice. */
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import type { CreateScheduleInput } from '../../examples/client/gql/graphql.js';
import { createDatabase, type Database } from '../../src/db.js';
import { api } from '../testkit/api.js';
import { createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { createRecordingKit, type RecordingKit, type RefusedError } from '../testkit/recordings.js';
import { ensuredRoom, testRoom } from '../testkit/room-tokens.js';
import { createScheduleKit, type ScheduleKit, type TestSchedule } from '../testkit/schedules.js';

const stack = inject('stack');
let kit: ScheduleKit;
let recordings: RecordingKit;
let db: Database;
beforeAll(() => {
  kit = createScheduleKit(stack);
  recordings = createRecordingKit(stack);
  db = createDatabase(stack.databaseUrl);
});
afterAll(async () => {
  await db.$disconnect();
  await recordings.close();
  await kit.close();
});

type Asked = Omit<CreateScheduleInput, 'name'> & { name?: string };
const night = { startAt: '22:00', stopAt: '06:00' };
const url = 'http://127.0.0.1/';
/** Nothing of it comes to pass while it is tested. */
const later = { from: new Date(Date.now() + 30 * 24 * 3_600_000).toISOString() };
const asked = (more: Partial<Asked> = {}): Asked => ({ windows: [night], archive: { url }, ...later, ...more });

async function create(input: Asked, of = kit): Promise<TestSchedule> {
  const schedule = await of.create(input);
  onTestFinished(() => schedule.remove().catch(() => {}));
  return schedule;
}
const refusalOf = (input: Asked): Promise<RefusedError> =>
  kit.create(input).then(
    () => expect.unreachable('it was accepted'),
    (error: RefusedError) => error,
  );

test('a schedule shows what was asked for, and when it will run', async () => {
  const from = '2030-03-30T12:00:00.000Z';
  const schedule = await create({
    ...{ name: ' Board meeting ', timezone: 'Europe/Berlin', from, until: '2030-04-02T00:00:00.000Z' },
    windows: [
      { daysOfWeek: ['MONDAY', 'SUNDAY', 'MONDAY'], startAt: '09:30', stopAt: '10:15:30' },
      { startAt: '23:00', stopAt: '01:00' },
    ],
    archive: { url, maxDuration: 60, broadcastUrl: 'rtmp://127.0.0.1:1935/live/secret', record: true },
  });
  expect(await schedule.facts()).toMatchObject({
    ...{ name: 'Board meeting', timezone: 'Europe/Berlin', isPaused: false, from },
    windows: [
      { daysOfWeek: ['MONDAY', 'SUNDAY'], startAt: '09:30:00', stopAt: '10:15:30' },
      { daysOfWeek: [], startAt: '23:00:00', stopAt: '01:00:00' },
    ],
    archive: { url, maxDuration: 60, roomName: null },
    ...{ task: null, recording: null, lastRunAt: null, lastError: null },
    nextRunAt: '2030-03-30T22:00:00.000Z',
    nextRuns: [
      { startAt: '2030-03-30T22:00:00.000Z', stopAt: '2030-03-31T00:00:00.000Z' },
      // In the night the clocks are set forward.
      { startAt: '2030-03-31T07:30:00.000Z', stopAt: '2030-03-31T08:15:30.000Z' },
      { startAt: '2030-03-31T21:00:00.000Z', stopAt: '2030-03-31T23:00:00.000Z' },
    ],
  });
  expect((await schedule.facts()).archive?.broadcastUrl).not.toContain('secret');
});

test('a task is kept without the token of its room, and a recording by its id', async () => {
  const { projectId } = await db.room.findUniqueOrThrow({
    where: { id: (await ensuredRoom(api(stack.apiKey), `schedules.${crypto.randomUUID()}`)).roomId },
  });
  const room = await testRoom(db, projectId);
  const { name: channel } = await db.room.findUniqueOrThrow({ where: { id: room.roomId } });
  const accessToken = await room.token();
  const requestId = crypto.randomUUID();
  const withToken = (token: string) =>
    asked({ requestId, archive: null, task: { payload: { channel, accessToken: token }, priority: 'HIGH' } });
  const task = await create(withToken(accessToken));
  // The same request, with a token that was made anew.
  expect((await create(withToken(await room.token()))).id).toBe(task.id);
  expect(await task.facts()).toMatchObject({
    ...{ archive: null, recording: null },
    task: { payload: { layout: 'FLAT', channel }, priority: 'HIGH' },
  });
  const row = await db.schedule.findUniqueOrThrow({ where: { id: task.scheduleId } });
  expect(JSON.stringify(row)).not.toContain(accessToken);
  const recording = await recordings.create({ input: { type: 'SRT_SERVER' }, active: false });
  onTestFinished(() => recording.remove());
  const run = await create(asked({ archive: null, recordingId: recording.id }));
  expect(await run.facts()).toMatchObject({ archive: null, task: null, recording: { id: recording.id } });
});

describe('what cannot be is refused with the field that is wrong, and makes nothing', () => {
  test.each<[string, Partial<Asked>, string[]]>([
    ['no name', { name: ' ' }, ['name']],
    ['no window', { windows: [] }, ['windows']],
    ['too many windows', { windows: Array.from({ length: 21 }, () => night) }, ['windows']],
    [
      'no such time',
      { windows: [night, { startAt: '24:00', stopAt: '9:00' }] },
      ['windows.1.startAt', 'windows.1.stopAt'],
    ],
    ['no such place', { timezone: 'Europe/Atlantis' }, ['timezone']],
    ['an offset', { timezone: '+02:00' }, ['timezone']],
    ['bounds that nothing is within', { from: '2030-01-01T00:00:00Z', until: '2030-01-01T00:00:00Z' }, ['until']],
    ['nothing to start', { archive: null }, ['archive']],
    ['two things to start', { task: { payload: { layout: 'FREESTYLE', url } } }, ['archive']],
    ['an archive of nothing', { archive: {} }, ['archive.url']],
    ['an archive that is too large', { archive: { url, width: 9_999 } }, ['archive.width']],
    ['a task of no room', { archive: null, task: { payload: {} } }, ['task.payload.channel']],
    ['a request id that is none', { requestId: '' }, ['requestId']],
  ])('%s', async (_, wrong, fields) => {
    const before = await db.schedule.count();
    expect(await refusalOf(asked(wrong))).toMatchObject({ code: 'VALIDATION_FAILED', fields });
    expect(await db.schedule.count()).toBe(before);
  });

  test('an address that may not be reached, a room and a recording that are not there', async () => {
    expect(await refusalOf(asked({ archive: { url: 'http://10.0.0.1/' } }))).toMatchObject({ code: 'URL_REFUSED' });
    expect(await refusalOf(asked({ archive: { roomName: 'no such room' } }))).toMatchObject({ code: 'NOT_FOUND' });
    const recordingId = Buffer.from('Recording:0193a5b2-7c1e-7d4f-8a21-000000000001').toString('base64url');
    expect(await refusalOf(asked({ archive: null, recordingId }))).toMatchObject({ code: 'NOT_FOUND' });
  });

  test('a change that cannot be changes nothing', async () => {
    const schedule = await create(asked());
    const before = await schedule.facts();
    for (const change of [{ windows: [] }, { timezone: 'Nowhere' }, { until: '2020-01-01T00:00:00Z' }])
      await expect(schedule.update({ name: 'Other', ...change })).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(await schedule.facts()).toEqual(before);
  });
});

describe('the same request', () => {
  test('sent many times at once makes one schedule, and with other input is a conflict', async () => {
    const requestId = crypto.randomUUID();
    const made = await Promise.all(Array.from({ length: 8 }, () => create(asked({ requestId }))));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(await refusalOf(asked({ requestId, name: 'Other' }))).toMatchObject({ code: 'CONFLICT' });
  });

  test('to change has no second effect, and to delete is answered again', async () => {
    const schedule = await create(asked());
    const requestId = crypto.randomUUID();
    await schedule.update({ requestId, name: 'First' });
    await schedule.update({ name: 'Second' });
    await schedule.update({ requestId, name: 'First' });
    expect((await schedule.facts()).name).toBe('Second');
    await Promise.all([schedule.remove(requestId), schedule.remove(requestId)]);
    await schedule.remove(requestId);
    await expect(schedule.remove()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

test('a change leaves what it does not speak of, and null takes a bound away', async () => {
  const schedule = await create(asked({ until: '2099-01-01T00:00:00.000Z' }));
  const before = await schedule.facts();
  await schedule.update({ timezone: 'America/New_York' });
  expect(await schedule.facts()).toMatchObject({ timezone: 'America/New_York', windows: before.windows, ...later });
  await schedule.update({ until: null, task: { payload: { layout: 'FREESTYLE', url } } });
  expect(await schedule.facts()).toMatchObject({ until: null, archive: null, task: { payload: { url } }, ...later });
});

test('while it is paused nothing is to come, and then again', async () => {
  const schedule = await create(asked());
  const { nextRuns } = await schedule.facts();
  expect(nextRuns).toHaveLength(3);
  await schedule.update({ isPaused: true });
  expect(await schedule.facts()).toMatchObject({ isPaused: true, nextRunAt: null, nextRuns: [] });
  await schedule.update({ isPaused: false });
  expect((await schedule.facts()).nextRuns).toEqual(nextRuns);
});

test('another project sees, changes and deletes nothing, nor starts recordings that are not its own', async () => {
  const apiKey = await createKey(db, await createProject(db));
  const foreign = createScheduleKit({ url: stack.url, apiKey });
  onTestFinished(() => foreign.close());
  const schedule = await create(asked());
  const theirs = foreign.find(schedule.id);
  await expect(theirs.facts()).rejects.toThrow('gone');
  await expect(theirs.update({ name: 'Mine' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(theirs.remove()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const list = 'query($id: ID!) { schedules { totalCount nodes { id } } node(id: $id) { id } }';
  expect(await api(apiKey).get(list, { id: schedule.id })).toEqual({
    ...{ schedules: { totalCount: 0, nodes: [] }, node: null },
  });
  const recording = await recordings.create({ input: { type: 'SRT_SERVER' }, active: false });
  onTestFinished(() => recording.remove());
  await expect(create(asked({ archive: null, recordingId: recording.id }), foreign)).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  expect((await schedule.facts()).name).toBe('Test');
});

test('schedules are listed newest first, page by page, and found as nodes', async () => {
  const apiKey = await createKey(db, await createProject(db));
  const own = createScheduleKit({ url: stack.url, apiKey });
  onTestFinished(() => own.close());
  const made: string[] = [];
  for (let index = 0; index < 3; index++) made.unshift((await create(asked(), own)).id);
  const list = `query($after: String) { schedules(first: 2, after: $after) { totalCount nodes { id } pageInfo { endCursor } } }`;
  interface Page {
    schedules: { totalCount: number; nodes: { id: string }[]; pageInfo: { endCursor: string } };
  }
  const { schedules: first } = await api(apiKey).get<Page>(list);
  const { schedules: second } = await api(apiKey).get<Page>(list, { after: first.pageInfo.endCursor });
  expect([...first.nodes, ...second.nodes].map(({ id }) => id)).toEqual(made);
  expect(first.totalCount).toBe(3);
  const node = 'query($id: ID!) { node(id: $id) { __typename id } }';
  expect(await api(apiKey).get(node, { id: made[0] })).toEqual({ node: { __typename: 'Schedule', id: made[0] } });
});
