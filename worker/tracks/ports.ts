/** Finds UDP ports of this machine for a program that must be told its ports, and sees when it listens there. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

export const loopback = '127.0.0.1';
const attempts = 50;
// Long enough that a program which was told of them has opened them, or has failed.
const reservedMs = 30_000;
const reserved = new Map<number, number>();

/** A socket bound to a port that the system chooses. Throws when there is none. */
export async function bindUdp(address: string): Promise<Socket> {
  return bindPort(address, 0);
}

/**
 * The first of two neighbouring free ports of the loopback interface, even, as RTP and RTCP want them. Nothing holds them: another
 * program may be given them before the one that they are for opens them, which then fails. Throws when none were found.
 */
export async function findPortPair(): Promise<number> {
  const now = performance.now();
  for (const [port, untilMs] of reserved) if (untilMs < now) reserved.delete(port);
  for (let attempt = 0; attempt < attempts; attempt++) {
    const chosen = await bindPort(loopback, 0);
    const { port } = chosen.address();
    const even = port - (port % 2);
    const neighbour = await bindPort(loopback, port === even ? port + 1 : even).catch(() => null);
    chosen.close();
    if (!neighbour) continue;
    neighbour.close();
    if (reserved.has(even)) continue;
    reserved.set(even, now + reservedMs);
    return even;
  }
  throw new Error(`No two neighbouring UDP ports of ${loopback} were free in ${attempts} attempts.`);
}

/** Whether something listens on each of these UDP ports. */
export function areListening(ports: readonly number[]): boolean {
  const sockets = readFileSync('/proc/net/udp', 'latin1');
  return ports.every((port) => sockets.includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000`));
}

async function bindPort(address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: receiveBufferBytes });
  try {
    socket.bind(port, address);
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw error;
  }
  // Sending to a port that nobody has opened, or has closed, is no reason to end.
  socket.on('error', () => {});
  return socket;
}

// Half a second of a busy track, while this process has other things to do; the system gives what it allows.
const receiveBufferBytes = 1_048_576;
