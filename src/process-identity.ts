/** Names a process for ever: pids are used again, a pid with its start time in a boot is not. */
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks since boot. */
  startTicks: string;
  /** /proc/sys/kernel/random/boot_id */
  bootId: string;
}

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

/** Whether exactly this process still runs. */
export function isRunning({ pid, startTicks, bootId }: ProcessIdentity): boolean {
  const now = identify(pid);
  return now?.startTicks === startTicks && now.bootId === bootId;
}
