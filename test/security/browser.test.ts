/** A real browser behind the egress proxy: whatever a hostile page tries, the inside hears nothing of it. */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer, type RequestListener } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import puppeteer from 'puppeteer';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { loadConfig } from '../../src/config.js';
import { startEgressProxy } from '../../src/net/egress.js';

// Plays the open internet; every other address of this machine plays the inside.
const outside = '127.0.0.1';
const inside = '127.0.0.2';

async function portOf(server: net.Server, host: string): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test('a page reaches the outside by every way, and the inside by none', async () => {
  let heard = 0;
  const secret = net.createServer((socket) => {
    heard += 1;
    socket.destroy();
  });
  const insidePort = await portOf(secret, inside);
  const database = net.createServer((socket) => {
    heard += 1;
    socket.destroy();
  });
  const deniedPort = await portOf(database, outside);

  const datagrams = createSocket('udp4').on('message', () => {
    heard += 1;
  });
  await new Promise<void>((resolve) => datagrams.bind(0, inside, resolve));
  onTestFinished(() => void datagrams.close());
  const datagramPort = datagrams.address().port;

  const answer: RequestListener = (request, response) => {
    if (request.url === '/redirect')
      return void response.writeHead(302, { location: `http://${inside}:${insidePort}/` }).end();
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>page</title>hello');
  };
  const site = createServer(answer);
  onTestFinished(() => site.closeAllConnections());
  new WebSocketServer({ server: site }).on('connection', (socket) => socket.send('hello'));
  const sitePort = await portOf(site, outside);

  const refused: string[] = [];
  const policy = { allowedNetworks: [`${outside}/32`], allowedHosts: [], deniedPorts: [deniedPort] };
  const proxy = await startEgressProxy({ policy, onRefused: (text) => refused.push(text) });
  onTestFinished(() => proxy.close());
  const browser = await puppeteer.launch({
    executablePath: execFileSync('sh', ['-c', 'command -v "$0"', loadConfig().recorder.chromium], {
      encoding: 'utf8',
    }).trim(),
    pipe: true,
    args: [
      '--no-sandbox',
      `--proxy-server=http://127.0.0.1:${proxy.port}`,
      '--proxy-bypass-list=<-loopback>',
      '--webrtc-ip-handling-policy=disable_non_proxied_udp',
      // Otherwise WebRTC would not try loopback addresses at all, and the line above would prove nothing.
      '--allow-loopback-in-peer-connection',
    ],
  });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  const load = await page.goto(`http://${outside}:${sitePort}/`);
  expect(load?.status()).toBe(200);

  const results = await page.evaluate(
    async ({ sitePort, insidePort, deniedPort, datagramPort, inside, outside }) => {
      const fetched = (url: string) =>
        fetch(url, { mode: 'no-cors' }).then(
          ({ type, status }) => `${type} ${status}`,
          () => 'failed',
        );
      const socket = (url: string) =>
        new Promise<string>((resolve) => {
          const client = new WebSocket(url);
          client.onmessage = ({ data }) => resolve(String(data));
          client.onerror = () => resolve('failed');
        });
      const element = (name: 'img' | 'script' | 'video' | 'iframe', src: string) =>
        new Promise<string>((resolve) => {
          const made = Object.assign(document.createElement(name), { src });
          made.onload = () => resolve('loaded');
          made.onerror = () => resolve('failed');
          document.body.append(made);
        });
      const gathered = async (...urls: string[]) => {
        const peer = new RTCPeerConnection({ iceServers: [{ urls, username: 'u', credential: 'c' }] });
        const complete = new Promise<string>((resolve) => {
          peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve('complete');
        });
        peer.createDataChannel('x');
        await peer.setLocalDescription(await peer.createOffer());
        return complete;
      };
      const secret = `${inside}:${insidePort}`;
      const attempts = {
        fetchOutside: fetched(`http://${outside}:${sitePort}/x`),
        socketOutside: socket(`ws://${outside}:${sitePort}/`),
        fetchInside: fetched(`http://${secret}/`),
        fetchNumber: fetched(`http://2130706434:${insidePort}/`),
        fetchMapped: fetched(`http://[::ffff:127.0.0.2]:${insidePort}/`),
        redirect: fetched(`http://${outside}:${sitePort}/redirect`),
        tls: fetched(`https://${secret}/`),
        socketInside: socket(`ws://${secret}/`),
        secureSocket: socket(`wss://${secret}/`),
        socketDatabase: socket(`ws://${outside}:${deniedPort}/`),
        image: element('img', `http://${secret}/a.png`),
        script: element('script', `http://${secret}/a.js`),
        video: element('video', `http://${secret}/a.mp4`),
        webRtc: gathered(`stun:${inside}:${datagramPort}`, `turn:${secret}?transport=tcp`),
        frame: element('iframe', `http://${secret}/`),
      };
      const entries = Object.entries(attempts).map(async ([name, attempt]) => [name, await attempt] as const);
      return Object.fromEntries(await Promise.all(entries));
    },
    { sitePort, insidePort, deniedPort, datagramPort, inside, outside },
  );

  expect(results).toMatchObject({
    fetchOutside: 'basic 200',
    socketOutside: 'hello',
    tls: 'failed',
    socketInside: 'failed',
    secureSocket: 'failed',
    socketDatabase: 'failed',
    image: 'failed',
    script: 'failed',
    video: 'failed',
    webRtc: 'complete',
  });
  const direct = await page.goto(`http://${inside}:${insidePort}/`);
  expect(direct?.status()).toBe(403);
  expect(direct?.headers()['x-tapedeck-refused']).toContain('loopback');
  expect(heard).toBe(0);
  expect(refused.length).toBeGreaterThanOrEqual(10);
});
