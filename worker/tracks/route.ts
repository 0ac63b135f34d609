/** How the media server and we reach each other by UDP. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** Which address the media server has, and which one of this machine leads there. Throws when it has none. */
export async function routeTo(url: string): Promise<{ address: string; from: string }> {
  const { hostname } = new URL(url);
  const socket = createSocket('udp4');
  try {
    // Nothing is sent: the system only chooses the way.
    socket.connect(9, hostname.replace(/^\[|\]$/g, ''));
    await once(socket, 'connect');
    return { address: socket.address().address, from: socket.remoteAddress().address };
  } finally {
    socket.close();
  }
}
