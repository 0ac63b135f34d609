/** The embedded media server: a Janus with a configuration of ours, run by the supervisor. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import * as z from 'zod';
import { type Config, type MediaServerAddress, strangerEnvironment } from '../src/config.js';
import { type JanusParts, janusConfiguration } from './janus-config.js';
import type { ProcessSpec } from './supervisor.js';

/** The embedded media server cannot be run here; the message says what to do. */
export class JanusUnavailableError extends Error {
  override name = 'JanusUnavailableError';
}

const readyPollMs = 50;
const answerLimitMs = 2_000;
/** It ends within 0.2 s, with sessions open too. */
const shutdownMs = 5_000;

const secretsShape = z.object({
  serverName: z.string(),
  apiSecret: z.string(),
  adminSecret: z.string(),
  adminKey: z.string(),
});

/** Its ports must be chosen. Throws JanusUnavailableError. */
export function prepareJanus(
  { dataDir, media }: Pick<Config, 'dataDir' | 'media'>,
  { port, eventsPort }: { port: number; eventsPort: number },
): { server: MediaServerAddress; address: string; spec: ProcessSpec } {
  const { error } = spawnSync('janus', ['--version'], { timeout: 10_000, stdio: 'ignore', env: strangerEnvironment() });
  const parts = findParts();
  if (error || !parts) {
    throw new JanusUnavailableError(
      'Janus, the media server of rooms, is not installed. Install it: apt-get install janus. Or set JANUS_URL to one of yours.',
    );
  }
  const address = mediaAddress(media.address);
  const folder = join(dataDir, 'janus');
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o700);
  const secrets = ensureSecrets(join(folder, 'secrets.json'));
  const { udpPorts } = media;
  const files = janusConfiguration({ folder, parts, port, eventsPort, address, udpPorts, ...secrets });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o600 });
  const url = `ws://127.0.0.1:${port}`;
  return {
    server: { url, apiSecret: secrets.apiSecret, adminKey: secrets.adminKey },
    address,
    spec: {
      name: 'janus',
      // The kernel ends it when the stack is killed: no server is left behind.
      command: async () => ({
        file: 'setpriv',
        args: ['--pdeathsig', 'TERM', 'janus', '-F', folder, '--log-stdout'],
        env: strangerEnvironment({ HOME: folder }),
      }),
      cwd: folder,
      ipc: false,
      ready: (died) => untilItself(url, secrets.serverName, died),
      stop: 'SIGTERM',
      stopLimitMs: shutdownMs,
    },
  };
}

/** Kept, so that connections can be made again with the same ones after it was started again. */
function ensureSecrets(file: string): z.infer<typeof secretsShape> {
  if (existsSync(file)) return secretsShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  const secret = () => randomBytes(24).toString('base64url');
  const secrets = { serverName: secret(), apiSecret: secret(), adminSecret: secret(), adminKey: secret() };
  writeFileSync(file, JSON.stringify(secrets, null, 2), { mode: 0o600 });
  return secrets;
}

/**
 * Janus gathers no candidates on loopback, and on all interfaces when none is as it was told: so the address must be one of this
 * machine. Media between programs of this machine does not leave it.
 */
function mediaAddress(given: string | undefined): string {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
  const [first] = addresses;
  if (!first) {
    throw new JanusUnavailableError(
      'This machine has no IPv4 address besides loopback, and Janus exchanges media on no loopback address. Give it a network interface (a container needs one too), or set JANUS_URL to a Janus elsewhere.',
    );
  }
  if (given === undefined || addresses.includes(given)) return given ?? first;
  throw new JanusUnavailableError(
    `MEDIA_ADDRESS is ${given}, which is no IPv4 address of this machine: it has ${addresses.join(', ')}. Set it to one of them, or leave it empty for the first.`,
  );
}

/** Undefined when there is none on this system. */
function findParts(): JanusParts | undefined {
  const libraries = ['/usr/lib', '/usr/local/lib', '/usr/lib64', '/opt/janus/lib'];
  // Debian keeps libraries in a folder for each kind of machine.
  const folders = libraries.flatMap((folder) => [folder, ...foldersIn(folder)]).map((folder) => join(folder, 'janus'));
  const home = folders.find((folder) => existsSync(join(folder, 'plugins', 'libjanus_videoroom.so')));
  if (!home) return undefined;
  const kind = (name: string) => {
    const folder = join(home, name);
    return { folder, files: existsSync(folder) ? readdirSync(folder) : [] };
  };
  return {
    plugins: kind('plugins'),
    transports: kind('transports'),
    events: kind('events'),
    loggers: kind('loggers'),
  };
}

function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}

/** That its port takes connections says nothing: another Janus may listen there while ours ends for want of one. */
async function untilItself(url: string, serverName: string, died: AbortSignal): Promise<void> {
  while (!died.aborted) {
    if ((await nameOf(url)) === serverName) return;
    await sleep(readyPollMs, undefined, { signal: died }).catch(() => {});
  }
}

/** What the Janus there calls itself; undefined when there is none. */
function nameOf(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, 'janus-protocol', { handshakeTimeout: answerLimitMs });
    const limit = setTimeout(() => socket.terminate(), answerLimitMs);
    socket.on('open', () => socket.send(JSON.stringify({ janus: 'info', transaction: 'ready' })));
    socket.on('message', (data) => {
      const answer = z.object({ 'server-name': z.string() }).safeParse(JSON.parse(String(data)));
      resolve(answer.data?.['server-name']);
      socket.close();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(limit);
      resolve(undefined);
    });
  });
}
