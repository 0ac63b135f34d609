/**
 * What ffmpeg reads RTSP and RTMPS through: a port of the loopback interface that leads, by way of the gate, to the one server that
 * was asked for, over TLS where that is wanted. An answer that sends ffmpeg elsewhere is not passed on.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Gate } from '../../src/net/gate.js';
import { AddressRefusedError } from '../../src/net/refusal.js';
import { connectSecurely } from '../../src/net/secure.js';
import { passOnCalmly } from './calm.js';
import { createRtspReader } from './rtsp-messages.js';

/** A server that sends nothing for so long is gone, as is one that takes nothing. */
const silentLimitMs = 10_000;

export interface StreamRelay {
  /** On 127.0.0.1. */
  port: number;
  /** What went wrong last, in words; null when nothing did. */
  problem(): string | null;
  close(): Promise<void>;
}

export interface RelayOptions {
  gate: Gate;
  target: { host: string; port: number; secure: boolean };
  /** Told of what was refused: what, and why. */
  onRefused: (text: string) => void;
  /** Whether answers are those of RTSP, and may be redirects. */
  isRtsp: boolean;
}

export async function startStreamRelay({ gate, target, onRefused, isRtsp }: RelayOptions): Promise<StreamRelay> {
  const sockets = new Set<Socket>();
  let problem: string | null = null;
  const shown = `${target.host}:${target.port}`;

  function tell(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const isRefused = error instanceof AddressRefusedError;
    problem = isRefused ? `${shown} was refused: ${message}` : `${shown}: ${message}`;
    if (isRefused) onRefused(problem);
  }

  function hold(socket: Socket, other: () => Socket | null): void {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      problem ??= `${shown}: ${error.message}`;
    });
    socket.once('close', () => {
      sockets.delete(socket);
      other()?.destroySoon();
    });
  }

  async function lead(client: Socket): Promise<void> {
    let server: Socket | null = null;
    hold(client, () => server);
    try {
      const plain = await gate.connect(target.host, target.port);
      server = target.secure ? await connectSecurely(plain, target.host) : plain;
    } catch (error) {
      tell(error);
      return void client.destroy();
    }
    if (client.destroyed) return void server.destroy();
    hold(server, () => client);
    server.setTimeout(silentLimitMs, () => server?.destroy(new Error(`nothing came for ${silentLimitMs / 1000} s`)));
    client.pipe(server);
    if (isRtsp) passWithoutRedirects(server, client);
    else passOnCalmly(server, client);
  }

  function passWithoutRedirects(server: Socket, client: Socket): void {
    const read = createRtspReader();
    const look = (bytes: Buffer) => {
      try {
        const { messages, media } = read(bytes);
        for (const { firstLine, headers, bytes: whole } of messages) {
          if (/^RTSP\/1\.0 3\d\d/.test(firstLine)) {
            const where = (headers.get('location') ?? 'nowhere').slice(0, 200);
            throw new AddressRefusedError(
              'address',
              `it answered that the source is at "${where}". Give that address.`,
            );
          }
          client.write(whole);
        }
        if (!media) return;
        // Redirects come before media only.
        server.off('data', look);
        client.write(media);
        passOnCalmly(server, client);
      } catch (error) {
        tell(error);
        server.destroy();
        client.destroy();
      }
    };
    server.on('data', look);
  }

  const listener = createServer((client) => void lead(client));
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (listener.address() as AddressInfo).port,
    problem: () => problem,
    async close() {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
