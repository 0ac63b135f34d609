/** Names one process for ever: pids are used again, the start time in a boot is not. */
import { readFileSync } from 'node:fs';
import type { HostIdentity } from '../../src/jobs/capture.js';

type Named = Pick<HostIdentity, 'pid' | 'startTicks' | 'bootId'>;

/** The identity of this process. */
export function ownIdentity(): Named {
  return { pid: process.pid, startTicks: startTicks(process.pid) as string, bootId: bootId() };
}

/** Whether exactly this process still runs; a zombie does not. */
export function isAlive(identity: Named): boolean {
  return identity.bootId === bootId() && startTicks(identity.pid) === identity.startTicks;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function startTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may hold anything; the third is the state.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
