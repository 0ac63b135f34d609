import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createDatabase, type Database } from '../../src/db.js';
import { api } from '../testkit/api.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';

const document =
  'subscription($id: ID!, $after: Cursor) { jobEvents(jobId: $id, after: $after) { __typename cursor sequence } }';
interface Item {
  data: { jobEvents: { __typename: string; cursor: string; sequence: number } };
}

describe('jobEvents', () => {
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
});
