/** Names: what is connected to is what was checked, and one inside address condemns a name. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGate, type Lookup } from '../../src/net/gate.js';
import { AddressRefusedError, UnreachableError } from '../../src/net/refusal.js';

// Plays the open internet: this one loopback address may be reached, all others of the machine may not.
const allowedNetworks = ['127.0.0.1/32'];
const policy = { allowedNetworks, allowedHosts: [], deniedPorts: [] };
const server = createServer((socket) => socket.on('error', () => {}));
let port = 0;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as { port: number }).port;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

/** Answers each look-up with the next of the given answers. */
function answering(...answers: string[][]): { lookup: Lookup; asked: () => number } {
  let asked = 0;
  return { lookup: async () => answers[Math.min(asked++, answers.length - 1)] as string[], asked: () => asked };
}

test('connects to the address it checked, without asking again', async () => {
  const { lookup, asked } = answering(['127.0.0.1'], ['127.0.0.2']);
  const gate = createGate({ policy, lookup });
  const socket = await gate.connect('rebind.example', port);
  expect(socket.remoteAddress).toBe('127.0.0.1');
  expect(asked()).toBe(1);
  socket.destroy();
  await expect(gate.connect('rebind.example', port)).rejects.toThrow(AddressRefusedError);
});

test.each([
  [['127.0.0.1', '10.0.0.1']],
  [['10.0.0.1', '127.0.0.1']],
  [['127.0.0.1', '::ffff:10.0.0.1']],
  [['fe80::1%lo']],
  [['not an address']],
])('refuses a name that leads to %s', async (addresses) => {
  const { lookup } = answering(addresses);
  await expect(createGate({ policy, lookup }).resolve('mixed.example', 80)).rejects.toThrow(AddressRefusedError);
});

test('names in the message both the name and the address it leads to', async () => {
  const { lookup } = answering(['192.168.0.7']);
  const refused = createGate({ policy, lookup }).checkPage('http://intranet.example/');
  await expect(refused).rejects.toThrow('intranet.example (192.168.0.7) is a private address');
});

test('tries the next address when one does not answer', async () => {
  const { lookup } = answering(['127.0.0.9', '127.0.0.1']);
  const gate = createGate({ policy: { ...policy, allowedNetworks: ['127.0.0.0/8'] }, lookup });
  const socket = await gate.connect('two.example', port);
  expect(socket.remoteAddress).toBe('127.0.0.1');
  socket.destroy();
});

test('takes a page whose name is not known yet, and says so when it is to be reached', async () => {
  const lookup = async () => Promise.reject(new Error('getaddrinfo ENOTFOUND'));
  const gate = createGate({ policy, lookup });
  expect((await gate.checkPage('http://later.example/')).hostname).toBe('later.example');
  await expect(gate.connect('later.example', 80)).rejects.toThrow(UnreachableError);
});

test('says that nobody listens', async () => {
  await expect(createGate({ policy }).connect('127.0.0.1', 1023)).rejects.toThrow(
    /did not accept a connection: .*ECONNREFUSED/,
  );
});

test('gives up when the one who asked has gone', async () => {
  const gone = AbortSignal.abort();
  await expect(createGate({ policy }).connect('127.0.0.1', port, gone)).rejects.toThrow(UnreachableError);
});
