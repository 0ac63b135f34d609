import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import type { Database } from '../../src/db.js';
import { type Api, api } from '../testkit/api.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { heldBytes } from '../testkit/memory.js';
import { type Replica, startReplica } from '../testkit/server.js';
import { writeJobStats } from '../testkit/stats.js';

const jobEvents = 'subscription($id: ID!) { jobEvents(jobId: $id) { cursor sequence job { state } } }';
const projectEvents = 'subscription { events { cursor } }';
const jobStats = 'subscription($id: ID!) { jobStats(jobId: $id) { frames } }';
const documents = [jobEvents, projectEvents, jobStats];

const mostBytes = 500_000;

// Code that is made faster, because it runs often, is on the heap too: about 1 MB of it is made in the course of these tests.
for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug']) setFlagsFromString(flag);

describe('nothing is left', () => {
  let own: OwnDatabase;
  let db: Database;
  let replica: Replica;
  let client: Api;
  let jobId: string;
  let id: string;

  beforeAll(async () => {
    own = await ownDatabase();
    ({ db } = own);
    replica = await startReplica(own.url);
    const projectId = await createProject(db);
    client = api(await createKey(db, projectId), replica.url);
    jobId = await createJobRow(db, projectId, 'RECORDING');
    id = encodeId('Job', jobId);
    await writeJobStats(db, jobId, 1);
  });
  afterAll(async () => {
    await replica.close();
    await own.remove();
  });

  /** Without `expect`, which keeps something of every call until the test is over. */
  async function untilNothingIsFollowed(connections = 0): Promise<void> {
    while (replica.followed > 0 || replica.kept !== connections) await sleep(2);
    // What the test itself keeps.
    replica.statements.length = 0;
  }

  /** How much more is held after something was done again and again, having been done before until all that is reused was there. */
  async function growthOf(doing: () => Promise<void>, { before, times }: { before: number; times: number }) {
    for (let round = 0; round < before; round++) await doing();
    const held = await heldBytes();
    for (let round = 0; round < times; round++) await doing();
    return (await heldBytes()) - held;
  }

  test('of 10,000 subscriptions that began, were told something and ended', async () => {
    const sockets = await Promise.all(Array.from({ length: 10 }, () => client.connect()));
    for (const socket of sockets) await socket.init();
    const perSocket = 50;
    let begun = 0;
    let mostFollowed = 0;
    let superfluous = 0;
    const growth = await growthOf(
      async () => {
        const operations = sockets.flatMap((socket) =>
          Array.from({ length: perSocket }, () => ({ socket, operation: String(begun++) })),
        );
        for (const [index, { socket, operation }] of operations.entries()) {
          socket.subscribe(operation, documents[index % documents.length] as string, { id });
        }
        for (const { socket, operation } of operations) await socket.next(operation);
        mostFollowed = Math.max(mostFollowed, replica.followed);
        await happen(db, jobId);
        for (const [index, { socket, operation }] of operations.entries()) {
          if (documents[index % documents.length] !== jobStats) await socket.next(operation);
          socket.send({ id: operation, type: 'complete' });
        }
        await untilNothingIsFollowed(sockets.length);
        superfluous += sockets.reduce((sum, { received }) => sum + received.length, 0);
      },
      { before: 3, times: 20 },
    );
    for (const socket of sockets) socket.close();
    await untilNothingIsFollowed();
    expect(begun).toBeGreaterThan(10_000);
    expect([mostFollowed, superfluous]).toEqual([documents.length, 0]);
    expect(growth).toBeLessThan(mostBytes);
  });

  test('of 2,000 sockets that were closed without a word, whatever they had just begun', async () => {
    let opened = 0;
    const growth = await growthOf(
      async () => {
        const leaving = Array.from({ length: 100 }, async () => {
          const stage = opened++ % 4;
          const socket = await client.connect();
          if (stage === 0)
            socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${client.token}` } });
          if (stage > 0) await socket.init();
          if (stage > 1)
            for (const [index, document] of documents.entries()) socket.subscribe(`${index}`, document, { id });
          if (stage > 2) await socket.next('0');
          socket.close();
          await socket.closed;
        });
        await Promise.all(leaving);
        await untilNothingIsFollowed();
      },
      { before: 3, times: 20 },
    );
    expect(opened).toBeGreaterThan(2_000);
    expect(growth).toBeLessThan(mostBytes);
  });

  test('of 500 streams of server-sent events that were aborted, before or after they were told something', async () => {
    let opened = 0;
    const growth = await growthOf(
      async () => {
        const leaving = Array.from({ length: 50 }, async () => {
          const isEarly = opened++ % 2 === 0;
          const abort = new AbortController();
          const response = client.stream(jobEvents, { id }, abort.signal);
          if (isEarly) setTimeout(() => abort.abort(), opened % 20);
          await response.then((answer) => answer.body?.getReader().read()).catch(() => {});
          abort.abort();
        });
        await Promise.all(leaving);
        await untilNothingIsFollowed();
      },
      { before: 3, times: 10 },
    );
    expect(opened).toBeGreaterThan(500);
    expect(growth).toBeLessThan(mostBytes);
  });
});
