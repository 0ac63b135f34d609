/** The proxy that a recorder's browser uses for everything, so that a page reaches only what the gate lets pass. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { EgressPolicy } from '../jobs/capture.js';
import { forwardRequest } from './forward.js';
import { createGate, type Lookup } from './gate.js';
import { openTunnel } from './tunnel.js';

// A browser opens at most 32 connections to a proxy, and 32 more for WebSockets; the rest is for what the page itself may start.
const maxConnections = 256;

export interface EgressProxy {
  /** Port on 127.0.0.1. */
  port: number;
  /** Cuts every connection and frees the port. */
  close(): Promise<void>;
}

export interface EgressProxyOptions {
  policy: EgressPolicy;
  /** Told of every connection that was refused: which, and why. */
  onRefused: (text: string) => void;
  /** Name resolution; the system's own unless given. */
  lookup?: Lookup;
}

/**
 * Starts an HTTP forward proxy on a free port of 127.0.0.1: absolute-form requests, and CONNECT for TLS and WebSockets.
 * What the gate refuses is answered 403 with the reason in `x-tapedeck-refused`; what cannot be reached 502 with `x-tapedeck-unreachable`.
 */
export async function startEgressProxy({ policy, onRefused, lookup }: EgressProxyOptions): Promise<EgressProxy> {
  const clients = new Set<Socket>();
  const server = createServer({ keepAliveTimeout: 60_000, headersTimeout: 30_000, requestTimeout: 0, noDelay: true });
  server.maxConnections = maxConnections;
  server.on('connection', (client) => {
    clients.add(client);
    client.once('close', () => clients.delete(client));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  // A page that asks the proxy for the proxy would only run in circles.
  const gate = createGate({ policy: { ...policy, deniedPorts: [...policy.deniedPorts, port] }, lookup });
  server.on('request', (request, response) => void forwardRequest({ gate, request, response, onRefused }));
  server.on('connect', (request, client: Socket, head) => void openTunnel({ gate, request, client, head, onRefused }));

  return {
    port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}
