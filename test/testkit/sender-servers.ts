/** Servers that recordings pull from, for tests: a MediaMTX of a test's own, a web server of files, and one of endless FLV. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { strangerEnvironment } from '../../src/config.js';
import { findMediamtx } from '../../stack/mediamtx.js';
import { freePort } from '../../stack/ports.js';

const startLimitMs = 20_000;
const root = new URL('../..', import.meta.url).pathname;

export interface StreamServer {
  rtmpPort: number;
  rtspPort: number;
  /** Resolves once it has something to give, which it finds out in 2 s. */
  published(): Promise<void>;
  close(): Promise<void>;
}

/** Takes and gives every path; with `login`, it is given only to who has that. */
export async function startStreamServer(
  options: { rtmpPort?: number; rtspPort?: number; srtPort?: number; login?: { user: string; pass: string } } = {},
): Promise<StreamServer> {
  const program = findMediamtx(root);
  if (!program) throw new Error('MediaMTX is missing. `npm run setup` says how to get it.');
  const rtmpPort = options.rtmpPort ?? (await freePort());
  const rtspPort = options.rtspPort ?? (await freePort());
  const srtPort = options.srtPort ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-mediamtx-'));
  const file = join(folder, 'mediamtx.yml');
  const { login } = options;
  const [publish, read] = ['publish', 'read'].map((action) => ({ action, path: '' }));
  const users = login
    ? [
        { user: 'any', pass: '', ips: [], permissions: [publish] },
        { ...login, ips: [], permissions: [read] },
      ]
    : [{ user: 'any', pass: '', ips: [], permissions: [publish, read] }];
  writeFileSync(
    file,
    JSON.stringify({
      ...{ logLevel: 'info', rtmp: true, rtmpAddress: `127.0.0.1:${rtmpPort}` },
      ...{ rtsp: true, rtspTransports: ['tcp'], rtspAddress: `127.0.0.1:${rtspPort}` },
      ...{
        srt: true,
        srtAddress: `127.0.0.1:${srtPort}`,
        hls: false,
        webrtc: false,
        api: false,
        metrics: false,
        pprof: false,
        playback: false,
      },
      ...{ authMethod: 'internal', authInternalUsers: users },
      paths: { all_others: {} },
    }),
  );
  const env = strangerEnvironment({ HOME: folder });
  const server = spawn(program, [file], { stdio: ['ignore', 'pipe', 'ignore'], cwd: folder, env });
  const published = new Promise<void>((resolve) => {
    server.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('is publishing to path')) resolve();
    });
  });
  await Promise.all([listens(rtmpPort), listens(rtspPort)]);
  return {
    ...{ rtmpPort, rtspPort },
    published: () => published,
    async close() {
      await end(server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function listens(port: number): Promise<void> {
  for (const untilMs = Date.now() + startLimitMs; ; await sleep(50)) {
    const there = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (there) return;
    if (Date.now() > untilMs) throw new Error(`Nothing listens at port ${port}.`);
  }
}

export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await gone;
  clearTimeout(late);
}

export interface WebServer {
  port: number;
  close(): Promise<void>;
}

export async function startWebServer(listener: RequestListener, port = 0): Promise<WebServer> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as { port: number }).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

const types: Record<string, string> = {
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.mpd': 'application/dash+xml',
  '.ts': 'video/mp2t',
  '.m4s': 'video/iso.segment',
  '.mp4': 'video/mp4',
};

/** Gives the files of a folder. */
export const filesOf =
  (folder: string): RequestListener =>
  (request, response) => {
    const path = join(folder, normalize(new URL(request.url ?? '/', 'http://any').pathname));
    if (!path.startsWith(folder) || !existsSync(path) || !statSync(path).isFile()) {
      response.writeHead(404).end();
      return;
    }
    const type = types[extname(path)] ?? 'application/octet-stream';
    // Lists are written anew all the time.
    if (type !== types['.m3u8'] && type !== types['.mpd']) {
      response.writeHead(200, { 'content-type': type, 'content-length': statSync(path).size });
      createReadStream(path)
        .on('error', () => response.destroy())
        .pipe(response);
      return;
    }
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(readFileSync(path));
  };
