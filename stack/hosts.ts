/** Ends recorder hosts that are still alive when the stack stops: they are processes of their own and outlive workers. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HostIdentity, hostFiles } from '../src/jobs/capture.js';
import { isRunning } from '../src/process-identity.js';
import type { Log } from './log.js';
import { endProcess, sendSignal } from './process-end.js';

/** A host closes its part within 10 s, or its encoder is killed. */
const closeLimitMs = 15_000;
const killLimitMs = 2_000;

/** Asks every host to close its part and end; kills the process groups of those that do not. */
export async function endHosts(dataDir: string, log: Log): Promise<void> {
  await Promise.all(
    runningHosts(dataDir).map(async (host) => {
      log('stack', `recorder host ${host.pid} is still there; it is asked to end`);
      if (await endProcess(host, [{ signal: 'SIGTERM', limitMs: closeLimitMs }])) return;
      log('stack', `recorder host ${host.pid} did not end within ${closeLimitMs / 1000} s; it is killed`);
      sendSignal(-host.pid, 'SIGKILL');
      await endProcess(host, [{ signal: 'SIGKILL', limitMs: killLimitMs }]);
    }),
  );
}

/** Kills every host and what it started, without a word. */
export function killHosts(dataDir: string): void {
  for (const host of runningHosts(dataDir)) sendSignal(-host.pid, 'SIGKILL');
}

function runningHosts(dataDir: string): HostIdentity[] {
  return foldersIn(join(dataDir, 'jobs'))
    .flatMap(foldersIn)
    .map((folder) => join(folder, hostFiles.identity))
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')) as HostIdentity)
    .filter(isRunning);
}

function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}
