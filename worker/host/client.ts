/** The worker's side of a recorder host: starts it, finds it again after a restart, reads what it writes, tells it what to do. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config.js';
import {
  type HostCommand,
  type HostIdentity,
  type HostLease,
  type HostReply,
  type HostSpec,
  type HostStatus,
  hostFiles,
} from '../../src/jobs/capture.js';
import { isRunning } from '../../src/process-identity.js';
import { isDiskFull } from '../../src/storage/storage.js';
import { removeScratchOf } from '../capture/scratch.js';
import { freeIn } from '../parts/room.js';
import { readJson, writeJson } from './atomic-file.js';
import { readStatusFile } from './status-file.js';

const startLimitMs = 15_000;
const commandLimitMs = 5_000;
const killLimitMs = 5_000;
const pollMs = 20;
/**
 * Left to itself, V8 collects all garbage of the start 8 s after it, which takes as much of a processor as 50 s of recording,
 * to give back 5 MB.
 */
const nodeOptions = ['--no-memory-reducer'];

export class HostStartError extends Error {
  override readonly name = 'HostStartError';
  /** `DISK_FULL`: no host will start here before there is room again. */
  readonly code: 'DISK_FULL' | 'NOT_STARTED';
  constructor(code: HostStartError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Starts a host in its incarnation's folder, which is created. It goes on when this process ends. Resolves when the host
 * has said who it is; throws HostStartError when it dies before, says nothing for 15 s, or the folder cannot be written.
 */
export async function startHost(folder: string, spec: HostSpec, lease: HostLease): Promise<HostIdentity> {
  let host: ChildProcess;
  try {
    host = spawnHost(folder, spec, lease);
  } catch (error) {
    const code = isDiskFull(error) ? 'DISK_FULL' : 'NOT_STARTED';
    throw new HostStartError(code, `The recorder host could not be started in ${folder}: ${error}`, { cause: error });
  }
  let died: string | null = null;
  host.once('exit', (code, signal) => {
    died = signal ?? `status ${code}`;
  });
  host.once('error', (error) => {
    died = error.message;
  });
  const log = join(folder, hostFiles.log);
  const startedAt = performance.now();
  while (performance.now() - startedAt < startLimitMs) {
    const identity = readJson<HostIdentity>(join(folder, hostFiles.identity));
    if (identity && identity.pid === host.pid) return identity;
    if (died) {
      // Its log may be empty then; and one that did start would not record there.
      const code = freeIn(folder) < spec.diskReserveBytes ? 'DISK_FULL' : 'NOT_STARTED';
      throw new HostStartError(code, `The recorder host ended with ${died} before it was ready. See ${log}.`);
    }
    await sleep(pollMs);
  }
  if (host.pid) killGroup(host.pid);
  throw new HostStartError('NOT_STARTED', `The recorder host was not ready after ${startLimitMs} ms. See ${log}.`);
}

function spawnHost(folder: string, spec: HostSpec, lease: HostLease): ChildProcess {
  mkdirSync(folder, { recursive: true });
  writeJson(join(folder, hostFiles.spec), spec, { durable: true });
  writeJson(join(folder, hostFiles.lease), lease, { durable: true });
  const log = openSync(join(folder, hostFiles.log), 'a');
  try {
    // Made of main.ts at set-up.
    const main = fileURLToPath(new URL('../../build/host/main.js', import.meta.url));
    // Its own session: no terminal's signal reaches it.
    const host = spawn(process.execPath, [...nodeOptions, main, folder], {
      detached: true,
      stdio: ['ignore', log, log],
      env: hostEnvironment(),
      cwd: folder,
    });
    host.unref();
    return host;
  } finally {
    closeSync(log);
  }
}

/** The host of this folder if it still runs, else null. */
export function findHost(folder: string): HostIdentity | null {
  const identity = readJson<HostIdentity>(join(folder, hostFiles.identity));
  return identity && isRunning(identity) ? identity : null;
}

/** The newest status, null before the first. */
export function readStatus(folder: string): HostStatus | null {
  return readStatusFile<HostStatus>(join(folder, hostFiles.status));
}

/** Gives a command; resolves when the host has accepted it, not when it is done. Throws when it does not answer within 5 s or refuses. */
export async function sendCommand(identity: HostIdentity, command: HostCommand): Promise<void> {
  const reply = await new Promise<HostReply>((resolve, reject) => {
    const connection = connect(identity.socket);
    connection.setTimeout(commandLimitMs, () =>
      connection.destroy(new Error(`The recorder host did not answer within ${commandLimitMs} ms.`)),
    );
    connection.once('error', reject);
    connection.once('close', () => reject(new Error('The recorder host closed the connection without an answer.')));
    createInterface({ input: connection })
      .once('line', (line) => {
        resolve(JSON.parse(line) as HostReply);
        connection.destroy();
      })
      .on('error', () => {});
    connection.write(`${JSON.stringify(command)}\n`);
  });
  if (!reply.ok) throw new Error(`The recorder host refused "${command.command}": ${reply.error}`);
}

/** Tells the host that it is still watched, and by which attempt. */
export function renewLease(folder: string, lease: HostLease): void {
  writeJson(join(folder, hostFiles.lease), lease, { durable: false });
}

/** Ends a host and everything it started, at once. Its parts stay readable. Does nothing to a process that is not this host. */
export async function killHost(identity: HostIdentity): Promise<void> {
  if (isRunning(identity)) killGroup(identity.pid);
  const startedAt = performance.now();
  while (isRunning(identity) && performance.now() - startedAt < killLimitMs) await sleep(pollMs);
  await removeScratchOf(identity.socket);
}

/** Removes the temporary files of a host that was killed. Does nothing while it lives, or when it ended in good order. */
export async function clearAfterHost(folder: string): Promise<void> {
  const identity = readJson<HostIdentity>(join(folder, hostFiles.identity));
  if (identity && !isRunning(identity)) await removeScratchOf(identity.socket);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}
