/** Removes temporary folders of recorder hosts that died and that nobody cleaned up after. */
import { readdir, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostSocketName, pidsNaming, removeScratch, scratchPrefix } from './scratch.js';

/** A host that is just starting has its folder before it listens. */
const youngMs = 600_000;

/**
 * Of the folders of this user, those that are provably nobody's: no process names them, and no host listens there. Hosts of
 * other data directories on the same machine are left alone, also hung ones. Answers how many were removed.
 */
export async function removeDeadScratch(): Promise<number> {
  let removed = 0;
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(scratchPrefix)) continue;
    const folder = join(tmpdir(), name);
    const found = await stat(folder).catch(() => null);
    if (!found?.isDirectory() || found.uid !== process.getuid?.() || Date.now() - found.mtimeMs < youngMs) continue;
    if (pidsNaming(folder).length > 0 || (await mayListen(join(folder, hostSocketName)))) continue;
    await removeScratch(folder);
    removed += 1;
  }
  return removed;
}

/** The kernel answers for a process that hangs; only where nobody listens any more is a connection refused. */
function mayListen(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}
