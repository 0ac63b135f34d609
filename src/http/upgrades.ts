/** Which WebSocket server an upgrade is for: several share one port, told apart by their paths. */
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';

export interface Upgrades {
  /** From now on upgrades of this path are the server's, which must have been made with `noServer`. */
  serve(path: string, sockets: WebSocketServer): void;
}

export function createUpgrades(server: Server): Upgrades {
  const servers = new Map<string, WebSocketServer>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const path = (request.url ?? '/').split('?', 1)[0] as string;
    const sockets = servers.get(path);
    if (sockets) sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
    else refuse(socket, 400);
  });
  return { serve: (path, sockets) => void servers.set(path, sockets) };
}

function refuse(socket: Duplex, status: number): void {
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
