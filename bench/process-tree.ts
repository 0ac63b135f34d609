/** Processor time of a process and everything it started, read from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

// The kernel counts in hundredths of a second on every Linux that Node runs on.
const ticksPerSecond = 100;

interface Entry {
  pid: number;
  parent: number;
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
  return { pid, parent: field(4), ticks: field(14) + field(15) + field(16) + field(17) };
}
