/** Ending processes that may not be our children, and waiting for it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, type ProcessIdentity } from '../src/process-identity.js';

const pollMs = 50;

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
