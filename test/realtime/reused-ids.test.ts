import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { api } from '../testkit/api.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type Replica, startReplica } from '../testkit/server.js';

describe('a client that uses the id of an operation again', () => {
  let own: OwnDatabase;
  let replica: Replica;
  let key: string;
  let jobId: string;
  beforeAll(async () => {
    own = await ownDatabase();
    replica = await startReplica(own.url);
    const projectId = await createProject(own.db);
    key = await createKey(own.db, projectId);
    jobId = await createJobRow(own.db, projectId, 'RECORDING');
  });
  afterAll(async () => {
    await replica.close();
    await own.remove();
  });

  async function open() {
    const socket = await api(key, replica.url).connect();
    await socket.init();
    return socket;
  }
  const sequenceOf = ({ payload }: { payload?: unknown }) =>
    (payload as { data: { events: { sequence: number } } }).data.events.sequence;

  test('at once after completing it is told everything once, and nothing is left when it goes', async () => {
    const socket = await open();
    const document = 'subscription { events { __typename sequence } }';
    for (let round = 0; round < 20; round++) {
      if (round > 0) socket.send({ type: 'complete', id: '1' });
      socket.subscribe('1', document);
      await socket.next('1');
    }
    const sequence = await happen(own.db, jobId);
    expect(sequenceOf(await socket.next('1'))).toBe(sequence);
    const next = await happen(own.db, jobId);
    expect(sequenceOf(await socket.next('1'))).toBe(next);
    socket.close();
    await expect.poll(() => replica.followed).toBe(0);
  });

  test('before the earlier one was answered is closed with 4409, and nothing is left', async () => {
    const socket = await open();
    const document = 'subscription($id: ID!) { jobEvents(jobId: $id) { sequence } }';
    const id = encodeId('Job', jobId);
    await own.db.$transaction(async (transaction) => {
      // The earlier one waits for its job.
      await transaction.$executeRaw`LOCK TABLE job IN ACCESS EXCLUSIVE MODE`;
      socket.subscribe('1', document, { id });
      socket.send({ type: 'complete', id: '1' });
      socket.subscribe('1', document, { id });
      expect(await socket.closed).toBe(4409);
    });
    await expect.poll(() => replica.followed).toBe(0);
  });
});
