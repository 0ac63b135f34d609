/** The proxy between a stranger's page and the network, spoken to over real sockets. */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { type WebSocket as Client, WebSocket, WebSocketServer } from 'ws';
import type { EgressPolicy } from '../../src/jobs/capture.js';
import { type EgressProxy, startEgressProxy } from '../../src/net/egress.js';

// Plays the open internet; every other address of this machine plays the inside.
const outside = '127.0.0.1';
const refused: string[] = [];
afterEach(() => refused.splice(0));

async function proxyFor(
  policy: Partial<EgressPolicy> = {},
  lookup?: (name: string) => Promise<string[]>,
): Promise<EgressProxy> {
  const full = { allowedNetworks: [`${outside}/32`], allowedHosts: [], deniedPorts: [], ...policy };
  const proxy = await startEgressProxy({ policy: full, onRefused: (why) => refused.push(why), lookup });
  onTestFinished(() => proxy.close());
  return proxy;
}

async function listening(server: Server | net.Server, host = outside): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function site(answer: (request: IncomingMessage, response: ServerResponse) => void, host = outside): Promise<number> {
  return listening(createServer(answer), host);
}

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

async function get(
  proxy: EgressProxy,
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = options;
  const outgoing = request({
    port: proxy.port,
    host: '127.0.0.1',
    path: url,
    method,
    headers: { host: new URL(url).host, ...headers },
    agent: false,
  });
  outgoing.end(body);
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject);
  });
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: await text(incoming) };
}

/** Asks the proxy for a tunnel; answers the raw socket and the first line of the answer. */
async function tunnel(proxy: EgressProxy, target: string): Promise<{ socket: Socket; head: string }> {
  const socket = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const head = await new Promise<string>((resolve) =>
    socket.once('data', (bytes) => resolve(bytes.toString('latin1'))),
  );
  return { socket, head };
}

function connections(server: net.Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
}

async function untilTrue(check: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 10));
}

test('passes a request on as it was asked, without what is meant for the proxy only', async () => {
  let seen: { line: string; headers: IncomingMessage['headers']; body: string } | undefined;
  const port = await site(async (request, response) => {
    seen = { line: `${request.method} ${request.url}`, headers: request.headers, body: await text(request) };
    response
      .writeHead(201, { 'x-answer': 'yes', 'set-cookie': ['a=1', 'b=2'], 'x-tapedeck-refused': 'forged' })
      .end('made');
  });
  const proxy = await proxyFor();
  const headers = {
    'proxy-authorization': 'Basic x',
    'proxy-connection': 'keep-alive',
    connection: 'x-private',
    'x-private': '1',
    'x-kept': '2',
    expect: '100-continue',
  };
  const answer = await get(proxy, `http://${outside}:${port}/a/b?c=d`, { method: 'POST', headers, body: 'hello' });
  expect(answer).toMatchObject({
    status: 201,
    body: 'made',
    headers: { 'x-answer': 'yes', 'set-cookie': ['a=1', 'b=2'] },
  });
  expect(answer.headers).not.toHaveProperty('x-tapedeck-refused');
  expect(seen).toMatchObject({
    line: 'POST /a/b?c=d',
    body: 'hello',
    headers: { host: `${outside}:${port}`, 'x-kept': '2' },
  });
  for (const name of ['proxy-authorization', 'proxy-connection', 'x-private', 'expect'])
    expect(seen?.headers).not.toHaveProperty(name);
});

test('refuses an inside address in words that a person can act on, and reports it', async () => {
  const proxy = await proxyFor();
  const answer = await get(proxy, 'http://127.0.0.2:8080/<script>');
  expect(answer).toMatchObject({ status: 403, headers: { 'content-type': 'text/html; charset=utf-8' } });
  expect(answer.headers['x-tapedeck-refused']).toContain('127.0.0.2 is a loopback address');
  expect(answer.body).toContain('Use a public address');
  expect(answer.body).not.toContain('<script>');
  expect(refused).toEqual([expect.stringContaining('127.0.0.2:8080 was refused')]);
});

test('refuses the inside address that an outside page redirects to', async () => {
  let wasReached = false;
  const inside = await site((_, response) => {
    wasReached = true;
    response.end('secret');
  }, '127.0.0.2');
  const port = await site((_, response) => response.writeHead(302, { location: `http://127.0.0.2:${inside}/` }).end());
  const proxy = await proxyFor();
  const first = await get(proxy, `http://${outside}:${port}/`);
  expect(first.status).toBe(302);
  expect((await get(proxy, first.headers.location ?? '')).status).toBe(403);
  expect(wasReached).toBe(false);
});

test('refuses the metadata address although its network is allowed', async () => {
  const proxy = await proxyFor({ allowedNetworks: ['169.254.0.0/16'] });
  const answer = await get(proxy, 'http://169.254.169.254/latest/meta-data/iam/');
  expect(answer.status).toBe(403);
  expect(answer.headers['x-tapedeck-refused']).toContain('metadata');
  expect((await tunnel(proxy, '169.254.169.254:443')).head).toMatch(/^HTTP\/1\.1 403 /);
});

test('refuses a name that leads inside, also when it led outside before', async () => {
  const port = await site((_, response) => response.end('outside'));
  const answers = [[outside], ['127.0.0.2']];
  const proxy = await proxyFor({}, async () => answers.shift() ?? []);
  expect(await get(proxy, `http://rebind.example:${port}/`)).toMatchObject({ status: 200, body: 'outside' });
  expect((await get(proxy, `http://rebind.example:${port}/`)).status).toBe(403);
});

test.each([
  'http://2130706434:PORT/',
  'http://0x7f.2:PORT/',
  'http://[::ffff:127.0.0.2]:PORT/',
  'http://localhost.:PORT/',
])('sees through %s', async (url) => {
  const port = await site((_, response) => response.end('secret'), '127.0.0.2');
  const proxy = await proxyFor({ allowedNetworks: [] });
  expect((await get(proxy, url.replace('PORT', String(port)))).status).toBe(403);
});

test('carries a WebSocket through a tunnel', async () => {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket: Client) => socket.on('message', (message) => socket.send(`heard ${message}`)));
  const port = await listening(server);
  const { socket, head } = await tunnel(await proxyFor(), `${outside}:${port}`);
  expect(head).toMatch(/^HTTP\/1\.1 200 /);
  const client = new WebSocket(`ws://${outside}:${port}/`, { createConnection: () => socket });
  client.once('open', () => client.send('hello'));
  expect(String(await new Promise((resolve) => client.once('message', resolve)))).toBe('heard hello');
  client.terminate();
});

test('refuses a tunnel to a port of ours, and to the proxy itself', async () => {
  const database = net.createServer();
  const port = await listening(database);
  const proxy = await proxyFor({ deniedPorts: [port], allowedHosts: [`${outside}:${port}`] });
  for (const target of [
    `${outside}:${port}`,
    `127.1:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    `${outside}:${proxy.port}`,
  ]) {
    const { head } = await tunnel(proxy, target);
    expect(head).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*x-tapedeck-refused: .* never reached/);
  }
  expect(refused).toHaveLength(4);
  expect(await connections(database)).toBe(0);
});

test.each([
  'example.org',
  'user@127.0.0.1:80',
  '127.0.0.1:80/x',
  ':80',
  '127.0.0.1:99999',
  '[::1%25lo]:80',
  '127.0.0.1:25',
])('refuses a tunnel to the malformed or foreign target %s', async (target) => {
  expect((await tunnel(await proxyFor(), target)).head).toMatch(/^HTTP\/1\.1 403 /);
});

test('says of a server that is not there that it could not be reached', async () => {
  const proxy = await proxyFor({}, async () => Promise.reject(new Error('ENOTFOUND')));
  const nobody = await site(() => {});
  const free = nobody === 65535 ? 65534 : nobody + 1;
  const closed = await get(proxy, `http://${outside}:${free}/`);
  const unknown = await get(proxy, 'http://nowhere.example/');
  expect([closed.status, unknown.status]).toEqual([502, 502]);
  expect(closed.headers['x-tapedeck-unreachable']).toContain('did not accept a connection');
  expect(unknown.headers['x-tapedeck-unreachable']).toContain('could not be resolved');
  expect((await tunnel(proxy, `${outside}:${free}`)).head).toMatch(/^HTTP\/1\.1 502 /);
  expect(refused).toEqual([]);
});

test('is no web server itself', async () => {
  const proxy = await proxyFor();
  const response = await fetch(`http://127.0.0.1:${proxy.port}/`);
  expect(response.status).toBe(400);
});

test('answers 502 to what is not HTTP, and breaks off where the server broke off', async () => {
  const garbage = await listening(net.createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')));
  const proxy = await proxyFor();
  expect((await get(proxy, `http://${outside}:${garbage}/`)).status).toBe(502);
  const liar = net.createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'));
  });
  const short = await listening(liar);
  await expect(get(proxy, `http://${outside}:${short}/`)).rejects.toThrow('aborted');
});

test('does not take more of a big answer than its reader takes', async () => {
  const size = 256 * 1024 * 1024;
  let sent = 0;
  const port = await site((_, response) => {
    response.writeHead(200, { 'content-length': size });
    const chunk = Buffer.alloc(1024 * 1024);
    const fill = () => {
      while (sent < size) {
        sent += chunk.length;
        if (!response.write(chunk)) return void response.once('drain', fill);
      }
      response.end();
    };
    fill();
  });
  const proxy = await proxyFor();
  for (const open of [
    async () => {
      const socket = net.connect(proxy.port, '127.0.0.1');
      socket.write(`GET http://${outside}:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
      return socket;
    },
    async () => {
      const { socket } = await tunnel(proxy, `${outside}:${port}`);
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      return socket;
    },
  ]) {
    sent = 0;
    const socket = await open();
    socket.pause();
    let before = -1;
    while (before !== sent || sent === 0) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    // What the kernel's buffers of three sockets hold, far below the whole.
    expect(sent).toBeLessThan(size / 4);
    let received = 0;
    socket.on('data', (bytes) => {
      received += bytes.length;
    });
    socket.resume();
    await untilTrue(() => received >= size);
    socket.destroy();
  }
});

test('passes the end of one direction on while the other goes on', async () => {
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => {
    let received = 0;
    socket.on('data', (bytes) => {
      received += bytes.length;
    });
    socket.once('end', () => socket.end(`got ${received} bytes`));
  });
  const port = await listening(echo);
  const { socket } = await tunnel(await proxyFor(), `${outside}:${port}`);
  socket.end('x'.repeat(100_000));
  expect(await text(socket)).toBe('got 100000 bytes');
  await untilTrue(async () => (await connections(echo)) === 0);
});

test('lets go of the server when the client has gone, at whatever moment', async () => {
  const silent = net.createServer((socket) => socket.on('error', () => {}).resume());
  const port = await listening(silent);
  let inLookup = 0;
  const proxy = await proxyFor({}, async (name) => {
    inLookup += 1;
    if (name === 'slow.example') await new Promise((resolve) => setTimeout(resolve, 300));
    return [outside];
  });
  const clients: Socket[] = [];
  const say = (lines: string) => {
    const socket = net.connect(proxy.port, '127.0.0.1').on('error', () => {});
    socket.write(lines);
    clients.push(socket);
  };
  for (let round = 0; round < 20; round += 1) {
    say(`GET http://fast.example:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    say(`POST http://fast.example:${port}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf`);
    say(`CONNECT fast.example:${port} HTTP/1.1\r\n\r\n`);
    say(`CONNECT slow.example:${port} HTTP/1.1\r\n\r\n`);
    say(`GET http://slow.example:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  await untilTrue(async () => (await connections(silent)) >= 60 && inLookup === 100);
  for (const [index, socket] of clients.entries()) index % 2 ? socket.destroy() : socket.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 400));
  await untilTrue(async () => (await connections(silent)) === 0);
});

test('cuts everything when it is closed', async () => {
  const silent = net.createServer((socket) => socket.on('error', () => {}).resume());
  const port = await listening(silent);
  const proxy = await proxyFor();
  const { socket } = await tunnel(proxy, `${outside}:${port}`);
  const end = new Promise((resolve) => socket.once('end', resolve).once('close', resolve).resume());
  await Promise.all([proxy.close(), end]);
  await untilTrue(async () => (await connections(silent)) === 0);
});
