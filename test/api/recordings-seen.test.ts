/** Who sees recordings, in which order, and which of them. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createJobToken } from '../../src/auth/tokens.js';
import { createDatabase, type Database } from '../../src/db.js';
import { type Api, api } from '../testkit/api.js';
import { createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { recordingOf } from '../testkit/recording-config.js';
import { createFileRow, createRecordingRow, createRunRow } from '../testkit/recording-rows.js';
import { createRecordingKit, type RecordingKit } from '../testkit/recordings.js';

let db: Database;
let projectId: string;
let client: Api;
let kit: RecordingKit;
beforeAll(async () => {
  db = createDatabase(inject('stack').databaseUrl);
  projectId = await createProject(db);
  const key = await createKey(db, projectId);
  client = api(key);
  kit = createRecordingKit({ url: inject('stack').url, apiKey: key });
});
afterAll(async () => {
  await kit.close();
  await db.$disconnect();
});

const srt = { type: 'SRT_URL', url: 'srt://127.0.0.1:19999' } as const;
const idle = (input: Partial<Parameters<RecordingKit['create']>[0]> = {}) =>
  kit.create({ input: srt, active: false, ...input });

describe('a list', () => {
  const list = async (args: string) => {
    const { recordings } = await lister.get<{
      recordings: {
        totalCount: number;
        nodes: { name: string }[];
        pageInfo: { endCursor: string; startCursor: string; hasNextPage: boolean };
      };
    }>(
      `{ recordings(${args}) { totalCount nodes { name fileCount } pageInfo { endCursor startCursor hasNextPage } } }`,
    );
    return { ...recordings, names: recordings.nodes.map(({ name }) => name) };
  };
  let lister: Api;
  let running: string;
  beforeAll(async () => {
    const own = await createProject(db);
    lister = api(await createKey(db, own));
    const hls = recordingOf({ input: { type: 'HLS', url: 'http://10.0.0.1/a.m3u8' } });
    const mkv = recordingOf({ input: { type: 'UDP', listenPort: 1 }, output: { format: 'MKV' } });
    const make = (name: string, config = hls, active = false) =>
      createRecordingRow(db, own, { name, config, active, listenPort: null });
    for (const name of ['delta', 'Alpha 100', 'charlie', 'alpha_x']) await make(name);
    running = await make('bravo', mkv, true);
    const jobId = await createRunRow(db, own, running, 'RECORDING');
    for (const kind of ['VIDEO', 'VIDEO', 'THUMBNAIL'] as const) await createFileRow(db, jobId, { kind });
    await createFileRow(db, jobId, { deletedAt: new Date() });
    // Its run has ended by itself.
    const ended = await make('echo', hls, true);
    await createRunRow(db, own, ended, 'COMPLETE');
    await createRecordingRow(db, own, { name: 'deleted', deletedAt: new Date() });
  });
  afterAll(async () => {
    await db.job.updateMany({ where: { recordingId: running }, data: { state: 'FAILED' } });
  });

  test('has the oldest first, unless it is to be in another order', async () => {
    const created = ['delta', 'Alpha 100', 'charlie', 'alpha_x', 'bravo', 'echo'];
    expect((await list('first: 100')).names).toEqual(created);
    expect((await list('first: 100, sort: CREATED_DESC')).names).toEqual(created.toReversed());
    expect((await list('first: 100, sort: NAME')).names.map((name) => name.toLowerCase())).toEqual([
      'alpha 100',
      'alpha_x',
      'bravo',
      'charlie',
      'delta',
      'echo',
    ]);
  });

  test.each(['CREATED_ASC', 'CREATED_DESC', 'NAME'])(
    'goes on from page to page, forwards and back, by %s',
    async (sort) => {
      const whole = (await list(`first: 100, sort: ${sort}`)).names;
      const forwards: string[] = [];
      for (let after = ''; ; ) {
        const page = await list(`first: 2, sort: ${sort} ${after && `, after: "${after}"`}`);
        forwards.push(...page.names);
        if (!page.pageInfo.hasNextPage) break;
        after = page.pageInfo.endCursor;
      }
      expect(forwards).toEqual(whole);
      const last = await list(`last: 4, sort: ${sort}`);
      expect(last.names).toEqual(whole.slice(2));
      const before = await list(`last: 4, sort: ${sort}, before: "${last.pageInfo.startCursor}"`);
      expect(before.names).toEqual(whole.slice(0, 2));
    },
  );

  test.each([
    ['{ name: "ALPHA" }', ['Alpha 100', 'alpha_x']],
    ['{ name: "a_" }', ['alpha_x']],
    ['{ name: "%" }', []],
    ['{ active: true }', ['bravo']],
    ['{ active: false, name: "e" }', ['delta', 'charlie', 'echo']],
    ['{ outputFormats: [MKV, FLV] }', ['bravo']],
    ['{ inputTypes: [HLS], name: "d" }', ['delta']],
    ['{ createdAfter: "2100-01-01T00:00:00Z" }', []],
    ['{ createdBefore: "2100-01-01T00:00:00Z", name: "bravo" }', ['bravo']],
  ])('of %s has those, and counts as many', async (filter, names) => {
    const found = await list(`first: 1, filter: ${filter}`);
    expect(found.totalCount).toBe(names.length);
    expect((await list(`first: 100, filter: ${filter}`)).names).toEqual(names);
  });

  test('says of each how many recordings of it there are', async () => {
    const { nodes } = await list('first: 100, filter: { active: true }');
    expect(nodes).toEqual([{ name: 'bravo', fileCount: 2 }]);
  });
});

describe('who sees what', () => {
  const query = `query($id: ID!) { recording(id: $id) { input { url sendTo sendCommand obs { server } streamKey passphrase } } }`;

  test('who may only look is shown neither what opens an input nor where to send to', async () => {
    const reader = api(await createKey(db, projectId, ['jobs:read']));
    const server = await idle({ input: { type: 'SRT_SERVER', passphrase: 'a passphrase of ours' } });
    const rtsp = await idle({
      input: { type: 'RTSP_URL', url: 'rtsp://user:secret@127.0.0.1:8554/live?token=secret' },
    });
    const rtmp = await idle({ input: { type: 'RTMP_URL', url: 'rtmp://127.0.0.1/app/secret-key' } });
    for (const { id } of [server, rtsp, rtmp]) {
      const { data, errors } = await reader.send<{ recording: { input: object } }>(query, { id });
      expect(data?.recording.input).toMatchObject({
        sendTo: null,
        sendCommand: null,
        obs: null,
        streamKey: null,
        passphrase: null,
      });
      expect(JSON.stringify(data)).not.toMatch(/secret|passphrase of/);
      expect(errors?.every(({ extensions }) => extensions.code === 'FORBIDDEN')).toBe(true);
    }
    const { recording } = await client.get<{ recording: { input: { url: string } } }>(query, { id: rtsp.id });
    expect(recording.input.url).toBe('rtsp://user:secret@127.0.0.1:8554/live?token=secret');
  });

  test('another project sees nothing of it, by whatever field', async () => {
    const recording = await idle();
    const stranger = api(await createKey(db, await createProject(db)));
    const document =
      'query($id: ID!) { recording(id: $id) { id } node(id: $id) { id } job(id: $id) { id } recordings { totalCount } }';
    expect(await stranger.get(document, { id: recording.id })).toEqual({
      ...{ recording: null, node: null, job: null, recordings: { totalCount: 0 } },
    });
    for (const mutation of ['startRecording', 'stopRecording', 'deleteRecording', 'updateRecording']) {
      const asked = `mutation($id: ID!) { ${mutation}(input: { recordingId: $id }) { ... on Error { code } } }`;
      expect(await stranger.get(asked, { id: recording.id })).toEqual({ [mutation]: { code: 'NOT_FOUND' } });
    }
    const hold = 'mutation($id: ID!) { setHold(input: { id: $id, hold: true }) { ... on Error { code } } }';
    expect(await stranger.get(hold, { id: recording.id })).toEqual({ setHold: { code: 'NOT_FOUND' } });
  });

  test('the token of a run sees that run and its files, and nothing else of the recording', async () => {
    const recordingId = await createRecordingRow(db, projectId);
    const [own, other] = [
      await createRunRow(db, projectId, recordingId),
      await createRunRow(db, projectId, recordingId),
    ];
    const { token, hash } = createJobToken(own);
    await db.job.update({ where: { id: own }, data: { accessTokenHash: hash } });
    const [mine, theirs] = [await createFileRow(db, own), await createFileRow(db, other)];
    const holder = api(token);
    const document = `query($id: ID!, $job: ID!, $mine: ID!, $theirs: ID!) {
      recording(id: $id) { id } recordings { totalCount } job(id: $job) { kind recording { id } files { nodes { id recording { id } } } }
      mine: node(id: $mine) { id } theirs: node(id: $theirs) { id } }`;
    const ids = { id: encodeId('Recording', recordingId), job: encodeId('Job', own) };
    const files = { mine: encodeId('File', mine.id), theirs: encodeId('File', theirs.id) };
    expect(await holder.get(document, { ...ids, ...files })).toEqual({
      ...{ recording: null, recordings: { totalCount: 0 }, mine: { id: files.mine }, theirs: null },
      job: { kind: 'RECORDING', recording: null, files: { nodes: [{ id: files.mine, recording: null }] } },
    });
    const stop = 'mutation($id: ID!) { stopRecording(input: { recordingId: $id }) { ... on Error { code } } }';
    expect(await holder.get(stop, { id: ids.id })).toEqual({ stopRecording: { code: 'NOT_FOUND' } });
    const start = await holder.send(
      'mutation($id: ID!) { startRecording(input: { recordingId: $id }) { __typename } }',
      { id: ids.id },
    );
    expect(start.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});
