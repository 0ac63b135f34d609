import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createJobToken } from '../../src/auth/tokens.js';
import { createDatabase, type Database } from '../../src/db.js';
import { api } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { createSession, writeSessionStats } from '../testkit/stats.js';

describe('rooms and sessions', () => {
  let db: Database;
  beforeAll(() => {
    db = createDatabase(inject('stack').databaseUrl);
  });
  afterAll(() => db.$disconnect());

  const document = `query($ids: [ID!]!) { nodes(ids: $ids) {
    ... on Room { id name jobs { totalCount nodes { id } } }
    ... on Session { id createdAt lastSeen endedAt room { id } stats { sourceBytes isHealthy issues } }
  } }`;

  test('are found by their ids, by the project alone; the token of a job finds its own, and of their jobs its own', async () => {
    const projectId = await createProject(db);
    const [key, stranger] = [await createKey(db, projectId), await createKey(db, await createProject(db))];
    const [{ roomId, sessionId }, unrelated] = [await createSession(db, projectId), await createSession(db, projectId)];
    const [own, other] = [await createJobRow(db, projectId), await createJobRow(db, projectId)];
    await db.job.updateMany({ where: { id: { in: [own, other] } }, data: { roomId, sessionId } });
    await writeSessionStats(db, sessionId, 1);
    const { token, hash } = createJobToken(own);
    await db.job.update({ where: { id: own }, data: { accessTokenHash: hash } });
    const [room, session] = [encodeId('Room', roomId), encodeId('Session', sessionId)];
    const ids = [room, session, encodeId('Room', unrelated.roomId), encodeId('Session', unrelated.sessionId)];
    const sessionFacts = {
      ...{
        id: session,
        createdAt: expect.any(String),
        lastSeen: expect.any(String),
        endedAt: null,
        room: { id: room },
      },
      stats: { sourceBytes: '1', isHealthy: false, issues: ['No audio arrives.', 'Packets are lost.'] },
    };
    const roomFacts = (...jobIds: string[]) => ({
      ...{ id: room, name: `room ${roomId}` },
      jobs: { totalCount: jobIds.length, nodes: jobIds.map((jobId) => ({ id: encodeId('Job', jobId) })) },
    });

    expect(await api(stranger).get(document, { ids })).toEqual({ nodes: [null, null, null, null] });
    expect(await api(token).get(document, { ids })).toEqual({ nodes: [roomFacts(own), sessionFacts, null, null] });
    expect(await api(key).get(document, { ids })).toMatchObject({
      nodes: [roomFacts(other, own), sessionFacts, { jobs: { totalCount: 0, nodes: [] } }, { stats: null }],
    });
  });
});
