/** Ports for the inputs of recordings of one stack of its own, where others of this machine have theirs too. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Below those that stacks look for free ports among, and that systems give out by themselves. */
const lowestPort = 10_000;
/** For a hundred recordings. */
const portsOfStack = 400;
const stacks = 24;
const claimed: string[] = [];

/** The first and the last of a range that no other living process has. Held until this process ends. Throws when there is none. */
export function claimInputPorts(): [number, number] {
  for (let attempt = 0; attempt < stacks; attempt += 1) {
    const index = (process.pid + attempt) % stacks;
    if (!claim(join(tmpdir(), `tapedeck-input-ports-${index}`))) continue;
    const first = lowestPort + index * portsOfStack;
    return [first, first + portsOfStack - 1];
  }
  throw new Error(`All ${stacks} ranges of ports for inputs are in use by other stacks of this machine.`);
}

function claim(file: string): boolean {
  if (write(file)) return true;
  const owner = Number(readOwner(file));
  if (isAlive(owner)) return false;
  // Two who find it left behind may both remove it; one of them writes it.
  rmSync(file, { force: true });
  return write(file);
}

function write(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  if (claimed.length === 0) process.once('exit', release);
  claimed.push(file);
  return true;
}

function release(): void {
  for (const file of claimed) rmSync(file, { force: true });
}

function readOwner(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
