import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { strangerEnvironment } from '../../src/config.js';
import { createGate } from '../../src/net/gate.js';
import { type PostOutcome, post } from '../../src/webhooks/post.js';
import { type Authority, createAuthority, selfSigned } from '../testkit/certificates.js';
import { startReceiver } from '../testkit/receiver.js';

const poster = fileURLToPath(new URL('../testkit/post-to-loopback.ts', import.meta.url));

const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n';
const loopback = { allowedNetworks: ['127.0.0.0/8'], allowedHosts: [], deniedPorts: [] };

/** A server that does as it likes with each connection; answers its port. */
async function serverOfTest(behave: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    behave(socket);
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function tryPost(url: string, gate = createGate({ policy: loopback }), limitMs = 500): Promise<PostOutcome> {
  return post(gate, { url, headers: {}, body: '{}', signal: AbortSignal.timeout(limitMs) });
}

describe('a POST to a receiver', () => {
  test('goes to no address that the gate refuses, whatever the name meant before', async () => {
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    const answers = [['192.0.2.1'], ['127.0.0.1']];
    const policy = { ...loopback, allowedNetworks: ['192.0.2.0/24'] };
    const gate = createGate({ policy, lookup: async () => answers.shift() ?? [] });
    const url = receiver.url.replace('127.0.0.1', 'rebind.example');
    expect((await gate.checkPage(url)).hostname).toBe('rebind.example');
    expect(await tryPost(url, gate)).toEqual({
      status: null,
      detail: expect.stringContaining('rebind.example (127.0.0.1) is a loopback address'),
    });
    expect(receiver.received).toEqual([]);
  });

  test.each<[string, (socket: net.Socket) => void, string]>([
    ['says nothing', () => {}, 'no answer in time'],
    ['drips headers for ever', (socket) => drip(socket), 'no answer in time'],
    ['closes the connection', (socket) => socket.end(), 'hang up'],
    ['speaks no HTTP', (socket) => socket.end('220 mail\r\n\r\n'), 'Parse Error'],
    ['changes the protocol', (socket) => socket.write(upgrade), 'without an answer'],
    ['has endless headers', (socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(99_999)}\r\n\r\n`), 'overflow'],
  ])('fails when it %s', async (_what, behave, detail) => {
    const port = await serverOfTest((socket) => {
      socket.once('data', () => behave(socket));
    });
    expect(await tryPost(`http://127.0.0.1:${port}/`)).toEqual({
      status: null,
      detail: expect.stringContaining(detail),
    });
  });

  test('keeps the first KiB of an answer, without what a log cannot hold', async () => {
    const port = await serverOfTest((socket) => {
      socket.end(`HTTP/1.1 500 No\r\ncontent-length: 99999999\r\n\r\na\0b${'z'.repeat(9_999)}`);
    });
    const { status, detail } = await tryPost(`http://127.0.0.1:${port}/`);
    expect(status).toBe(500);
    expect(detail).toBe(`a\uFFFDb${'z'.repeat(1_021)}`);
  });

  test('asks for the certificate of the name, on a connection to the address that was checked', async () => {
    let hear = (_data: Buffer) => {};
    const hello = new Promise<Buffer>((resolve) => {
      hear = resolve;
    });
    const port = await serverOfTest((socket) => {
      socket.once('data', (data) => {
        hear(data);
        socket.end();
      });
    });
    const gate = createGate({ policy: loopback, lookup: async () => ['127.0.0.1'] });
    expect(await tryPost(`https://hooks.example:${port}/`, gate)).toEqual({
      status: null,
      detail: expect.stringContaining('secure TLS connection'),
    });
    expect((await hello).includes('hooks.example')).toBe(true);
  });
});

describe('a POST by TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-test-'));
  let authority: Authority;
  beforeAll(() => {
    authority = createAuthority(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What comes of posting to these hosts, which are all the receiver, when the system trusts the authority. */
  async function postTrusting(url: string, ...hosts: string[]): Promise<PostOutcome[]> {
    const urls = hosts.map((host) => url.replace('127.0.0.1', host));
    const env = strangerEnvironment({ NODE_EXTRA_CA_CERTS: authority.file });
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', poster, ...urls], { env });
    return JSON.parse(stdout);
  }

  test('is delivered to the name, or the address, that the certificate is for, and to no other', async () => {
    const receiver = await startReceiver(authority.issue('DNS:hooks.example', 'IP:127.0.0.1'));
    onTestFinished(() => receiver.close());
    const outcomes = await postTrusting(receiver.url, 'hooks.example', '127.0.0.1', 'other.example');
    const delivered = { status: 200, detail: 'ok' };
    expect(outcomes).toEqual([delivered, delivered, refusedFor("Host: other.example. is not in the cert's altnames")]);
    expect(receiver.received).toHaveLength(2);
  });

  test('is not delivered to an address that the certificate is not for', async () => {
    const receiver = await startReceiver(authority.issue('DNS:hooks.example'));
    onTestFinished(() => receiver.close());
    expect(await postTrusting(receiver.url, '127.0.0.1')).toEqual([refusedFor('IP: 127.0.0.1 is not in')]);
    expect(receiver.received).toEqual([]);
  });

  test('is not delivered to a certificate that vouches for itself', async () => {
    const receiver = await startReceiver(selfSigned(folder, 'DNS:hooks.example'));
    onTestFinished(() => receiver.close());
    expect(await postTrusting(receiver.url, 'hooks.example')).toEqual([refusedFor('self-signed certificate')]);
    expect(receiver.received).toEqual([]);
  });

  test('is not delivered to a certificate of an authority that the system does not trust', async () => {
    const receiver = await startReceiver(authority.issue('IP:127.0.0.1'));
    onTestFinished(() => receiver.close());
    expect(await tryPost(receiver.url, undefined, 15_000)).toEqual(refusedFor('unable to verify'));
    expect(receiver.received).toEqual([]);
  });
});

const refusedFor = (why: string): PostOutcome => ({ status: null, detail: expect.stringContaining(why) });

function drip(socket: net.Socket): void {
  socket.write('HTTP/1.1 200 OK\r\n');
  const timer = setInterval(() => socket.write('x: y\r\n'), 50);
  socket.once('close', () => clearInterval(timer));
}
