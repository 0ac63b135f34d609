/** A far server that takes live streams, for tests: a real nginx with its RTMP module, which records what arrives. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { freePort } from '../../stack/ports.js';

const startLimitMs = 20_000;

export interface RtmpServer {
  port: number;
  /** For `app/key`. */
  url(key: string): string;
  /** The files of what arrived under a key, oldest first: one for each time that it was published. */
  recordings(key: string): string[];
  /** Bytes that arrived under a key so far. */
  received(key: string): number;
  /** Kills it and everything it started, as a crash would. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** SIGSTOP, or SIGCONT: it neither reads nor answers meanwhile. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

/** Starts one that takes every key but `refused`. It ends with the test. */
export async function startRtmpServer({ refused = 'refused' } = {}): Promise<RtmpServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-rtmp-'));
  const recorded = join(folder, 'recorded');
  mkdirSync(recorded);
  const keys = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => response.writeHead(new URLSearchParams(body).get('name') === refused ? 403 : 204).end());
  });
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve));
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
worker_processes 1; daemon off; master_process off; user root; pid ${folder}/nginx.pid;
error_log ${folder}/error.log info;
events { worker_connections 64; }
rtmp { server { listen 127.0.0.1:${port}; chunk_size 4096; application app {
  live on; record all; record_path ${recorded}; record_unique on; record_suffix -%s.flv;
  on_publish http://127.0.0.1:${(keys.address() as AddressInfo).port}/; notify_update_timeout 600s; } } }\n`,
  );
  let nginx: ChildProcess | null = null;

  const server: RtmpServer = {
    port,
    url: (key) => `rtmp://127.0.0.1:${port}/app/${key}`,
    recordings: (key) =>
      readdirSync(recorded)
        .filter((name) => name.startsWith(`${key}-`))
        .map((name) => join(recorded, name))
        .sort((a, b) => statSync(a).birthtimeMs - statSync(b).birthtimeMs),
    received: (key) => server.recordings(key).reduce((sum, file) => sum + statSync(file).size, 0),
    async kill() {
      const old = nginx;
      nginx = null;
      if (!old || old.exitCode !== null || old.signalCode !== null) return;
      const gone = new Promise((resolve) => old.once('exit', resolve));
      old.kill('SIGKILL');
      await gone;
    },
    async start() {
      nginx = spawn('/usr/sbin/nginx', ['-p', folder, '-c', config], { stdio: 'ignore' });
      for (const until = Date.now() + startLimitMs; !(await answers(port)); await sleep(50)) {
        if (Date.now() > until || nginx.exitCode !== null)
          throw new Error(`nginx did not start.\n${readFileSync(join(folder, 'error.log'), 'utf8')}`);
      }
    },
    signal: (signal) => void nginx?.kill(signal),
  };
  onTestFinished(async () => {
    await server.kill();
    keys.closeAllConnections();
    keys.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await server.start();
  return server;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
