/** A pipe between two programs that this process starts: what goes through it takes no time of ours. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What a second brings is less. */
const readBytes = 16_384;

/** Both are ours to close, once the programs have them: who reads sees the end only when nobody else can write. */
export interface Pipe {
  readEnd: number;
  writeEnd: number;
}

/**
 * `folder`: on a disk of this machine; nothing is left there. Node itself only makes sockets, which no program can open anew.
 * `isPolled`: who reads asks what is there, with `readNow`, instead of waiting for it.
 */
export async function openPipe(folder: string, { isPolled = false } = {}): Promise<Pipe> {
  const path = join(folder, `pipe-${randomUUID()}`);
  await promisify(execFile)('mkfifo', ['-m', '600', path]);
  try {
    // To open one end waits for the other, except for who opens both.
    const both = openSync(path, 'r+');
    const readEnd = openSync(path, isPolled ? constants.O_RDONLY | constants.O_NONBLOCK : 'r');
    const writeEnd = openSync(path, 'w');
    closeSync(both);
    return { readEnd, writeEnd };
  } finally {
    rmSync(path, { force: true });
  }
}

/** Answers what has come since the last time: to be woken each time something comes costs more than to read it. */
export function readNow(readEnd: number): string {
  const bytes = Buffer.allocUnsafe(readBytes);
  let text = '';
  try {
    for (;;) {
      const count = readSync(readEnd, bytes);
      if (count === 0) return text;
      text += bytes.toString('latin1', 0, count);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return text;
    throw error;
  }
}
