/** A virtual sound card: one PulseAudio daemon a recorder host, with one sink that nothing else can see. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { strangerEnvironment } from '../../src/config.js';
import type { BrowserUser } from './browser-user.js';
import { type Child, type ChildExit, startChild, whenReady } from './child.js';
import { answers, hangs } from './liveness.js';
import type { Scratch } from './scratch.js';

const startLimitMs = 10_000;
// It ends within 50 ms, unless it hangs.
const closeLimitMs = 500;
const sink = 'tapedeck';

export interface Sound {
  /** PULSE_SERVER of clients. */
  server: string;
  /** Where the browser plays. */
  sink: string;
  /** Where the encoder listens. */
  monitor: string;
  exited: Promise<ChildExit>;
  /** Whether it serves: known at once, of one that hangs after 1 s. */
  answers(): Promise<boolean>;
  /** Whether it lives and does not answer; known within 1 s, of a busy one within 4 s. */
  hangs(): Promise<boolean>;
  /** Ends it at once, for one that hangs. Resolves when it is gone. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the daemon. Throws when it does not listen within 10 s, or the signal's reason. */
export async function openSound(options: {
  user: BrowserUser | null;
  scratch: Scratch;
  signal: AbortSignal;
}): Promise<Sound> {
  const { user, scratch } = options;
  // Without this the daemon runs at 44.1 kHz and everything is resampled twice.
  const home = scratch.giveFolder(user, 'sound', { '.config/pulse/daemon.conf': 'default-sample-rate = 48000\n' });
  const socket = join(home, 'socket');

  const child = await startChild({
    command: 'pulseaudio',
    args: [
      ...['-n', '--daemonize=no', '--use-pid-file=no', '--exit-idle-time=-1', '--disallow-exit=yes'],
      ...['--disallow-module-loading=yes', '--high-priority=no', '--realtime=no'],
      // Without `norewinds` the sink holds 2 s of sound, and opening it takes the encoder 2.05 s instead of 0.15 s.
      ...['-L', `module-null-sink sink_name=${sink} rate=48000 norewinds=1`],
      // Last, so that whoever can connect finds the sink. Anonymous: the folder is closed to everyone else.
      ...['-L', `module-native-protocol-unix socket=${socket} auth-anonymous=1 auth-cookie-enabled=0`],
    ],
    user,
    env: strangerEnvironment({ HOME: home, XDG_RUNTIME_DIR: home }),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  await whenReady(child, startLimitMs, options.signal, listens(socket, child));
  const server = { socket, greeting: greeting(), pid: child.pid };
  return {
    server: `unix:${socket}`,
    sink,
    monitor: `${sink}.monitor`,
    exited: child.exited,
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

/** A client's first words in the daemon's own protocol: AUTH of protocol version 32 with an empty cookie. */
function greeting(): Buffer {
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const cookie = Buffer.alloc(256);
  const tagged = (tag: string, ...fields: Buffer[]) => Buffer.concat([Buffer.from(tag), ...fields]);
  const [auth, request, version] = [8, 0, 32];
  const body = [tagged('L', number(auth)), tagged('L', number(request)), tagged('L', number(version))];
  const packet = Buffer.concat([...body, tagged('x', number(cookie.length), cookie)]);
  // Length, no channel, no offset (two words), no flags.
  return Buffer.concat([number(packet.length), number(0xffffffff), number(0), number(0), number(0), packet]);
}

async function listens(socket: string, child: Child): Promise<void> {
  let gone = false;
  void child.exited.then(() => {
    gone = true;
  });
  while (!(await accepts(socket))) {
    if (gone) throw new Error('The sound server ended before it was ready. Its messages are in host.log.');
    await sleep(10);
  }
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });
}
