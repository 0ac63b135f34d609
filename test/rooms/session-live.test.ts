/** A session as it happens: a browser publishes through the gate, the media server counts, and processes die meanwhile. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { api } from '../testkit/api.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createProject } from '../testkit/jobs.js';
import { eventsOf } from '../testkit/kept-rooms.js';
import { createKey } from '../testkit/keys.js';
import { joinRoom, type Person } from '../testkit/people.js';
import { type TestRoom, testRoom } from '../testkit/room-tokens.js';

const patience = { timeout: 60_000, interval: 250 };
const graceSeconds = 15;

let own: OwnDatabase;
let stack: Stack;
let room: TestRoom;
let key: string;
const { dataDir, remove } = temporaryDataFolder();

beforeAll(async () => {
  own = await ownDatabase();
  const config = isolatedConfig(dataDir);
  const { temporalAddress: address } = inject('stack');
  stack = await startStack({
    config: { ...config, databaseUrl: own.url, temporal: { ...config.temporal, address } },
    settings: { SESSION_GRACE_SECONDS: `${graceSeconds}` },
    services: ['api', 'rooms'],
    log: () => {},
  });
  const projectId = await createProject(own.db);
  room = await testRoom(own.db, projectId);
  key = await createKey(own.db, projectId);
});
afterAll(async () => {
  await stack?.stop();
  await own?.remove();
  remove();
});

interface Participants {
  nodes: { identity: string }[];
}

/** Bytes of RTP that the page has sent on its present connections. */
async function sentBy({ page }: Person): Promise<number> {
  const prototype = await page.evaluateHandle('RTCPeerConnection.prototype');
  const connections = await page.queryObjects(prototype as never);
  return page.evaluate(async (list) => {
    let sent = 0;
    for (const connection of list as unknown as RTCPeerConnection[]) {
      if (connection.connectionState !== 'connected') continue;
      for (const report of (await connection.getStats()).values())
        if (report.type === 'outbound-rtp') sent += report.bytesSent + report.headerBytesSent;
    }
    return sent;
  }, connections);
}

const sessions = () =>
  own.db.session.findMany({ where: { roomId: room.roomId }, include: { stats: true }, orderBy: { createdAt: 'asc' } });
const stored = async () => Number((await sessions())[0]?.stats?.sourceBytes ?? 0);
const there = () => own.db.participant.findMany({ where: { roomId: room.roomId, leftAt: null } });

/** What is stored comes to be at least what was sent when this was called, and is never more than was sent by then. */
async function expectTruthful(person: Person): Promise<void> {
  const sent = await sentBy(person);
  // A connection's own count of its packets is within 2 % of the media server's.
  await expect.poll(stored, patience).toBeGreaterThan(sent * 0.98);
  const counted = await stored();
  expect(counted).toBeLessThan((await sentBy(person)) * 1.02);
}

test('is live as long as somebody publishes, and counts what they send, whatever dies meanwhile', async () => {
  const ann = await joinRoom({ stack, token: await room.token(), name: 'Ann' });
  try {
    await expect.poll(there, patience).toMatchObject([{ identity: 'ann', name: 'Ann', kind: 'BROWSER' }]);
    await expect.poll(there, patience).toMatchObject([{ isHealthy: true, issues: [] }]);
    const [session] = await sessions();
    expect(session?.endedAt).toBeNull();
    await expectTruthful(ann);

    await stack.kill('rooms', 'SIGKILL');
    await stack.ready('rooms');
    await expectTruthful(ann);

    const [counted, [before]] = [await stored(), await there()];
    await stack.kill('janus', 'SIGKILL');
    await expect
      .poll(async () => (await there()).map(({ mediaId }) => mediaId), patience)
      .not.toContain(before?.mediaId);
    await expect.poll(there, patience).toMatchObject([{ identity: 'ann', isHealthy: true }]);
    const atReturn = await stored();
    expect(atReturn).toBeGreaterThanOrEqual(counted);
    await expect.poll(stored, patience).toBeGreaterThan(atReturn + 50_000);
    expect(await sessions()).toMatchObject([{ id: session?.id, endedAt: null }]);
  } finally {
    await ann.close();
  }

  await expect.poll(async () => (await sessions())[0]?.endedAt, patience).toBeInstanceOf(Date);
  const [ended] = (await sessions()) as [Awaited<ReturnType<typeof sessions>>[number]];
  expect(ended.endedAt?.getTime()).toBe(ended.lastSeenAt.getTime() + graceSeconds * 1_000);
  const told = (await eventsOf(own.db, room.roomId)).map(({ type }) => type);
  expect(told.filter((type) => type.startsWith('Session'))).toEqual(['SessionStarted', 'SessionEnded']);

  const { sessions: listed } = await api(key, stack.url).get<{ sessions: { nodes: { participants: Participants }[] } }>(
    `query($roomId: ID!) { sessions(roomId: $roomId) { nodes {
      id kind name lastSeenMs createdAtMs parentId sourceBytes ingestRate isHealthy issues recordingStatus mp4Url recordingUrl
      playbackId participants { nodes { identity } }
    } } }`,
    { roomId: encodeId('Room', room.roomId) },
  );
  expect(listed.nodes).toEqual([
    {
      ...{ id: encodeId('Session', ended.id), kind: 'stream', name: `room ${room.roomId}` },
      lastSeenMs: `${ended.lastSeenAt.getTime()}`,
      createdAtMs: `${ended.createdAt.getTime()}`,
      parentId: encodeId('Room', room.roomId),
      ...{ sourceBytes: `${ended.stats?.sourceBytes}`, ingestRate: 0, isHealthy: null, issues: null },
      ...{ recordingStatus: 'NONE', mp4Url: null, recordingUrl: null, playbackId: ended.playbackId },
      participants: expect.anything(),
    },
  ]);
  const visits = listed.nodes[0]?.participants.nodes.map(({ identity }) => identity);
  expect(new Set(visits)).toEqual(new Set(['ann']));
}, 300_000);
