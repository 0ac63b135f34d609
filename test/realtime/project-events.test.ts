/** The streams of a project and of a room: what they begin with, what they tell, and to whom. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import type { JobState } from '../../src/jobs/states.js';
import type { GraphqlError, Socket } from '../testkit/api.js';
import { enter, happen } from '../testkit/happen.js';
import { createJobRow, createProject, createRoom } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type LoneReplica, startLoneReplica } from '../testkit/lone-replica.js';

const jobsDocument = '{ totalCount nodes { id } }';
const eventsDocument = `subscription($filter: EventsFilter, $after: Cursor, $jobs: JobsFilter) {
  it: events(filter: $filter, after: $after) {
    __typename cursor sequence ... on JobEvent { job { id } } ... on ProjectSnapshot { jobs(filter: $jobs) ${jobsDocument} }
  }
}`;
const roomDocument = `subscription($id: ID!, $after: Cursor) {
  it: roomEvents(roomId: $id, after: $after) {
    __typename cursor sequence ... on JobEvent { job { id } } ... on RoomSnapshot { room { id jobs ${jobsDocument} } }
  }
}`;

interface Item {
  __typename: string;
  cursor: string;
  sequence: number;
  job?: { id: string };
}
interface Answer {
  data?: { it: Item } | null;
  errors?: GraphqlError[];
}

let lone: LoneReplica;
beforeAll(async () => {
  lone = await startLoneReplica();
});
afterEach(() => lone.leaveAll());
afterAll(() => lone.remove());

const newJobs = async (count: number, roomId?: string) =>
  Promise.all(Array.from({ length: count }, () => lone.newJob(roomId))) as Promise<[Job, Job, Job]>;
type Job = Awaited<ReturnType<LoneReplica['newJob']>>;

const happens = ({ jobId }: Job) => happen(lone.db, jobId);
const enters = ({ jobId }: Job, state: JobState) => enter(lone.db, jobId, state);

const answerTo = async (socket: Socket, operation = '1') => (await socket.next(operation)).payload as Answer;
const itemTo = async (socket: Socket, operation = '1') => (await answerTo(socket, operation)).data?.it as Item;
/** The next events, each as its number and its job. */
async function eventsTo(socket: Socket, count: number): Promise<[number, string | undefined][]> {
  const told: [number, string | undefined][] = [];
  while (told.length < count) {
    const { sequence, job } = await itemTo(socket);
    told.push([sequence, job?.id]);
  }
  return told;
}

/** Follows the project from its state now on. */
async function follow(filter: object | null, token?: string): Promise<Socket> {
  const socket = await lone.open(token);
  socket.subscribe('1', eventsDocument, { filter });
  expect(await itemTo(socket)).toMatchObject({ __typename: 'ProjectSnapshot', sequence: 0 });
  return socket;
}
/** Subscribes once, with what is refused. */
async function refusal(document: string, variables: object, token?: string): Promise<GraphqlError | undefined> {
  const socket = await lone.open(token);
  socket.subscribe('1', document, { ...variables });
  return (await answerTo(socket)).errors?.[0];
}

describe('events of a project can be filtered: told are only those', () => {
  test('of some types', async () => {
    const [job] = await newJobs(1);
    const socket = await follow({ types: ['JOB_STATE_CHANGED'] });
    await happens(job);
    await enters(job, 'PAUSED');
    await happens(job);
    await enters(job, 'RECORDING');
    expect(await itemTo(socket)).toMatchObject({ __typename: 'JobStateChanged', sequence: 3, job: { id: job.id } });
    expect(await itemTo(socket)).toMatchObject({ __typename: 'JobStateChanged', sequence: 5 });
    expect(socket.received).toEqual([]);
  });

  test('that tell of a change into some states', async () => {
    const [job] = await newJobs(1);
    const socket = await follow({ states: ['PAUSED', 'COMPLETE'] });
    await happens(job);
    for (const state of ['PAUSED', 'RECORDING', 'FINALIZING', 'COMPLETE'] as const) await enters(job, state);
    expect(await eventsTo(socket, 2)).toEqual([
      [3, job.id],
      [6, job.id],
    ]);
    expect(socket.received).toEqual([]);
  });

  test('of some jobs, by their ids or those of their archives', async () => {
    const [one, other, third] = await newJobs(3);
    const socket = await follow({ jobIds: [one.id, encodeId('Archive', other.jobId)] });
    for (const job of [third, one, third, other]) await happens(job);
    expect(await eventsTo(socket, 2)).toEqual([
      [2, one.id],
      [2, other.id],
    ]);
    expect(socket.received).toEqual([]);
  });

  test('in some rooms', async () => {
    const [roomId, elsewhere] = [await createRoom(lone.db, lone.projectId), await createRoom(lone.db, lone.projectId)];
    const [inside, outside, nowhere] = [
      await lone.newJob(roomId),
      await lone.newJob(elsewhere),
      await lone.newJob(),
    ] as const;
    const socket = await follow({ roomIds: [encodeId('Room', roomId)] });
    for (const job of [outside, nowhere, inside]) await happens(job);
    expect(await eventsTo(socket, 1)).toEqual([[2, inside.id]]);
    expect(socket.received).toEqual([]);
  });

  test('that all conditions hold for', async () => {
    const [one, other] = await newJobs(2);
    const socket = await follow({ jobIds: [one.id], types: ['JOB_STATE_CHANGED', 'JOB_BEGUN'] });
    await happens(one);
    await enters(other, 'PAUSED');
    await enters(one, 'PAUSED');
    expect(await eventsTo(socket, 1)).toEqual([[3, one.id]]);
    expect(socket.received).toEqual([]);
  });

  test('of the project, also when a condition names a job of another one', async () => {
    const [own] = await newJobs(1);
    const foreign = await createJobRow(lone.db, await createProject(lone.db));
    const socket = await follow({ jobIds: [own.id, encodeId('Job', foreign)] });
    await happen(lone.db, foreign);
    await happens(own);
    expect(await eventsTo(socket, 1)).toEqual([[2, own.id]]);
  });

  test('behind a cursor, when one is given', async () => {
    const [one, other] = await newJobs(2);
    const first = await lone.open();
    first.subscribe('1', eventsDocument);
    const { cursor } = await itemTo(first);
    for (const job of [one, other, one]) await happens(job);
    const resumed = await lone.open();
    resumed.subscribe('1', eventsDocument, { filter: { jobIds: [one.id] }, after: cursor });
    await enters(one, 'PAUSED');
    expect(await eventsTo(resumed, 3)).toEqual([2, 3, 4].map((sequence) => [sequence, one.id]));
    expect(resumed.received).toEqual([]);
  });

  test('with the same conditions are followed together, and with others apart', async () => {
    const [one, other] = await newJobs(2);
    const filters = [
      { jobIds: [one.id], types: ['JOB_FILE_ADDED'] },
      { jobIds: [one.id], types: ['JOB_FILE_ADDED'] },
      { jobIds: [other.id], types: ['JOB_FILE_ADDED'] },
      { jobIds: [one.id] },
      null,
    ];
    const sockets = [];
    for (const filter of filters) sockets.push(await follow(filter));
    expect(lone.replica.followed).toBe(4);
    for (const job of [other, one]) await happens(job);
    for (const [index, jobs] of [[one], [one], [other], [one], [other, one]].entries())
      expect(await eventsTo(sockets[index] as Socket, jobs.length)).toEqual(jobs.map(({ id }) => [2, id]));
    for (const { received } of sockets) expect(received).toEqual([]);
  });
});

describe('a filter', () => {
  const ids = (type: string, count: number) => Array.from({ length: count }, () => encodeId(type, crypto.randomUUID()));
  const values = (value: string, count: number) => Array.from({ length: count }, () => value);

  test.each<[string, (count: number) => string[]]>([
    ['types', (count) => values('JOB_BEGUN', count)],
    ['states', (count) => values('PAUSED', count)],
    ['jobIds', (count) => ids('Job', count)],
    ['roomIds', (count) => ids('Room', count)],
  ])('may have 100 %s, and is refused with one more', async (field, some) => {
    await follow({ [field]: some(100) });
    expect(await refusal(eventsDocument, { filter: { [field]: some(101) } })).toMatchObject({
      message: `filter.${field}: Give at most 100.`,
      extensions: { code: 'VALIDATION_FAILED' },
    });
  });

  test.each([
    ['jobIds', () => ids('Room', 1)],
    ['jobIds', () => ['nonsense']],
    ['roomIds', () => ids('Job', 1)],
  ])('is refused when one of its %s is of something else', async (field, some) => {
    expect(await refusal(eventsDocument, { filter: { [field]: some() } })).toMatchObject({
      extensions: { code: 'NOT_FOUND' },
    });
  });
});

describe('the stream of a project', () => {
  test('begins with its jobs, the newest first, and with those alone that are asked for', async () => {
    const projectId = await createProject(lone.db);
    const key = await createKey(lone.db, projectId);
    const recording = await createJobRow(lone.db, projectId, 'RECORDING');
    const complete = await createJobRow(lone.db, projectId, 'COMPLETE');
    const snapshotWith = async (jobs: object | null) => {
      const socket = await lone.open(key);
      socket.subscribe('1', eventsDocument, { jobs });
      return itemTo(socket);
    };
    const nodesOf = (...jobIds: string[]) => ({
      jobs: { totalCount: jobIds.length, nodes: jobIds.map((jobId) => ({ id: encodeId('Job', jobId) })) },
    });
    expect(await snapshotWith(null)).toMatchObject(nodesOf(complete, recording));
    expect(await snapshotWith({ states: ['RECORDING'] })).toMatchObject(nodesOf(recording));
  });

  test("is to a job's own token that of this job, whatever is asked for", async () => {
    const [own, other] = await newJobs(2);
    const socket = await lone.open(await lone.tokenOf(own.jobId));
    socket.subscribe('1', eventsDocument, { filter: { jobIds: [own.id, other.id] } });
    expect(await itemTo(socket)).toMatchObject({ jobs: { totalCount: 1, nodes: [{ id: own.id }] } });
    socket.subscribe('2', eventsDocument, { filter: { jobIds: [other.id] }, jobs: { states: ['COMPLETE'] } });
    expect(await itemTo(socket, '2')).toMatchObject({ jobs: { totalCount: 0, nodes: [] } });
    for (const job of [other, own]) await happens(job);
    expect(await eventsTo(socket, 1)).toEqual([[2, own.id]]);
    expect(socket.received).toEqual([]);
  });
});

describe('the stream of a room', () => {
  let roomId: string;
  let id: string;
  let inside: Job;
  let outside: Job;
  beforeAll(async () => {
    roomId = await createRoom(lone.db, lone.projectId);
    id = encodeId('Room', roomId);
    inside = await lone.newJob(roomId);
    outside = await lone.newJob(await createRoom(lone.db, lone.projectId));
  });

  test('begins with the room and its jobs, then tells every change of these, and none of the jobs of another room', async () => {
    const socket = await lone.open();
    socket.subscribe('1', roomDocument, { id });
    expect(await itemTo(socket)).toMatchObject({
      ...{ __typename: 'RoomSnapshot', sequence: 0 },
      room: { id, jobs: { totalCount: 1, nodes: [{ id: inside.id }] } },
    });
    await happens(outside);
    const sequence = await happens(inside);
    const newcomer = await lone.newJob(roomId);
    expect(await eventsTo(socket, 2)).toEqual([
      [sequence, inside.id],
      [1, newcomer.id],
    ]);
    expect(socket.received).toEqual([]);
  });

  test('goes on behind a cursor with what happened since', async () => {
    const first = await lone.open();
    first.subscribe('1', roomDocument, { id });
    const { cursor } = await itemTo(first);
    await happens(outside);
    const sequence = await happens(inside);
    await enters(inside, 'PAUSED');
    const resumed = await lone.open();
    resumed.subscribe('1', roomDocument, { id, after: cursor });
    expect(await eventsTo(resumed, 2)).toEqual([
      [sequence, inside.id],
      [sequence + 1, inside.id],
    ]);
    expect(resumed.received).toEqual([]);
  });

  test('is not there for another project, nor for the token of a job in it, nor by an id of something else', async () => {
    const foreign = await createKey(lone.db, await createProject(lone.db));
    const missing = encodeId('Room', crypto.randomUUID());
    const refused = [
      await refusal(roomDocument, { id }, foreign),
      await refusal(roomDocument, { id }, await lone.tokenOf(inside.jobId)),
      await refusal(roomDocument, { id: inside.id }),
      await refusal(roomDocument, { id: missing }),
    ];
    expect(refused.map((error) => error?.extensions.code)).toEqual(refused.map(() => 'NOT_FOUND'));
  });
});
