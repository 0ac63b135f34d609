/** CONNECT through the egress proxy: TLS and WebSockets, as two sockets whose bytes nobody looks at. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { answerTo, toBytes } from './answers.js';
import type { Gate } from './gate.js';
import { parseHostAndPort } from './hosts.js';
import { AddressRefusedError } from './refusal.js';

// A page's signalling socket may be silent for long, and cutting it would end its session; what is dead is found by keep-alive.
export const idleTimeoutMs = 3_600_000;
// When one side has ended, the other gets this long without a byte to finish.
const halfClosedTimeoutMs = 60_000;
const lastWordsTimeoutMs = 5_000;

interface Tunnel {
  gate: Gate;
  request: IncomingMessage;
  client: Socket;
  /** What the client sent already. */
  head: Buffer;
  onRefused: (text: string) => void;
}

export async function openTunnel({ gate, request, client, head, onRefused }: Tunnel): Promise<void> {
  const target = request.url ?? '';
  const gone = new AbortController();
  client.once('close', () => gone.abort());
  // Every error is followed by 'close', which is what is acted on.
  client.on('error', () => {});
  try {
    const { host, port } = parseHostAndPort(target);
    const server = await gate.connect(host, port, gone.signal);
    if (client.destroyed) return void server.destroy();
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    if (head.length > 0) server.write(head);
    join(client, server);
  } catch (error) {
    if (error instanceof AddressRefusedError) onRefused(`${target.slice(0, 200)} was refused: ${error.message}`);
    if (client.destroyed) return;
    client.setTimeout(lastWordsTimeoutMs, () => client.destroy());
    client.resume();
    client.end(toBytes(answerTo(error)));
  }
}

function join(client: Socket, server: Socket): void {
  link(client, server);
  link(server, client);
}

function link(from: Socket, to: Socket): void {
  from.on('error', () => {});
  from.setNoDelay(true);
  from.setTimeout(idleTimeoutMs, () => from.destroy());
  // `pipe` waits for a slow reader, and passes on the end of one direction while the other goes on.
  from.pipe(to);
  from.once('end', () => {
    from.setTimeout(halfClosedTimeoutMs);
    to.setTimeout(halfClosedTimeoutMs);
  });
  from.once('close', () => {
    to.setTimeout(halfClosedTimeoutMs);
    // Unless both directions came to their end, nobody is left to answer: what was received is passed on, then all is cut.
    if (!from.readableEnded || !to.readableEnded) to.destroySoon();
  });
}
