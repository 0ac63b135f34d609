/** Live recordings reach far servers, which come and go without the recording being touched. */
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import type { TargetStatus } from '../../src/jobs/capture.js';
import { freePort } from '../../stack/ports.js';
import { createOutlets } from '../../worker/outlets/outlets.js';
import { selfSigned } from '../testkit/certificates.js';
import { type GrowingParts, growingParts } from '../testkit/growing-part.js';
import { contentReport } from '../testkit/media-report.js';
import { startRtmpServer } from '../testkit/rtmp-server.js';

const eventually = { timeout: 40_000, interval: 100 };

function outletsOf(parts: GrowingParts, allowedNetworks = ['127.0.0.0/8']) {
  const notes: string[] = [];
  const outlets = createOutlets({
    folder: parts.folder,
    ffmpeg: 'ffmpeg',
    egress: { allowedNetworks, allowedHosts: [], deniedPorts: [] },
    pieces: { jobId: 'test', incarnation: 1, store: null },
    live: false,
    note: (text) => notes.push(text),
  });
  onTestFinished(() => outlets.close());
  const status = (id: string) => outlets.statuses().find((each) => each.id === id) as TargetStatus;
  const enters = (id: string, state: TargetStatus['state']) =>
    expect.poll(() => status(id).state, eventually).toBe(state);
  /** Resolves when all that was recorded has been sent on: to close gives it only so long. */
  async function sent(id: string): Promise<void> {
    let before = -1;
    const isStill = () => {
      const last = before;
      before = status(id).bytesSent;
      return before === last;
    };
    await expect.poll(isStill, { ...eventually, interval: 1_000 }).toBe(true);
  }
  return { ...outlets, notes, status, enters, sent };
}

const grown = (parts: GrowingParts, part: number, bytes: number) =>
  expect.poll(() => parts.bytes(part), eventually).toBeGreaterThan(bytes);

test('what is recorded arrives at the far server, picture by picture', async () => {
  const server = await startRtmpServer();
  const parts = growingParts();
  const outlets = outletsOf(parts);
  outlets.arrange([{ id: 'a', url: server.url('key-one') }]);
  expect(outlets.status('a')).toMatchObject({ state: 'CONNECTING', bytesSent: 0, message: null });
  outlets.partBegan(1);
  parts.begin(1);
  await outlets.enters('a', 'LIVE');
  await expect.poll(() => server.received('key-one'), eventually).toBeGreaterThan(150_000);
  await parts.stop();
  outlets.partEnded(1);
  await outlets.sent('a');
  await outlets.close();
  expect(outlets.status('a')).toMatchObject({ state: 'ENDED', message: null });
  const [arrived] = server.recordings('key-one') as [string];
  const [there, here] = await Promise.all([contentReport(arrived), contentReport(parts.file(1))]);
  expect(there.last).toBe(here.last);
  expect(there).toMatchObject({ unreadable: 0, outOfOrder: 0, missing: [], tonePresent: true });
  expect(Math.abs(there.avOffsetMedianMs as number)).toBeLessThan(40);
  expect(outlets.status('a').bytesSent).toBeGreaterThan(150_000);
  expect(outlets.notes.join('\n')).not.toContain('key-one');
}, 150_000);

test('goes on by itself when the far server is killed and starts again', async () => {
  const server = await startRtmpServer();
  const parts = growingParts();
  const outlets = outletsOf(parts);
  outlets.arrange([{ id: 'a', url: server.url('key') }]);
  outlets.partBegan(1);
  parts.begin(1);
  await outlets.enters('a', 'LIVE');
  await expect.poll(() => server.received('key'), eventually).toBeGreaterThan(50_000);
  await server.kill();
  await outlets.enters('a', 'RECONNECTING');
  expect(outlets.status('a').message).toMatch(/closed|broke|did not accept/);
  await grown(parts, 1, parts.bytes(1) + 50_000);
  await server.start();
  await outlets.enters('a', 'LIVE');
  await expect.poll(() => server.recordings('key').length, eventually).toBe(2);
  const [, second] = server.recordings('key') as [string, string];
  await expect.poll(() => server.received('key'), eventually).toBeGreaterThan(150_000);
  await parts.stop();
  outlets.partEnded(1);
  await outlets.sent('a');
  await outlets.close();
  const [there, here] = await Promise.all([contentReport(second), contentReport(parts.file(1))]);
  expect(there).toMatchObject({ last: here.last, unreadable: 0, outOfOrder: 0, missing: [], tonePresent: true });
  expect(here).toMatchObject({ unreadable: 0, missing: [], toneJumpsMs: [] });
}, 150_000);

test('targets are added and taken away while it is live', async () => {
  const server = await startRtmpServer();
  const parts = growingParts();
  const outlets = outletsOf(parts);
  const [first, second] = [
    { id: 'a', url: server.url('first') },
    { id: 'b', url: server.url('second') },
  ];
  outlets.partBegan(1);
  parts.begin(1);
  outlets.arrange([first]);
  await outlets.enters('a', 'LIVE');
  // More than two seconds, after which there is another key frame.
  await grown(parts, 1, 400_000);
  outlets.arrange([first, second]);
  await outlets.enters('b', 'LIVE');
  const since = outlets.status('a').since;
  outlets.arrange([second]);
  await outlets.enters('a', 'ENDED');
  const received = server.received('second');
  await expect.poll(() => server.received('second'), eventually).toBeGreaterThan(received + 50_000);
  expect(outlets.status('b').state).toBe('LIVE');
  expect(outlets.status('a').since).toBeGreaterThanOrEqual(since);
  await parts.stop();
  outlets.partEnded(1);
  await outlets.sent('b');
  await outlets.close();
  const [late, here] = await Promise.all([
    contentReport(server.recordings('second')[0] as string),
    contentReport(parts.file(1)),
  ]);
  expect(late.first).toBeGreaterThan(0);
  expect(late).toMatchObject({ last: here.last, missing: [], outOfOrder: 0 });
}, 150_000);

test('one broadcast goes on over the parts of a recording', async () => {
  const server = await startRtmpServer();
  const parts = growingParts();
  const outlets = outletsOf(parts);
  outlets.arrange([{ id: 'a', url: server.url('key') }]);
  outlets.partBegan(1);
  parts.begin(1);
  await outlets.enters('a', 'LIVE');
  await grown(parts, 1, 80_000);
  await parts.stop();
  outlets.partEnded(1);
  outlets.partBegan(2);
  parts.begin(2, 100);
  await grown(parts, 2, 80_000);
  await parts.stop();
  outlets.partEnded(2);
  await outlets.sent('a');
  await outlets.close();
  expect(server.recordings('key')).toHaveLength(1);
  const [there, before, after] = await Promise.all([
    contentReport(server.recordings('key')[0] as string),
    contentReport(parts.file(1)),
    contentReport(parts.file(2)),
  ]);
  expect(there.last).toBe(after.last);
  expect(there.outOfOrder).toBe(0);
  expect(there.missing).toEqual([[before.last + 1, after.first - 1]]);
}, 150_000);

test('a server that reads nothing slows neither the recording nor another broadcast', async () => {
  const [stuck, well] = [await startRtmpServer(), await startRtmpServer()];
  const parts = growingParts();
  const outlets = outletsOf(parts);
  outlets.arrange([
    { id: 'stuck', url: stuck.url('key') },
    { id: 'well', url: well.url('key') },
  ]);
  outlets.partBegan(1);
  parts.begin(1);
  await outlets.enters('stuck', 'LIVE');
  await outlets.enters('well', 'LIVE');
  stuck.signal('SIGSTOP');
  await well.kill();
  await well.start();
  await outlets.enters('well', 'LIVE');
  await grown(parts, 1, parts.bytes(1) + 150_000);
  stuck.signal('SIGCONT');
  await expect.poll(() => stuck.received('key'), eventually).toBeGreaterThan(100_000);
  await parts.stop();
  outlets.partEnded(1);
  await outlets.close();
  expect(await contentReport(parts.file(1))).toMatchObject({ unreadable: 0, missing: [], toneJumpsMs: [] });
}, 150_000);

test('a refused stream key is said, and tried again without end', async () => {
  const server = await startRtmpServer({ refused: 'secret-key' });
  const parts = growingParts();
  const outlets = outletsOf(parts);
  outlets.arrange([{ id: 'a', url: server.url('secret-key') }]);
  outlets.partBegan(1);
  parts.begin(1);
  await expect
    .poll(() => outlets.status('a').message, eventually)
    .toMatch(/did not take the stream and hung up: its key may be wrong/);
  await sleep(1_500);
  expect(outlets.status('a').state).toBe('CONNECTING');
  expect(JSON.stringify([outlets.statuses(), outlets.notes])).not.toContain('secret-key');
}, 150_000);

test.each([
  ['an address that may not be reached', (port: number) => `rtmp://127.0.0.1:${port}/app/secret`, /loopback address/],
  ['a name of this machine', (port: number) => `rtmp://localhost:${port}/app/secret`, /loopback address/],
  ['something that is no address of a stream', () => 'rtmp://127.0.0.1', /stream key/],
])('%s fails for good', async (_what, url, reason) => {
  const parts = growingParts();
  const outlets = outletsOf(parts, []);
  outlets.arrange([{ id: 'a', url: url(await freePort()) }]);
  outlets.partBegan(1);
  await outlets.enters('a', 'FAILED');
  expect(outlets.status('a').message).toMatch(reason);
  expect(outlets.status('a').message).not.toContain('secret');
});

test('a secure server is only trusted with a certificate that is good', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const server = createServer(selfSigned(folder, 'DNS:localhost'));
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const parts = growingParts();
  const outlets = outletsOf(parts, ['127.0.0.0/8', '::1/128']);
  outlets.arrange([{ id: 'a', url: `rtmps://localhost:${(server.address() as AddressInfo).port}/app/key` }]);
  outlets.partBegan(1);
  await expect.poll(() => outlets.status('a').message, eventually).toMatch(/self-signed certificate/);
  outlets.partEnded(1);
  await outlets.close();
  expect(outlets.status('a')).toMatchObject({ state: 'ENDED', message: null });
}, 150_000);

test('a server that is not there yet is waited for', async () => {
  const server = await startRtmpServer();
  await server.kill();
  const parts = growingParts();
  const outlets = outletsOf(parts);
  outlets.arrange([{ id: 'a', url: server.url('key') }]);
  outlets.partBegan(1);
  parts.begin(1);
  await expect.poll(() => outlets.status('a').message, eventually).toMatch(/did not accept a connection/);
  expect(outlets.status('a').state).toBe('CONNECTING');
  await server.start();
  await outlets.enters('a', 'LIVE');
}, 150_000);
