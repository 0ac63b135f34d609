/** Keeps two stacks off one data folder. */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';

/** Another stack works on the data folder. */
export class DataFolderInUseError extends Error {
  override name = 'DataFolderInUseError';
}

/**
 * Claims a data folder until `release` is called or the process ends; throws DataFolderInUseError that names the holder.
 * An abstract socket is the lock: the kernel frees it when its holder dies, however it dies, so it is never stale. Whoever
 * connects to it is told who holds it.
 */
export async function claimDataFolder(dataDir: string): Promise<{ release(): Promise<void> }> {
  const address = `\0tapedeck-${createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 32)}`;
  const holder = `process ${process.pid}, since ${new Date().toISOString()}`;
  const server = createServer((socket) => socket.on('error', () => {}).end(holder));
  try {
    await listen(server, address);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const other = await text(connect(address)).catch(() => 'a process that has just ended');
    throw new DataFolderInUseError(
      `Another Tapedeck uses the data folder ${dataDir} (${other}). Stop it first, or set DATA_DIR to another folder.`,
    );
  }
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, resolve);
  });
}
