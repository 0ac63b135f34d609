/** TLS over a connection that has passed the gate: the certificate is checked against the name that was asked for. */
import { isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';

const handshakeLimitMs = 10_000;

/** Throws an Error that says what was wrong; the connection is destroyed then. */
export async function connectSecurely(plain: Socket, host: string): Promise<TLSSocket> {
  const socket = connectTls({ socket: plain, ...(isIP(host) ? { host } : { servername: host }) });
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => socket.destroy(new Error('it took too long')), handshakeLimitMs);
    socket.once('close', () => clearTimeout(limit));
    socket.once('error', (error) => reject(new Error(`No secure connection came about: ${error.message}.`)));
    socket.once('secureConnect', () => {
      clearTimeout(limit);
      resolve(socket);
    });
  });
}
