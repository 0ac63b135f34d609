/** A job is broadcast to the far servers its client names, which change while it is live. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { api } from '../testkit/api.js';
import { type ArchiveKit, createArchiveKit, type TestArchive } from '../testkit/archives.js';
import { contentReport } from '../testkit/media-report.js';
import { type RtmpServer, startRtmpServer } from '../testkit/rtmp-server.js';

const eventually = { timeout: 60_000, interval: 200 };
const small = { width: 480, height: 270, maxDuration: 120 };

const targetsQuery = `query ($id: ID!) { job(id: $id) { targets { id url state message bytesSent since removedAt } } }`;
const update = `mutation ($input: UpdateJobOutputsInput!) { updateJobOutputs(input: $input) {
  __typename
  ... on UpdateJobOutputsPayload { sequence job { targets { id url state } } }
  ... on Error { code message }
  ... on ValidationError { issues { field message } }
} }`;

interface Target {
  id: string;
  url: string;
  state: string;
  message: string | null;
  bytesSent: string;
  removedAt: string | null;
}
interface Updated {
  __typename: string;
  code?: string;
  message?: string;
  issues?: { field: string; message: string }[];
  sequence?: number;
  job?: { targets: Target[] };
}

describe('a job that is broadcast', () => {
  const stack = inject('stack');
  let kit: ArchiveKit;
  beforeAll(() => {
    kit = createArchiveKit(stack);
  });
  afterAll(() => kit.close());

  const targetsOf = async ({ id }: TestArchive) =>
    (await api().get<{ job: { targets: Target[] } }>(targetsQuery, { id })).job.targets;
  const change = async (archive: TestArchive, input: object) =>
    (
      await api().get<{ updateJobOutputs: Updated }>(update, {
        input: { jobId: archive.id, ...input },
      })
    ).updateJobOutputs;
  const enters = (archive: TestArchive, index: number, state: string) =>
    expect.poll(async () => (await targetsOf(archive))[index]?.state, eventually).toBe(state);
  const arrives = (server: RtmpServer, key: string, bytes: number) =>
    expect.poll(() => server.received(key), eventually).toBeGreaterThan(bytes);

  test('reaches servers that are added and taken away while it is live, and its file is whole', async () => {
    const server = await startRtmpServer();
    const archive = await kit.start({ ...small, name: 'Broadcast' });
    const events = archive.events();
    await archive.recordedFor(1_000);
    const added = await change(archive, { add: [server.url('first-key')], requestId: 'add-1' });
    expect(added).toMatchObject({ __typename: 'UpdateJobOutputsPayload' });
    expect(await change(archive, { add: [server.url('first-key')], requestId: 'add-1' })).toEqual(added);
    expect(added.job?.targets).toMatchObject([{ url: `rtmp://127.0.0.1:${server.port}/app/***`, state: 'CONNECTING' }]);
    await enters(archive, 0, 'LIVE');
    await change(archive, { add: [server.url('second-key')] });
    await enters(archive, 1, 'LIVE');
    await arrives(server, 'second-key', 20_000);
    const [first] = (await targetsOf(archive)) as [Target, Target];
    expect(Number(first.bytesSent)).toBeGreaterThan(10_000);
    await change(archive, { remove: [first.id] });
    await enters(archive, 0, 'ENDED');
    await archive.recordedFor(6_000);
    await archive.stop();
    await archive.until('COMPLETE');
    const targets = await targetsOf(archive);
    expect(targets).toMatchObject([
      { state: 'ENDED', removedAt: expect.any(String) },
      { state: 'ENDED', removedAt: null, message: null },
    ]);
    const told = (await events).filter(({ __typename }) => __typename === ('JobTargetChanged' as string));
    expect(told.length).toBeGreaterThanOrEqual(6);
    const log = readFileSync(join(stack.dataDir, 'jobs', archive.jobId, 'i1', 'host.log'), 'utf8');
    expect(log).toContain('/app/***: LIVE');
    expect(JSON.stringify([targets, await events, log])).not.toMatch(/first-key|second-key/);
    const there = await contentReport(server.recordings('second-key')[0] as string);
    expect(there).toMatchObject({ unreadable: 0, outOfOrder: 0 });
    expect(there.distinct).toBeGreaterThan(20);
  }, 240_000);

  test('goes on after its recorder was killed', async () => {
    const server = await startRtmpServer();
    const archive = await kit.start(small);
    await change(archive, { add: [server.url('key')] });
    await enters(archive, 0, 'LIVE');
    const sent = Number((await targetsOf(archive))[0]?.bytesSent);
    process.kill(hostOf(archive), 'SIGKILL');
    await enters(archive, 0, 'RECONNECTING');
    await enters(archive, 0, 'LIVE');
    await expect.poll(async () => Number((await targetsOf(archive))[0]?.bytesSent), eventually).toBeGreaterThan(sent);
    await archive.stop();
    await archive.until('COMPLETE', 'PARTIAL');
    expect(server.recordings('key').length).toBeGreaterThanOrEqual(2);
  }, 240_000);

  test('says what is wrong with a change', async () => {
    const archive = await kit.start(small);
    expect(await change(archive, { add: ['https://example.org/app/key'] })).toMatchObject({
      code: 'VALIDATION_FAILED',
      issues: [{ field: 'add[0]', message: expect.stringContaining('rtmp') }],
    });
    const refused = await change(archive, { add: ['rtmp://10.0.0.1/app/secret-key'] });
    expect(refused).toMatchObject({ code: 'URL_REFUSED', message: expect.stringContaining('private address') });
    expect(JSON.stringify(refused)).not.toContain('secret-key');
    const many = [...Array(9).keys()].map((index) => `rtmp://127.0.0.1:1935/app/${index}`);
    expect(await change(archive, { add: many })).toMatchObject({
      code: 'VALIDATION_FAILED',
      issues: [{ field: 'add' }],
    });
    expect(await change(archive, { add: [many[0], many[0]] })).toMatchObject({ issues: [{ field: 'add[1]' }] });
    const unknown = Buffer.from(`JobTarget:${archive.jobId}`).toString('base64');
    expect(await change(archive, { remove: [unknown] })).toMatchObject({ code: 'NOT_FOUND' });
    expect(await change({ ...archive, id: unknown }, { add: [] })).toMatchObject({ code: 'NOT_FOUND' });
    await archive.recordedFor(500);
    await archive.stop();
    await archive.until('COMPLETE');
    expect(await change(archive, { add: ['rtmp://127.0.0.1:1935/app/key'] })).toMatchObject({ code: 'INVALID_STATE' });
  }, 240_000);

  function hostOf({ jobId }: TestArchive): number {
    const identity = readFileSync(join(stack.dataDir, 'jobs', jobId, 'i1', 'host.json'), 'utf8');
    return (JSON.parse(identity) as { pid: number }).pid;
  }
});
