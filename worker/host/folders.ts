/** The folders of a job's incarnations on this machine, and ending the hosts that may be in them. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostCommand } from '../../src/jobs/capture.js';
import { clearAfterHost, findHost, killHost, sendCommand } from './client.js';

/** ffmpeg is killed by its host 10 s after it was asked to end. */
const endLimitMs = 20_000;
const pollMs = 100;

/** The numbers of a job's incarnations that ran on this machine, ascending. */
export function incarnationsIn(jobFolder: string): number[] {
  if (!existsSync(jobFolder)) return [];
  return readdirSync(jobFolder)
    .flatMap((name) => /^i(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

export const incarnationFolder = (jobFolder: string, incarnation: number): string => join(jobFolder, `i${incarnation}`);

/** Gives the host of a folder a command; false when there is none. Throws when it does not take it. */
export async function commandHost(folder: string, command: HostCommand): Promise<boolean> {
  const host = findHost(folder);
  if (!host) return false;
  await sendCommand(host, command);
  return true;
}

/** Ends the host of a folder, in order if it can, within about 25 s: nobody writes there any more. */
export async function endHost(folder: string): Promise<void> {
  const host = findHost(folder);
  if (host) {
    await commandHost(folder, { command: 'stop' }).catch(() => {});
    for (const until = Date.now() + endLimitMs; findHost(folder) && Date.now() < until; ) await sleep(pollMs);
    await killHost(host);
  }
  await clearAfterHost(folder);
}

/** Ends whatever records the job on this machine. */
export async function endHosts(jobFolder: string): Promise<void> {
  await Promise.all(incarnationsIn(jobFolder).map((incarnation) => endHost(incarnationFolder(jobFolder, incarnation))));
}
