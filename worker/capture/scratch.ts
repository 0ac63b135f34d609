/** The temporary folder of one recorder host: what strangers' processes write, and the command socket. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrowserUser } from './browser-user.js';

export const scratchPrefix = 'tapedeck-host-';
export const hostSocketName = 'host.sock';
const removeAttempts = 20;
const removePauseMs = 100;

export interface Scratch {
  /** Others may pass through it, not list it: the browser's user must reach its own folders below. */
  folder: string;
  /** Home of the encoder, so that the sound client leaves nothing in the worker's own. */
  encoderHome: string;
  socket: string;
  /**
   * A new folder that only the browser's user (null: this one) may enter and write, with files in it (contents by relative path).
   * Given away when complete: a worker that is root must not write where strangers could have laid a link.
   */
  giveFolder(user: BrowserUser | null, name: string, files?: Record<string, string | Buffer>): string;
  /** Throws when something still writes there after 2 s. */
  remove(): Promise<void>;
}

/** Makes the folder below the system's temporary one: the project itself may lie where the browser's user cannot go. */
export function createScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), scratchPrefix));
  chmodSync(folder, 0o711);
  const encoderHome = join(folder, 'encoder');
  mkdirSync(encoderHome, { mode: 0o700 });
  let given = 0;
  return {
    folder,
    encoderHome,
    socket: join(folder, hostSocketName),
    giveFolder(user, name, files = {}) {
      given += 1;
      const path = join(folder, `${name}-${given}`);
      mkdirSync(path, { mode: 0o700 });
      const owned = [path];
      for (const [file, contents] of Object.entries(files)) {
        for (let parent = dirname(join(path, file)); !owned.includes(parent); parent = dirname(parent))
          owned.push(parent);
        mkdirSync(dirname(join(path, file)), { recursive: true, mode: 0o700 });
        writeFileSync(join(path, file), contents, { mode: 0o600 });
        owned.push(join(path, file));
      }
      // The outermost last: until then nobody else can come in.
      if (user) for (const item of owned.reverse()) chownSync(item, user.uid, user.gid);
      return path;
    },
    remove: () => removeScratch(folder),
  };
}

/** Removes the temporary folder that holds this socket: what a host leaves behind when it is killed. Does nothing when it is gone. */
export async function removeScratchOf(socket: string): Promise<void> {
  const folder = dirname(socket);
  if (!basename(folder).startsWith(scratchPrefix)) return;
  // Chromium's services outlive a killed browser by a moment, and would make their folders again.
  for (let attempt = 1; attempt < removeAttempts && pidsNaming(folder).length > 0; attempt += 1)
    await sleep(removePauseMs);
  // Those that were stopped do not notice that their browser is gone.
  for (const pid of pidsNaming(folder)) sendKill(pid);
  await removeScratch(folder);
}

/** The processes that have the folder in their command line: what the host of this folder started. */
export function pidsNaming(folder: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(folder);
    } catch {
      return false;
    }
  });
}

function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone by itself.
  }
}

/** A browser that is just being killed may still write, so a folder found empty is not empty a moment later. */
export async function removeScratch(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await rm(folder, { recursive: true, force: true });
    } catch (error) {
      if (attempt === removeAttempts) throw error;
      await sleep(removePauseMs);
    }
  }
}
