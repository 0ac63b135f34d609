/** What recorder hosts leave on a machine: watched while they live, looked for when they should be gone. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type HostIdentity, hostFiles } from '../src/jobs/capture.js';
import { markerFile } from '../src/storage/identity.js';
import { commandLine, processes, workingFolder } from './processes.js';

const lookMs = 200;
const xFolder = '/tmp';

export interface Traces {
  /** The host of the job's newest incarnation. Throws when it has none. */
  hostOf(jobId: string): HostIdentity & { folder: string };
  /** What is still there of all hosts seen so far, in words. */
  leftovers(): string[];
  /** A machine that is lost takes all it had with it: nothing of it is looked for. */
  forget(dataDir: string): void;
  close(): void;
  /** Removes the temporary folders of hosts that were killed with the whole service. To be called when nothing runs any more. */
  clear(): void;
}

/** Watches the job folders of these data directories. */
export function watchTraces(dataDirs: readonly string[]): Traces {
  const watched = new Set(dataDirs);
  /** Temporary folders of hosts, with the data directory each belongs to. */
  const scratches = new Map<string, string>();
  /** Displays by number, with the process that served each. */
  const displays = new Map<number, { pid: number; scratch: string }>();

  function look(): void {
    for (const dataDir of watched) {
      for (const host of hostsIn(dataDir)) scratches.set(dirname(host.socket), dataDir);
    }
    for (const [number, pid] of xLocks()) {
      const command = commandLine(pid);
      const scratch = [...scratches.keys()].find((folder) => command.includes(folder));
      if (scratch) displays.set(number, { pid, scratch });
    }
  }
  const looking = setInterval(look, lookMs);

  return {
    hostOf(jobId) {
      const hosts = [...watched].flatMap((dataDir) => hostsIn(dataDir, jobId));
      const newest = hosts.sort((a, b) => a.incarnation - b.incarnation).at(-1);
      if (!newest) throw new Error(`Nobody records job ${jobId}.`);
      return newest;
    },

    leftovers() {
      look();
      const places = [...scratches.keys(), ...[...watched].map((dataDir) => join(dataDir, 'jobs'))];
      const running = processes()
        .filter(({ pid, state }) => state !== 'Z' && pid !== process.pid)
        .filter(({ pid }) => {
          const [command, folder] = [commandLine(pid), workingFolder(pid)];
          return places.some((place) => command.includes(place) || folder.startsWith(place));
        })
        .map(({ pid, name }) => `process ${pid} (${name}) still runs: ${commandLine(pid).slice(0, 120)}`);
      const folders = [...scratches.keys()]
        .filter((folder) => existsSync(folder))
        .map((folder) => `the temporary folder ${folder} is still there`);
      const locks = xLocks();
      const sockets = [...displays].flatMap(([number, { pid }]) => {
        const lockedBy = locks.get(number);
        if (lockedBy === pid) return [`the lock of display :${number} is still there`];
        // Another server has taken the number since.
        if (lockedBy !== undefined) return [];
        return existsSync(join(xFolder, '.X11-unix', `X${number}`))
          ? [`the socket of display :${number} is still there`]
          : [];
      });
      const drafts = [...watched].flatMap((dataDir) => [
        ...namesBelow(join(dataDir, 'files'))
          .filter((path) => basename(path).startsWith('.') && basename(path) !== markerFile)
          .map((path) => `the draft ${path} is still in the storage`),
        ...namesBelow(join(dataDir, 'jobs'))
          .filter((path) => /(^|\/)finalizing-|\.new$/.test(path))
          .map((path) => `the work of finalizing ${path} is still there`),
      ]);
      return [...running, ...folders, ...sockets, ...drafts];
    },

    forget(dataDir) {
      look();
      watched.delete(dataDir);
      for (const [scratch, owner] of scratches) if (owner === dataDir) scratches.delete(scratch);
      for (const [number, { scratch }] of displays) if (!scratches.has(scratch)) displays.delete(number);
    },

    close() {
      look();
      clearInterval(looking);
    },
    clear() {
      for (const folder of scratches.keys()) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function hostsIn(dataDir: string, onlyJob?: string): (HostIdentity & { folder: string; incarnation: number })[] {
  const jobs = join(dataDir, 'jobs');
  return (onlyJob ? [onlyJob] : namesIn(jobs)).flatMap((jobId) =>
    namesIn(join(jobs, jobId)).flatMap((name) => {
      const incarnation = Number(/^i(\d+)$/.exec(name)?.[1]);
      const folder = join(jobs, jobId, name);
      try {
        const identity = JSON.parse(readFileSync(join(folder, hostFiles.identity), 'utf8')) as HostIdentity;
        return incarnation > 0 ? [{ ...identity, folder, incarnation }] : [];
      } catch {
        return [];
      }
    }),
  );
}

/** Displays that are locked, with the process that each lock names. */
function xLocks(): Map<number, number> {
  const locks = new Map<number, number>();
  for (const name of namesIn(xFolder)) {
    const number = /^\.X(\d+)-lock$/.exec(name)?.[1];
    if (number === undefined) continue;
    try {
      locks.set(Number(number), Number(readFileSync(join(xFolder, name), 'utf8').trim()));
    } catch {
      // Gone since.
    }
  }
  return locks;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function namesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
}
