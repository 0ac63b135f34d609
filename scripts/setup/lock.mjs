/** Lets one set-up of a checkout work at a time. */
import { createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';

/**
 * Runs `work` while no other process holds the lock `name`; waits for one that does.
 * An abstract socket is the lock: the kernel frees it when its holder dies, however it dies, so it is never stale.
 */
export async function withLock(name, work, onWait) {
  const address = `\0tapedeck-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
  let server = await listen(address);
  while (!server) {
    onWait();
    await untilReleased(address);
    server = await listen(address);
  }
  const waiting = new Set();
  server.on('connection', (socket) => {
    waiting.add(socket.on('error', () => {}));
  });
  try {
    return await work();
  } finally {
    server.close();
    for (const socket of waiting) socket.destroy();
  }
}

/** Undefined when somebody else holds it. */
function listen(address) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    server.listen(address, () => resolve(server));
  });
}

/** The holder closes all connections when it is done, or the kernel does when it dies. */
function untilReleased(address) {
  return new Promise((resolve) => {
    connect(address)
      .on('error', () => {})
      .on('close', () => setTimeout(resolve, 50))
      .resume();
  });
}
