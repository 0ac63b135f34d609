/** Who browsers, displays and sound servers run as: an unprivileged user when the worker is root. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { strangerEnvironment } from '../../src/config.js';
import { boundCommand } from './child.js';

export interface BrowserUser {
  uid: number;
  gid: number;
}

const run = promisify(execFile);

/** The user by name, or null when this process is not root and so cannot become anyone else. Throws when there is no such user. */
export async function findBrowserUser(name: string): Promise<BrowserUser | null> {
  if (process.getuid?.() !== 0) return null;
  try {
    const [uid, gid] = await Promise.all(
      ['-u', '-g'].map(async (option) => Number((await run('id', [option, name])).stdout)),
    );
    return { uid: uid as number, gid: gid as number };
  } catch {
    throw new Error(
      `There is no user "${name}" to run browsers as. Create it, or set BROWSER_USER to an unprivileged user.`,
    );
  }
}

/**
 * Whether Chromium's sandbox works for that user: it needs user, pid and network namespaces, which containers and
 * some distributions forbid, and asking the kernel is the only test that holds everywhere.
 */
export async function sandboxWorks(user: BrowserUser | null): Promise<boolean> {
  if (user ? user.uid === 0 : process.getuid?.() === 0) return false;
  const [command, ...args] = boundCommand(user, 'unshare', ['--user', '--pid', '--net', '--fork', 'true']) as [
    string,
    ...string[],
  ];
  return run(command, args, { env: strangerEnvironment(), timeout: 5_000 }).then(
    () => true,
    () => false,
  );
}
