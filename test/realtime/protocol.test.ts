import { describe, expect, inject, test } from 'vitest';
import { WebSocket } from 'ws';
import { encodeId } from '../../schema/ids.js';
import { createDatabase } from '../../src/db.js';
import { api } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';

describe('a WebSocket is closed with', () => {
  test('4401 when it subscribes before it has said who it is', async () => {
    const socket = await api().connect();
    socket.subscribe('1', '{ __typename }');
    expect(await socket.closed).toBe(4401);
  });

  test('4429 when it says so twice', async () => {
    const socket = await api().connect();
    await socket.init();
    socket.send({ type: 'connection_init' });
    expect(await socket.closed).toBe(4429);
  });

  test('4400 when it sends what is no message', async () => {
    const socket = await api().connect();
    await socket.init();
    socket.send({ type: 'nonsense' });
    expect(await socket.closed).toBe(4400);
  });

  test('4409 when it uses the id of an open subscription again', async () => {
    const db = createDatabase(inject('stack').databaseUrl);
    const projectId = await createProject(db);
    const key = await createKey(db, projectId);
    const id = encodeId('Job', await createJobRow(db, projectId, 'COMPLETE'));
    await db.$disconnect();
    const socket = await api(key).connect();
    await socket.init();
    const document = 'subscription($id: ID!) { jobEvents(jobId: $id) { sequence } }';
    socket.subscribe('1', document, { id });
    await socket.next('1');
    socket.subscribe('1', document, { id });
    expect(await socket.closed).toBe(4409);
  });

  test('4406 when it does not name the protocol', async () => {
    const socket = new WebSocket(`${inject('stack').url.replace('http', 'ws')}/graphql`);
    const code = await new Promise((resolve, reject) => socket.once('close', resolve).once('error', reject));
    expect(code).toBe(4406);
  });
});

test('queries and mutations are answered over WebSocket, with the same errors as over HTTP', async () => {
  const socket = await api().connect();
  await socket.init();
  socket.subscribe('1', '{ viewer { project { name } } }');
  expect(await socket.next('1')).toEqual({
    id: '1',
    type: 'next',
    payload: { data: { viewer: { project: { name: 'default' } } } },
  });
  expect(await socket.next('1')).toEqual({ id: '1', type: 'complete' });
  socket.subscribe('2', '{ nonsense }');
  expect(await socket.next('2')).toMatchObject({
    type: 'error',
    payload: [{ message: expect.stringContaining('nonsense') }],
  });
  socket.subscribe('3', 'mutation { startArchive(input: { url: "" }) { __typename } }');
  expect((await socket.next('3')).payload).toEqual({ data: { startArchive: { __typename: 'ValidationError' } } });
  socket.close();
});
