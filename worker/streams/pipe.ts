/** A pipe between two programs that this process starts: what goes through it takes no time of ours. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Both are ours to close, once the programs have them: who reads sees the end only when nobody else can write. */
export interface Pipe {
  readEnd: number;
  writeEnd: number;
}

/** `folder`: on a disk of this machine; nothing is left there. Node itself only makes sockets, which no program can open anew. */
export async function openPipe(folder: string): Promise<Pipe> {
  const path = join(folder, `pipe-${randomUUID()}`);
  await promisify(execFile)('mkfifo', ['-m', '600', path]);
  try {
    // To open one end waits for the other, except for who opens both.
    const both = openSync(path, 'r+');
    const readEnd = openSync(path, 'r');
    const writeEnd = openSync(path, 'w');
    closeSync(both);
    return { readEnd, writeEnd };
  } finally {
    rmSync(path, { force: true });
  }
}
