/** A child process that cannot outlive this one, optionally run as another user. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { strangerEnvironment } from '../../src/config.js';
import type { BrowserUser } from './browser-user.js';
import { unlessAborted, within } from './time-limit.js';

export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Child {
  readonly pid: number;
  readonly process: ChildProcess;
  readonly exited: Promise<ChildExit>;
  /** Sends `signal`, then SIGKILL after `limitMs`; resolves when the process is gone. */
  stop(signal: NodeJS.Signals, limitMs: number): Promise<ChildExit>;
}

/**
 * The command line that runs a program so that the kernel kills it when this process dies.
 * One call does both, since a later change of user would clear the death signal.
 */
export function boundCommand(user: BrowserUser | null, command: string, args: string[]): string[] {
  const identity = user ? ['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups'] : [];
  return ['setpriv', ...identity, '--pdeathsig', 'KILL', '--', command, ...args];
}

/** The path of a program; a name that is a path already is taken as it is. Throws when it is in no folder of PATH. */
export function findProgram(name: string): string {
  if (name.includes('/')) return name;
  const folders = (strangerEnvironment().PATH ?? '/usr/bin:/bin').split(delimiter);
  const found = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (!found) throw new Error(`${name} was not found in PATH. Run "npm run setup" to install what Tapedeck needs.`);
  return found;
}

/** Starts a program bound to this process. Throws when it cannot be started at all. */
export async function startChild(options: {
  command: string;
  args: string[];
  user: BrowserUser | null;
  env: NodeJS.ProcessEnv;
  stdio: StdioOptions;
  /** Its working folder; that of this process when left out. */
  cwd?: string;
}): Promise<Child> {
  const [program, ...args] = boundCommand(options.user, options.command, options.args) as [string, ...string[]];
  const child = spawn(program, args, { env: options.env, stdio: options.stdio, cwd: options.cwd });
  const exited = new Promise<ChildExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  // After the start, errors are about signals to a process that is gone; `exited` tells of that.
  child.on('error', () => {});
  return {
    pid: child.pid as number,
    process: child,
    exited,
    async stop(signal, limitMs) {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
  };
}

/**
 * The result of `ready`, which tells when a child can be used. When that fails, takes longer than `limitMs`, or the
 * signal is aborted, the child is killed and the error passed on.
 */
export async function whenReady<T>(child: Child, limitMs: number, signal: AbortSignal, ready: Promise<T>): Promise<T> {
  try {
    return await unlessAborted(signal, within(limitMs, 'Starting', ready));
  } catch (error) {
    await child.stop('SIGKILL', 0);
    throw error;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
