/** Live sources that lead elsewhere: whatever a playlist, a description or a redirect names, only what the gate lets pass is reached. */

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { childEnvironment } from '../../src/config.js';
import type { InputType } from '../../src/recordings/config.js';
import { probe } from '../../worker/ffmpeg/probe.js';
import { cardMaster } from '../testkit/card-master.js';
import { createAuthority } from '../testkit/certificates.js';
import { type Reading, readInput } from '../testkit/inputs.js';
import { filesOf } from '../testkit/sender-servers.js';

/** This plays the open internet; every other address of this machine plays the inside. */
const outside = '127.0.0.1';
const root = new URL('../..', import.meta.url).pathname;

interface Inside {
  port: number;
  connections(): number;
}

/** Answers everybody who gets there with a picture's worth of secrets. */
async function inside(host = '127.0.0.2'): Promise<Inside> {
  let connections = 0;
  const server = net.createServer((socket) => {
    connections++;
    socket.on('error', () => {});
    socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nsecret');
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

async function site(answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, outside, resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const read = (type: InputType, url: string, deniedPorts: number[] = []): Promise<Reading> =>
  readInput({ type, url }, { egress: { allowedNetworks: [`${outside}/32`], allowedHosts: [], deniedPorts } });

/** What a source may try to have us read: by name, an address that `place` leads to, and what is said of it. */
const lures: [string, (place: number) => string, RegExp][] = [
  ['an address inside', (port) => `http://127.0.0.2:${port}/x.ts`, /127\.0\.0\.2/],
  ['instance metadata', () => 'http://169.254.169.254/latest/meta-data/', /metadata/],
  ['the port of a mail server', () => `http://${outside}:25/x.ts`, /Port 25/],
  ['a file', () => 'file:///etc/hostname', /file:/],
  ['a chain of files', () => 'concat:/etc/hostname|/etc/passwd', /concat:/],
  ['another protocol', (port) => `gopher://127.0.0.2:${port}/x`, /gopher:/],
  ['a connection of no protocol', (port) => `tcp://127.0.0.2:${port}`, /tcp:/],
  ['a proxy of its own', (port) => `httpproxy://127.0.0.2:${port}/127.0.0.2:${port}`, /httpproxy:/],
  ['what it says itself', () => 'data:text/plain,secret', /data:/],
];

async function expectRefused(reading: Reading, words: RegExp, { connections }: Inside): Promise<void> {
  await expect.poll(() => reading.refused.join('\n'), { timeout: 15_000 }).toMatch(words);
  expect(reading.input.refusedBy(reading.log())).toMatchObject({ reason: 'URL_REFUSED' });
  await Promise.race([reading.ended, sleep(1_500)]);
  expect(connections()).toBe(0);
  expect(reading.bytes()).toBe(0);
}

describe('a redirect', () => {
  test.each(['HLS', 'DASH', 'HTTP_FLV'] as const)(
    'of %s is followed by nobody',
    async (type) => {
      for (const [, lure, words] of lures) {
        const place = await inside();
        const port = await site((_, response) => void response.writeHead(302, { location: lure(place.port) }).end());
        await expectRefused(await read(type, `http://${outside}:${port}/live`), words, place);
      }
    },
    120_000,
  );

  test('of RTSP is not followed either', async () => {
    const place = await inside();
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        const [, number = '1'] = /CSeq: (\d+)/.exec(bytes.toString()) ?? [];
        socket.write(`RTSP/1.0 302 Found\r\nCSeq: ${number}\r\nLocation: rtsp://127.0.0.2:${place.port}/x\r\n\r\n`);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, outside, resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const reading = await read('RTSP_URL', `rtsp://${outside}:${port}/live`);
    await expectRefused(reading, /127\.0\.0\.2/, place);
  });

  test('to where one may go is followed', async () => {
    const files = mkdtempSync(join(tmpdir(), 'tapedeck-front-'));
    onTestFinished(() => rmSync(files, { recursive: true, force: true }));
    await makeHls(files);
    const behind = await site(filesOf(files));
    const location = `http://${outside}:${behind}/live.m3u8`;
    const port = await site((_, response) => void response.writeHead(302, { location }).end());
    const reading = await read('HLS', `http://${outside}:${port}/start`);
    await reading.written(2);
    expect(reading.refused).toEqual([]);
  });
});

describe('a playlist', () => {
  const entries: [string, (url: string) => string][] = [
    ['names as a segment', (url) => `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n${url}\n#EXTINF:2,\n${url}\n`],
    ['names as a rendition', (url) => `#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n${url}\n`],
    [
      'names as what comes first',
      (url) => `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="${url}"\n#EXTINF:2,\na.mp4\n#EXTINF:2,\nb.mp4\n`,
    ],
    [
      'names as a key',
      (url) => `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="${url}"\n#EXTINF:2,\na.ts\n`,
    ],
    [
      'names as its sound',
      (url) =>
        `#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="${url}"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\n/none.m3u8\n`,
    ],
  ];
  test.each(entries)(
    'what it %s is not reached',
    async (_name, list) => {
      for (const [, lure, words] of lures) {
        const place = await inside();
        const port = await site((request, response) => {
          response.end(request.url === '/live.m3u8' ? list(lure(place.port)) : Buffer.alloc(188, 0x47));
        });
        await expectRefused(await read('HLS', `http://${outside}:${port}/live.m3u8`), words, place);
      }
    },
    240_000,
  );

  test('what it names at a port of ours is not reached', async () => {
    const own = await inside(outside);
    const list = `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://${outside}:${own.port}/x.ts\n`;
    const port = await site((_, response) => void response.end(list));
    const reading = await read('HLS', `http://${outside}:${port}/live.m3u8`, [own.port]);
    await expectRefused(reading, /belongs to the service itself/, own);
  });

  test('a name that turns inside after it was checked is not reached', async () => {
    const place = await inside();
    const list = `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://localhost.:${place.port}/x.ts\n`;
    const port = await site((_, response) => void response.end(list));
    const reading = await readInput(
      { type: 'HLS', url: `http://${outside}:${port}/live.m3u8` },
      { egress: { allowedNetworks: [`${outside}/32`], allowedHosts: [], deniedPorts: [] } },
    );
    await expectRefused(reading, /::1|localhost/, place);
  });
});

describe('a description of DASH', () => {
  const mpd = (base: string, media: string, init: string) => `<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S"><Period>${base}
<AdaptationSet contentType="video"><Representation id="0" mimeType="video/mp4" bandwidth="1">
<SegmentTemplate duration="2" startNumber="1" media="${media}" initialization="${init}"/>
</Representation></AdaptationSet></Period></MPD>`;
  const escaped = (url: string) => url.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  test.each<[string, (url: string) => string]>([
    ['where all is', (url) => mpd(`<BaseURL>${escaped(url)}</BaseURL>`, 'a', 'b')],
    ['its segments', (url) => mpd('', escaped(url), '/init.mp4')],
    ['what comes first', (url) => mpd('', '/a.mp4', escaped(url))],
    ['in the disguise of entities', (url) => mpd('', '/a.mp4', [...url].map((c) => `&#${c.charCodeAt(0)};`).join(''))],
  ])(
    'what it names as %s is not reached',
    async (_name, description) => {
      for (const [, lure, words] of lures) {
        const place = await inside();
        const port = await site((request, response) => {
          response.end(request.url === '/live.mpd' ? description(lure(place.port)) : Buffer.alloc(188));
        });
        await expectRefused(await read('DASH', `http://${outside}:${port}/live.mpd`), words, place);
      }
    },
    240_000,
  );

  test('entities of its own are not expanded', async () => {
    const bomb = `<!DOCTYPE MPD [<!ENTITY a SYSTEM "file:///etc/hostname">]><MPD><Period id="&a;"/></MPD>`;
    const port = await site((_, response) => void response.end(bomb));
    const reading = await read('DASH', `http://${outside}:${port}/live.mpd`);
    await reading.ended;
    expect(reading.log()).toMatch(/no XML that can be read/);
  });
});

describe('over TLS', () => {
  async function secureSite(folder: string, answer: RequestListener): Promise<{ port: number; ca: string }> {
    const authority = createAuthority(folder);
    const server = createSecureServer(authority.issue(`IP:${outside}`), answer);
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, outside, resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, ca: authority.file };
  }
  const folderOf = () => {
    const folder = mkdtempSync(join(tmpdir(), 'tapedeck-front-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return folder;
  };

  test('a playlist and what it names are read from who has a good certificate', async () => {
    const folder = folderOf();
    await makeHls(folder);
    const files = filesOf(folder);
    const { port, ca } = await secureSite(folder, (request, response) => {
      if (request.url !== '/all.m3u8') return files(request, response);
      // In full, as those who spread segments over many servers write them.
      response.end(`#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://${request.headers.host}/live.m3u8\n`);
    });
    const file = join(folder, 'recorded.mkv');
    const program = join(root, 'test/testkit/front-run.ts');
    const args = ['--import', 'tsx', program, 'HLS', `https://${outside}:${port}/all.m3u8`, file];
    const env = { ...childEnvironment({}), NODE_EXTRA_CA_CERTS: ca };
    await promisify(execFile)(process.execPath, args, { cwd: root, env });
    const facts = await probe(file, { ffprobe: 'ffprobe' });
    expect(facts).toMatchObject({ video: { codec: 'h264' }, audio: { codec: 'aac' } });
  });

  test.each(['HLS', 'DASH', 'HTTP_FLV'] as const)('%s of who has none is not read', async (type) => {
    let asked = 0;
    const { port } = await secureSite(folderOf(), (_, response) => {
      asked++;
      response.end('secret');
    });
    const reading = await read(type, `https://${outside}:${port}/live`);
    await reading.ended;
    expect(reading.log()).toMatch(/certificate/);
    expect(asked).toBe(0);
  });
});

/** Six seconds that have been sent already. */
async function makeHls(folder: string): Promise<void> {
  const master = await cardMaster();
  const args = ['-nostdin', '-v', 'error', '-t', '6', '-i', master, '-c', 'copy', '-f', 'hls', '-hls_time', '1'];
  const { status } = spawnSync('ffmpeg', [...args, '-hls_list_size', '0', join(folder, 'live.m3u8')]);
  if (status !== 0) throw new Error('ffmpeg made no playlist.');
}
