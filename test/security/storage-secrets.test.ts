/** A recorder host has the storage's secret, to ship with; nobody else on its machine gets to see it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { connectS3 } from '../../src/storage/s3-connection.js';
import { createS3PartStore } from '../../src/storage/s3-parts.js';
import { findRecorded } from '../../worker/finalize/recorded.js';
import { killHost } from '../../worker/host/client.js';
import { fetchShippedParts } from '../../worker/shipping/fetch.js';
import { decode, hostOn, livePage, servePages } from '../testkit/host.js';
import { type S3Server, startS3 } from '../testkit/s3.js';

const folder = mkdtempSync(join(tmpdir(), 'tapedeck-secrets-'));
let s3: S3Server;
beforeAll(async () => {
  s3 = await startS3({ folder: join(folder, 's3') });
  for (const [name, value] of Object.entries(s3.environment)) vi.stubEnv(name, value);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await s3.stop();
  rmSync(folder, { recursive: true });
});

test('it ships from its first second, and neither its children nor its files hold the secret', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`);
  await host.recordedFor(3_000);

  const secret = s3.settings.credentials?.secretAccessKey ?? '';
  const of = (pid: number, what: string) => readFileSync(`/proc/${pid}/${what}`, 'latin1');
  expect(of(host.identity.pid, 'environ')).toContain(secret);
  expect(of(host.identity.pid, 'environ')).not.toContain('DATABASE_URL');
  const children = ['chromium', 'ffmpeg', 'Xvfb', 'pulseaudio'].flatMap((program) => {
    const pids = host.children(program);
    expect(pids, program).not.toEqual([]);
    return pids;
  });
  for (const pid of children) expect(of(pid, 'environ')).not.toMatch(/S3_|AWS_/);
  for (const pid of [host.identity.pid, ...children]) expect(of(pid, 'cmdline')).not.toContain(secret);
  for (const name of readdirSync(host.folder).filter((each) => !each.endsWith('.mkv')))
    expect(readFileSync(join(host.folder, name), 'latin1')).not.toContain(secret);

  // Its machine is lost with all that is on it.
  await killHost(host.identity);
  const { durationMs } = await decode(host.part(1), { cutOff: true });
  rmSync(dirname(host.folder), { recursive: true });
  const store = createS3PartStore(connectS3(s3.settings, { idleLimitMs: 5_000, attempts: 2 }));
  const jobFolder = join(folder, 'another-machine', 'test');
  expect(await fetchShippedParts({ diskReserveBytes: 0, store, jobFolder, jobId: 'test' })).toEqual({ fetched: 1 });
  const [part] = (await findRecorded(jobFolder)).parts;
  expect(part).toMatchObject({ incarnation: 1, number: 1, endCause: null, fetched: true });
  expect(part?.zeroAt).not.toBeNull();
  const back = await decode(part?.file ?? '', { cutOff: true });
  expect(durationMs - back.durationMs).toBeLessThan(2_000);
});
