/** Processor time and memory of processes, read from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

// The kernel counts in hundredths of a second on every Linux that Node runs on.
const ticksPerSecond = 100;

interface Entry {
  pid: number;
  parent: number;
  ownTicks: number;
  /** Its own time, and that of the children it has waited for. */
  ticks: number;
}

/** The pids of these processes and all their descendants. */
export function processTree(roots: readonly number[]): number[] {
  return entriesBelow(roots).map(({ pid }) => pid);
}

/** Seconds of processor time spent so far by these processes, their descendants, and descendants that ended. */
export function processorSeconds(roots: readonly number[]): number {
  return entriesBelow(roots).reduce((sum, { ticks }) => sum + ticks, 0) / ticksPerSecond;
}

/** Seconds of processor time spent so far by this one process. Throws when it has ended. */
export function ownProcessorSeconds(pid: number): number {
  const entry = readEntry(pid);
  if (!entry) throw new Error(`Process ${pid} has ended.`);
  return entry.ownTicks / ticksPerSecond;
}

/** Memory that a process holds, bytes. Throws when it has ended. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  if (!kilobytes) throw new Error(`Process ${pid} has ended.`);
  return Number(kilobytes) * 1024;
}

/** Memory of these processes and all their descendants, bytes; what they share with others counts in proportion. */
export function proportionalBytes(roots: readonly number[]): number {
  return processTree(roots).reduce((sum, pid) => {
    const [, kilobytes = 0] = /^Pss:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/smaps_rollup`)) ?? [];
    return sum + Number(kilobytes) * 1024;
  }, 0);
}

/** Empty for a process that has ended meanwhile. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** Seconds of processor time spent so far by everything on this machine. */
export function machineSeconds(): number {
  return cpus().reduce((sum, { times }) => sum + (times.user + times.nice + times.sys + times.irq) / 1000, 0);
}

function entriesBelow(roots: readonly number[]): Entry[] {
  const entries = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readEntry(Number(name)))
    .filter((entry) => entry !== null);
  const children = new Map<number, Entry[]>();
  for (const entry of entries) children.set(entry.parent, [...(children.get(entry.parent) ?? []), entry]);
  const found: Entry[] = [];
  const waiting = entries.filter(({ pid }) => roots.includes(pid));
  for (let entry = waiting.pop(); entry; entry = waiting.pop()) {
    found.push(entry);
    waiting.push(...(children.get(entry.pid) ?? []));
  }
  return found;
}

function readEntry(pid: number): Entry | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The name before may hold spaces and brackets. What follows begins with field 3, the state.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  const ownTicks = field(14) + field(15);
  return { pid, parent: field(4), ownTicks, ticks: ownTicks + field(16) + field(17) };
}
