import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createJobToken } from '../../src/auth/tokens.js';
import { createDatabase, type Database } from '../../src/db.js';
import type { JobState } from '../../src/jobs/states.js';
import { defaultProfiles, defaultRecordingSpec } from '../../src/rooms/profiles.js';
import { type RecordingStatus, recordingStatus } from '../../src/rooms/recording-status.js';
import { api } from '../testkit/api.js';
import { createJobRow, createProject, unheededSince } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { createSession, writeSessionStats } from '../testkit/stats.js';

let db: Database;
let projectId: string;
let key: string;
beforeAll(async () => {
  db = createDatabase(inject('stack').databaseUrl);
  projectId = await createProject(db);
  key = await createKey(db, projectId);
});
afterAll(() => db.$disconnect());

/** A recording that the room began by itself, with a file. */
async function recordedJob(sessionId: string, state: JobState, file?: { deletedAt: Date | null }) {
  const jobId = await createJobRow(db, projectId, state);
  await db.job.update({ where: { id: jobId }, data: { sessionId, automatic: true } });
  if (!file) return jobId;
  await db.file.create({
    data: {
      ...{
        id: uuid(),
        projectId,
        jobId,
        kind: 'VIDEO',
        name: 'recording.mp4',
        storageKey: 'none',
        sha256: new Uint8Array(32),
      },
      ...{ mediaType: 'video/mp4', sizeBytes: 1, ...file },
    },
  });
  return jobId;
}

const ask = async <Field extends string>(sessionId: string, fields: string, token = key) => {
  const { session } = await api(token).get<{ session: Record<Field, unknown> }>(
    `query($id: ID!) { session(id: $id) { ${fields} } }`,
    { id: encodeId('Session', sessionId) },
  );
  return session;
};

describe('the recording of a session', () => {
  const over = new Date();
  const deleted = { deletedAt: over };
  const kept = { deletedAt: null };

  test.each<{ status: RecordingStatus; when: string; record: boolean; endedAt: Date | null; states: JobState[] }>([
    { status: 'NONE', when: 'its room records nothing', record: false, endedAt: over, states: [] },
    { status: 'NONE', when: 'nothing was begun', record: true, endedAt: over, states: [] },
    { status: 'WAITING', when: 'it is live', record: true, endedAt: null, states: ['FAILED'] },
    { status: 'WAITING', when: 'a job goes on', record: true, endedAt: over, states: ['FAILED', 'FINALIZING'] },
    { status: 'FAILED', when: 'no job made a file', record: true, endedAt: over, states: ['FAILED', 'CANCELED'] },
  ])('is $status when $when', ({ status, record, endedAt, states }) => {
    const jobs = states.map((state) => ({ state, files: [] }));
    expect(recordingStatus({ record, endedAt, jobs })).toBe(status);
  });

  test('is READY with a file that plays, DELETED without it, and what a client starts is not it', async () => {
    const { sessionId } = await createSession(db, projectId);
    await db.session.update({ where: { id: sessionId }, data: { record: true, endedAt: over } });
    const own = await createJobRow(db, projectId, 'RECORDING');
    await db.job.update({ where: { id: own }, data: { sessionId } });
    const jobId = await recordedJob(sessionId, 'PARTIAL', kept);
    const fields = 'recordingStatus recordingUrl mp4Url playbackId playbackUrl';
    const playbackUrl = `${inject('stack').url}/play/${sessionId}.m3u8`;
    expect(await ask(sessionId, fields)).toEqual({
      ...{ recordingStatus: 'READY', recordingUrl: playbackUrl, playbackUrl, playbackId: sessionId },
      mp4Url: expect.stringMatching(/\/files\/.*recording\.mp4\?/),
    });
    await db.file.updateMany({ where: { jobId }, data: deleted });
    expect(await ask(sessionId, 'recordingStatus recordingUrl mp4Url')).toEqual({
      ...{ recordingStatus: 'DELETED', recordingUrl: null, mp4Url: null },
    });
  });

  test('is opened by nobody who may not read files, nor by the token of another job', async () => {
    const { sessionId } = await createSession(db, projectId);
    await db.session.update({ where: { id: sessionId }, data: { record: true, endedAt: over } });
    await recordedJob(sessionId, 'COMPLETE', kept);
    const reader = api(await createKey(db, projectId, ['jobs:read']));
    const document = 'query($id: ID!) { session(id: $id) { playbackId playbackUrl recordingUrl mp4Url } }';
    const id = encodeId('Session', sessionId);
    const nothing = { playbackId: null, playbackUrl: null, recordingUrl: null, mp4Url: null };
    expect((await reader.send(document, { id })).data).toEqual({ session: nothing });

    const own = await createJobRow(db, projectId, 'RECORDING');
    const { token, hash } = createJobToken(own);
    await db.job.update({ where: { id: own }, data: { sessionId, accessTokenHash: hash } });
    expect(await ask(sessionId, 'playbackId playbackUrl recordingUrl mp4Url', token)).toEqual(nothing);
  });
});

test('a session says all there is to say of it', async () => {
  const { roomId, sessionId } = await createSession(db, projectId);
  const userId = uuid();
  await db.room.update({ where: { id: roomId }, data: { userId } });
  const segments = { sourceSegments: 3, transcodedSegments: 12, sourceSegmentsMs: 6_500, transcodedSegmentsMs: 26_000 };
  const fields = `kind name parentId projectId userId createdAtMs lastSeenMs endedAt record
    sourceSegments transcodedSegments sourceSegmentsDuration transcodedSegmentsDuration sourceBytes transcodedBytes
    ingestRate outgoingRate isHealthy issues profiles { name fps bitrate width height }
    recordingSpec { profiles { width name height bitrate quality fps fpsDen gop profile encoder } }
    participants { totalCount nodes { identity } } jobs { totalCount }`;
  expect(await ask(sessionId, fields)).toMatchObject({
    ...{ sourceSegments: 0, sourceBytes: '0', ingestRate: 0, isHealthy: null, issues: null },
  });
  await writeSessionStats(db, sessionId, 1_000);
  await db.sessionStats.update({ where: { sessionId }, data: segments });
  const { createdAt } = await db.session.findUniqueOrThrow({ where: { id: sessionId } });
  expect(await ask(sessionId, fields)).toEqual({
    ...{ kind: 'stream', name: `room ${roomId}`, parentId: encodeId('Room', roomId) },
    ...{ projectId: encodeId('Project', projectId), userId: encodeId('ApiKey', userId) },
    ...{
      createdAtMs: `${createdAt.getTime()}`,
      lastSeenMs: `${unheededSince.getTime()}`,
      endedAt: null,
      record: false,
    },
    ...{ sourceSegments: 3, transcodedSegments: 12, sourceSegmentsDuration: 6.5, transcodedSegmentsDuration: 26 },
    ...{ sourceBytes: '1000', transcodedBytes: '2000', ingestRate: 125_000.5, outgoingRate: 250_000 },
    ...{ isHealthy: false, issues: ['No audio arrives.', 'Packets are lost.'] },
    profiles: defaultProfiles,
    recordingSpec: {
      profiles: defaultRecordingSpec.profiles.map((each) => ({ ...each, profile: 'H264_BASELINE', encoder: 'H264' })),
    },
    participants: { totalCount: 0, nodes: [] },
    jobs: { totalCount: 0 },
  });
});

test('sessions are listed with what was live last first, page by page, of one room, or those that are recorded', async () => {
  const project = await createProject(db);
  const client = api(await createKey(db, project));
  const made: { roomId: string; id: string }[] = [];
  for (let index = 0; index < 4; index++) {
    const { roomId, sessionId } = await createSession(db, project);
    // The one that began first was live last.
    const lastSeenAt = new Date(unheededSince.getTime() - index * 60_000);
    await db.session.update({
      where: { id: sessionId },
      data: { lastSeenAt, endedAt: lastSeenAt, record: index % 2 === 0 },
    });
    made.push({ roomId, id: encodeId('Session', sessionId) });
  }
  type Page = { sessions: { totalCount: number; nodes: { id: string }[]; pageInfo: { endCursor: string } } };
  const list = async (given: Record<string, unknown>) => {
    const { sessions } = await client.get<Page>(
      `query($roomId: ID, $record: Boolean, $first: Int, $after: String) {
         sessions(roomId: $roomId, record: $record, first: $first, after: $after) {
           totalCount nodes { id } pageInfo { endCursor } } }`,
      given,
    );
    return { ...sessions, ids: sessions.nodes.map(({ id }) => made.findIndex((each) => each.id === id)) };
  };
  expect(await list({})).toMatchObject({ totalCount: 4, ids: [0, 1, 2, 3] });
  const { ids, pageInfo } = await list({ first: 3 });
  expect([ids, (await list({ first: 3, after: pageInfo.endCursor })).ids]).toEqual([[0, 1, 2], [3]]);
  expect((await list({ record: true })).ids).toEqual([0, 2]);
  expect((await list({ record: false })).ids).toEqual([1, 3]);
  expect(await list({ roomId: encodeId('Room', made[2]?.roomId as string) })).toMatchObject({
    totalCount: 1,
    ids: [2],
  });
  expect(await list({ roomId: encodeId('Session', uuid()) })).toMatchObject({ totalCount: 0, ids: [] });
});
