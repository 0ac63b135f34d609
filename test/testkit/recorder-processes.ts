/** The processes that record a job of the shared stack: to be killed one by one, and looked for when it is over. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type HostIdentity, hostFiles } from '../../src/jobs/capture.js';
import { identify, isRunning, type ProcessIdentity } from '../../src/process-identity.js';

export interface RecorderProcesses {
  /** Pid of the newest host, if it runs. */
  host(): number | undefined;
  /** Pids of what the newest host has started, and what that has, whose program has this name. */
  children(program: string): number[];
  /** Names of what is left of all hosts of the job: processes that were seen once, and those that work in its folder. */
  leftovers(): string[];
}

export function recorderProcesses(dataDir: string, jobId: string): RecorderProcesses {
  const folder = join(dataDir, 'jobs', jobId);
  const seen = new Map<string, ProcessIdentity>();

  function host(): number | undefined {
    const incarnations = entriesOf(folder)
      .flatMap((name) => /^i(\d+)$/.exec(name)?.[1] ?? [])
      .map(Number);
    for (const incarnation of incarnations.sort((a, b) => b - a)) {
      const text = read(join(folder, `i${incarnation}`, hostFiles.identity));
      if (text === '') continue;
      const identity = JSON.parse(text) as HostIdentity;
      return isRunning(identity) ? identity.pid : undefined;
    }
    return undefined;
  }

  return {
    host,
    children(program) {
      const root = host();
      if (root === undefined) return [];
      const all = processes();
      const family = new Set([root]);
      // Whoever was started later may have a lower number.
      for (let before = 0; before < family.size; ) {
        before = family.size;
        for (const { pid, parent } of all) if (family.has(parent)) family.add(pid);
      }
      for (const pid of family) {
        const identity = identify(pid);
        if (identity) seen.set(`${pid} ${identity.startTicks}`, identity);
      }
      return all.filter(({ pid, name }) => name === program && family.has(pid)).map(({ pid }) => pid);
    },
    leftovers() {
      const there = new Set([...seen.values()].filter(isRunning).map(({ pid }) => pid));
      return processes()
        .filter(({ pid, place }) => there.has(pid) || place.startsWith(folder))
        .map(({ pid, name }) => `${name} ${pid}`);
    },
  };
}

function processes(): { pid: number; parent: number; name: string; place: string }[] {
  return entriesOf('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const stat = read(`/proc/${pid}/stat`);
      if (stat === '') return [];
      const end = stat.lastIndexOf(')');
      const [state, parent] = stat.slice(end + 2).split(' ');
      // One that has ended, and whom nobody has asked how.
      if (state === 'Z') return [];
      // The system shortens names to 15 characters.
      const [command = ''] = read(`/proc/${pid}/cmdline`).split('\0');
      const name = command.split('/').at(-1) ?? '';
      return [{ pid: Number(pid), parent: Number(parent), name, place: placeOf(pid) }];
    });
}

function placeOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
