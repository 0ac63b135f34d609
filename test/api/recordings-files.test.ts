/** Files of recordings: who gets them, that they are held, and that they go. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createJobToken } from '../../src/auth/tokens.js';
import { createDatabase, type Database } from '../../src/db.js';
import { type Api, api } from '../testkit/api.js';
import { createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { createFileRow, createRecordingRow, createRunRow } from '../testkit/recording-rows.js';

const { url, dataDir, databaseUrl } = inject('stack');
let db: Database;
let projectId: string;
let client: Api;
beforeAll(async () => {
  db = createDatabase(databaseUrl);
  projectId = await createProject(db);
  client = api(await createKey(db, projectId));
});
afterAll(() => db.$disconnect());

/** A recording with one run and a file of it, which the storage has. */
async function stored() {
  const recordingId = await createRecordingRow(db, projectId);
  const jobId = await createRunRow(db, projectId, recordingId);
  const storageKey = `jobs/${jobId}/${uuid()}.mp4`;
  const path = join(dataDir, 'files', storageKey);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, 'media');
  const file = await createFileRow(db, jobId, { storageKey, name: 'news-2030-01-31_12-00-00.mp4' });
  const isStored = () =>
    access(path).then(
      () => true,
      () => false,
    );
  return { recordingId, jobId, file, isStored, id: encodeId('File', file.id), address: `${url}/files/${file.id}/x` };
}

async function ask<Answer = { __typename: string; code?: string }>(
  field: string,
  input: object,
  selection = '',
  as = client,
): Promise<Answer> {
  const type = field[0]?.toUpperCase() + field.slice(1);
  const document = `mutation($input: ${type}Input!) { ${field}(input: $input) { __typename
    ... on ${type}Payload { ${selection || '__typename'} } ... on Error { code } } }`;
  return (await as.get<Record<string, Answer>>(document, { input }))[field] as Answer;
}
const eventsOf = async (jobId: string) =>
  (await db.event.findMany({ where: { jobId, type: { startsWith: 'JobFile' } }, orderBy: { jobSequence: 'asc' } })).map(
    ({ payload }) => payload,
  );

test('a file tells all that is known of it', async () => {
  const { id, recordingId, file } = await stored();
  const document = `query($id: ID!) { node(id: $id) { ... on File { name path format visibility publicUrl held expiresAt
    size mediaType recording { id } } } }`;
  expect(await client.get(document, { id })).toEqual({
    node: {
      ...{ name: file.name, path: `/recordings/${file.name}`, format: 'mp4', visibility: 'PRIVATE', publicUrl: null },
      ...{ held: false, expiresAt: null, size: '5', mediaType: 'video/mp4' },
      recording: { id: encodeId('Recording', recordingId) },
    },
  });
});

test('a public file is had by anybody who knows its address, until it is private again', async () => {
  const { id, address } = await stored();
  expect((await fetch(address)).status).toBe(401);
  const { file } = await ask<{ file: { publicUrl: string; visibility: string } }>(
    'setFileVisibility',
    { fileId: id, visibility: 'PUBLIC' },
    'file { publicUrl visibility }',
  );
  expect(file.visibility).toBe('PUBLIC');
  expect(await (await fetch(file.publicUrl)).text()).toBe('media');
  await ask('setFileVisibility', { fileId: id, visibility: 'PRIVATE' });
  expect((await fetch(file.publicUrl)).status).toBe(401);
});

test('a playlist goes with the media that it names, and leaves others', async () => {
  const { jobId } = await stored();
  const rows = [
    { kind: 'PLAYLIST', name: 'Evening news-2030-01-31_12-00-00.m3u8' },
    { kind: 'SEGMENTS', name: 'Evening-news-2030-01-31_12-00-00.mp4' },
    { kind: 'SEGMENTS', name: 'Evening-news-2030-01-31_12-00-00-2.mp4' },
  ] as const;
  const [playlist, media, other] = await Promise.all(rows.map((row) => createFileRow(db, jobId, row)));
  await ask('deleteRecordingFile', { fileId: encodeId('File', playlist?.id as string) });
  const gone = await db.file.findMany({ where: { jobId, deletedAt: { not: null } }, select: { id: true } });
  expect(gone.map(({ id }) => id).sort()).toEqual([playlist?.id, media?.id].sort());
  expect(await db.file.count({ where: { id: other?.id as string, deletedAt: null } })).toBe(1);
});

test('a file that is removed is gone from the storage, its address says so, and the recording stays', async () => {
  const { id, file, jobId, recordingId, address, isStored } = await stored();
  const keeps = await createFileRow(db, jobId);
  const signed = await client.get<{ node: { downloadUrl: string } }>(
    'query($id: ID!) { node(id: $id) { ... on File { downloadUrl } } }',
    { id },
  );
  const removed = await ask('deleteRecordingFile', { fileId: id }, 'fileId name recording { fileCount }');
  expect(removed).toMatchObject({ fileId: id, name: file.name, recording: { fileCount: 1 } });
  expect(await isStored()).toBe(false);
  expect((await fetch(signed.node.downloadUrl)).status).toBe(410);
  expect((await fetch(address, { headers: { authorization: `Bearer ${client.token}` } })).status).toBe(410);
  expect(await db.file.findUniqueOrThrow({ where: { id: file.id } })).toMatchObject({
    ...{ deletedAt: expect.any(Date), removedAt: expect.any(Date) },
  });
  expect(await eventsOf(jobId)).toEqual([
    { type: 'JobFileRemoved', fileId: file.id, name: file.name, cause: 'DELETED' },
  ]);
  const again = await Promise.all([
    ask('deleteRecordingFile', { fileId: id }),
    ask('setFileVisibility', { fileId: id, visibility: 'PUBLIC' }),
    ask('setHold', { id, hold: true }),
  ]);
  expect(again.map(({ code }) => code)).toEqual(['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
  expect(await db.file.count({ where: { jobId, deletedAt: null, id: keeps.id } })).toBe(1);
  expect(await db.recording.count({ where: { id: recordingId, deletedAt: null } })).toBe(1);
});

test('what is kept once for two files stays until both are gone', async () => {
  const { id, file, jobId, isStored } = await stored();
  const twin = await createFileRow(db, jobId, { storageKey: file.storageKey, name: file.name, version: 2 });
  await ask('deleteRecordingFile', { fileId: id });
  expect(await isStored()).toBe(true);
  await ask('deleteRecordingFile', { fileId: encodeId('File', twin.id) });
  expect(await isStored()).toBe(false);
});

describe('a held file', () => {
  test.each(['File', 'Job', 'Recording'] as const)(
    'is kept, whoever deletes it or its recording, by the id of its %s',
    async (type) => {
      const { file, jobId, recordingId, isStored, id } = await stored();
      const held = encodeId(type, { File: file.id, Job: jobId, Recording: recordingId }[type]);
      const answer = await ask('setHold', { id: held, hold: true }, 'fileCount files { id held }');
      expect(answer).toMatchObject({ fileCount: 1, files: [{ id, held: true }] });
      const recording = { recordingId: encodeId('Recording', recordingId) };
      expect((await ask('deleteRecordingFile', { fileId: id })).code).toBe('HELD');
      expect((await ask('deleteRecording', recording)).code).toBe('HELD');
      expect(await isStored()).toBe(true);
      expect(await db.recording.count({ where: { id: recordingId, deletedAt: null } })).toBe(1);
      await ask('setHold', { id: held, hold: false });
      expect(await ask('deleteRecording', recording, 'recording { name fileCount }')).toMatchObject({
        recording: { name: 'Row' },
      });
      await expect.poll(isStored, { timeout: 10_000 }).toBe(false);
    },
  );

  test('of an archive is held by the id of that', async () => {
    const recordingId = await createRecordingRow(db, projectId);
    const jobId = await createRunRow(db, projectId, recordingId);
    await db.job.update({ where: { id: jobId }, data: { kind: 'ARCHIVE', recordingId: null } });
    const file = await createFileRow(db, jobId);
    expect(await ask('setHold', { id: encodeId('Archive', jobId), hold: true }, 'fileCount')).toMatchObject({
      fileCount: 1,
    });
    expect((await db.file.findUniqueOrThrow({ where: { id: file.id } })).held).toBe(true);
    // Only files of recordings are removed one by one.
    expect((await ask('deleteRecordingFile', { fileId: encodeId('File', file.id) })).code).toBe('NOT_FOUND');
  });
});

test("a run's own token removes and holds its own files, and no other's", async () => {
  const [own, other] = [await stored(), await stored()];
  const { token, hash } = createJobToken(own.jobId);
  await db.job.update({ where: { id: own.jobId }, data: { accessTokenHash: hash } });
  const holder = api(token);
  const codes = await Promise.all([
    ask('setHold', { id: other.id, hold: true }, '', holder),
    ask('setFileVisibility', { fileId: other.id, visibility: 'PUBLIC' }, '', holder),
    ask('deleteRecordingFile', { fileId: other.id }, '', holder),
    ask('setHold', { id: encodeId('Recording', own.recordingId), hold: true }, '', holder),
  ]);
  expect(codes.map(({ code }) => code)).toEqual(['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
  expect(await ask('deleteRecordingFile', { fileId: own.id }, 'fileId recording { id }', holder)).toMatchObject({
    ...{ fileId: own.id, recording: null },
  });
});
