/** A virtual screen of the exact size of the recording: one Xvfb a recorder host. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { strangerEnvironment } from '../../src/config.js';
import type { BrowserUser } from './browser-user.js';
import { type ChildExit, startChild, whenReady } from './child.js';
import { answers, hangs } from './liveness.js';
import type { Scratch } from './scratch.js';

const startLimitMs = 10_000;
// It ends within 20 ms, unless it hangs.
const closeLimitMs = 500;
const socketFolder = '/tmp/.X11-unix';
// A client's first words in version 11 of the protocol, without the cookie: the answer is a refusal.
const greeting = Buffer.from([0x6c, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

export interface Display {
  /** Such as `:7`. */
  name: string;
  /** File with the cookie that clients of this display need. */
  authority: string;
  exited: Promise<ChildExit>;
  /** Whether it serves: known at once, of one that hangs after 1 s. */
  answers(): Promise<boolean>;
  /** Whether it lives and does not answer; known within 1 s, of a busy one within 4 s. */
  hangs(): Promise<boolean>;
  /** Ends it at once, for one that hangs. Resolves when it is gone. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the screen. Throws when it is not ready within 10 s, or the signal's reason. */
export async function openDisplay(options: {
  width: number;
  height: number;
  user: BrowserUser | null;
  scratch: Scratch;
  signal: AbortSignal;
}): Promise<Display> {
  const { user, scratch } = options;
  // Xvfb makes this folder only as root, and it runs as the browser's user.
  if (user && !existsSync(socketFolder)) {
    mkdirSync(socketFolder, { recursive: true });
    chmodSync(socketFolder, 0o1777);
  }
  const home = scratch.giveFolder(user, 'display', { authority: cookieRecord() });
  const authority = join(home, 'authority');

  const child = await startChild({
    command: 'Xvfb',
    // The server picks a free number and writes it to descriptor 3: no race between hosts.
    args: [
      ...['-displayfd', '3', '-screen', '0', `${options.width}x${options.height}x24`],
      ...['-nolisten', 'tcp', '-noreset', '-auth', authority],
    ],
    user,
    env: strangerEnvironment({ HOME: home }),
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const number = await whenReady(child, startLimitMs, options.signal, firstLine(child.process.stdio[3] as Readable));
  const server = { socket: `${socketFolder}/X${number}`, greeting, pid: child.pid };
  return {
    name: `:${number}`,
    authority,
    exited: child.exited.finally(() => removeTraces(Number(number), child.pid)),
    answers: () => answers(server),
    hangs: () => hangs(server),
    kill: async () => {
      await child.stop('SIGKILL', 0);
    },
    close: async () => {
      await child.stop('SIGTERM', closeLimitMs);
    },
  };
}

/** A server that was killed leaves its lock and its socket. Its number may be another's by then, which the lock tells. */
function removeTraces(number: number, pid: number): void {
  const lock = `/tmp/.X${number}-lock`;
  try {
    if (Number(readFileSync(lock, 'utf8')) !== pid) return;
    rmSync(`${socketFolder}/X${number}`, { force: true });
    rmSync(lock, { force: true });
  } catch {
    // It ended in good order, and took them along.
  }
}

/** An authority file with one random cookie, valid for any display: the number is not known before the server runs. */
function cookieRecord(): Buffer {
  const anyFamily = 0xffff;
  const fields = [Buffer.alloc(0), Buffer.alloc(0), Buffer.from('MIT-MAGIC-COOKIE-1'), randomBytes(16)];
  const counted = (field: Buffer) => Buffer.concat([twoBytes(field.length), field]);
  return Buffer.concat([twoBytes(anyFamily), ...fields.map(counted)]);
}

function twoBytes(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function firstLine(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\n')) resolve(text.trim());
    });
    stream.once('end', () =>
      reject(new Error('Xvfb ended before its display was ready. Its messages are in host.log.')),
    );
  });
}
