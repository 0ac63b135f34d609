/** What clients see of recorders and of the queue. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { api } from '../testkit/api.js';
import { type ArchiveKit, createArchiveKit } from '../testkit/archives.js';
import { holdPlacement } from '../testkit/placement.js';
import { ensuredRoom } from '../testkit/room-tokens.js';

const stack = inject('stack');
const client = api(stack.apiKey);
let kit: ArchiveKit;
beforeAll(() => {
  kit = createArchiveKit(stack);
});
afterAll(() => kit.close());

interface Pool {
  pool: string;
  slots: number;
  used: number;
  free: number;
  waiting: number;
  load: number;
}
interface Capacity {
  workers: number;
  queueLength: number;
  scheduled: number;
  pools: Pool[];
}
const capacityFields = 'workers queueLength scheduled pools { pool slots used free waiting load }';

async function jobsSeen(ids: string[]) {
  const { nodes } = await client.get<{
    nodes: { job: { queuePosition: number | null; expectedStartAt: string | null; priority: string } }[];
  }>('query($ids: [ID!]!) { nodes(ids: $ids) { ... on Archive { job { queuePosition expectedStartAt priority } } } }', {
    ids,
  });
  return nodes.map(({ job }) => job);
}

test('a job that waits says its place, by priority, and when it begins at the latest', async () => {
  await holdPlacement();
  const first = await kit.start({ maxDuration: 60 });
  const second = await kit.start({ maxDuration: 60, priority: 'HIGH' });
  const [one, two] = await jobsSeen([first.id, second.id]);
  expect([one, two].map((job) => job?.queuePosition)).toEqual([2, 1]);
  expect([one, two].map((job) => job?.priority)).toEqual(['NORMAL', 'HIGH']);
  for (const job of [one, two])
    expect(Math.abs(new Date(job?.expectedStartAt ?? 0).getTime() - Date.now())).toBeLessThan(300_000);
  const { capacity } = await client.get<{ capacity: Capacity }>(`{ capacity { ${capacityFields} } }`);
  expect(capacity.queueLength).toBeGreaterThanOrEqual(2);
  expect(capacity.pools[0]).toMatchObject({
    pool: 'ENCODE',
    waiting: capacity.queueLength - (capacity.pools[1]?.waiting ?? 0),
  });
  await Promise.all([first.cancel(), second.cancel()]);
  expect(await jobsSeen([first.id])).toMatchObject([{ queuePosition: null, expectedStartAt: null }]);
}, 60_000);

test('a scheduled job begins at its launch time, and is counted', async () => {
  const launchTime = new Date(Date.now() + 3_600_000).toISOString();
  const archive = await kit.start({ launchTime });
  expect(await jobsSeen([archive.id])).toMatchObject([{ queuePosition: null, expectedStartAt: launchTime }]);
  const { capacity } = await client.get<{ capacity: Capacity }>(`{ capacity { ${capacityFields} } }`);
  expect(capacity.scheduled).toBeGreaterThanOrEqual(1);
  await archive.cancel();
}, 60_000);

test('a job that waits for a machine is given up when its room is deleted', async () => {
  await holdPlacement();
  const { id: roomId } = await ensuredRoom(client, `waiting ${crypto.randomUUID()}`);
  const archive = await kit.start({ roomId, url: undefined });
  await client.get('mutation($id: ID!) { deleteRoom(input: { roomId: $id }) { __typename } }', { id: roomId });
  expect((await archive.until('CANCELED')).state).toBe('CANCELED');
}, 60_000);

test('capacity is followed: what is taken is told within seconds, and what is free again', async () => {
  const seen: Capacity[] = [];
  const stream = await fetch(`${stack.url}/graphql`, {
    method: 'POST',
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      authorization: `Bearer ${stack.apiKey}`,
    },
    body: JSON.stringify({ query: `subscription { capacity { ${capacityFields} } }` }),
  });
  const reading = (async () => {
    let text = '';
    for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        const data = /^data: (.+)$/m.exec(event)?.[1];
        if (data) seen.push((JSON.parse(data) as { data: { capacity: Capacity } }).data.capacity);
      }
    }
  })().catch(() => {});
  const taken = () => seen.at(-1)?.pools[0]?.used;
  await expect.poll(() => seen.length, { timeout: 5_000 }).toBeGreaterThan(0);
  expect(seen[0]).toMatchObject({ workers: 1, pools: [{ pool: 'ENCODE', slots: 3 }, { pool: 'COPY' }] });
  const archive = await kit.start({ maxDuration: 60, width: 320, height: 240 });
  await archive.recordedFor(500);
  await expect.poll(taken, { timeout: 10_000 }).toBe(1);
  expect(seen.at(-1)?.pools[0]).toMatchObject({ used: 1, free: 2, load: 1 / 3 });
  await archive.stop();
  await archive.until('COMPLETE');
  await expect.poll(taken, { timeout: 10_000 }).toBe(0);
  await stream.body?.cancel().catch(() => {});
  await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, 500))]);
}, 90_000);

test('recorders are listed with what they are and how they are', async () => {
  const { workers } = await client.get<{ workers: Record<string, unknown>[] }>(
    '{ workers { id hostname version state slots copySlots encoding copying cpus load memory freeMemory freeDisk lastSeenAt } }',
  );
  // Other tests leave rows of machines that never were.
  const id = readFileSync(join(stack.dataDir, 'machine-id'), 'utf8').trim();
  const worker = workers.find((each) => each.id === id);
  expect(worker).toMatchObject({
    ...{ state: 'ONLINE', slots: 3, encoding: 0, copying: 0 },
    ...{ version: expect.stringMatching(/^\d+\.\d+\.\d+/), cpus: expect.any(Number), load: expect.any(Number) },
  });
  expect(Number(worker?.freeMemory)).toBeGreaterThan(0);
  expect(Date.now() - new Date(worker?.lastSeenAt as string).getTime()).toBeLessThan(15_000);
});
