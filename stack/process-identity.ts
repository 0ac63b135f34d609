/** Names a process for ever: pids are used again, a pid with its start time is not. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks since boot. */
  startTicks: string;
  bootId: string;
}

const pollMs = 50;

/** Undefined when no such process runs. A process that has ended but is not yet collected by its parent runs no more. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets, which may hold anything, brackets too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return { pid, startTicks: fields[19] as string, bootId };
  } catch {
    return undefined;
  }
}

export function isRunning({ pid, startTicks, bootId }: ProcessIdentity): boolean {
  const now = identify(pid);
  return now?.startTicks === startTicks && now.bootId === bootId;
}

/** Whether the process was gone within the limit. */
export async function untilGone(identity: ProcessIdentity, limitMs: number): Promise<boolean> {
  for (const endsAt = Date.now() + limitMs; Date.now() < endsAt; await sleep(pollMs)) {
    if (!isRunning(identity)) return true;
  }
  return !isRunning(identity);
}

/** Sends the signals one after the other, each with its own patience, until the process is gone. */
export async function endProcess(
  identity: ProcessIdentity,
  steps: { signal: NodeJS.Signals; limitMs: number }[],
): Promise<boolean> {
  for (const { signal, limitMs } of steps) {
    if (!isRunning(identity)) return true;
    sendSignal(identity.pid, signal);
    if (await untilGone(identity, limitMs)) return true;
  }
  return !isRunning(identity);
}

/** A process that has just ended is no error. A negative pid means the whole process group. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
