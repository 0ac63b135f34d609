/** A receiver of callbacks, as a user of the service would run one: keeps what it gets, and misbehaves when told to. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Certificate } from './certificates.js';

/** A status; nothing at all; the beginning of an answer that never ends; or the way to somewhere else. */
export type Reply = number | 'hang' | 'endless' | { redirectTo: string };

export interface Callback {
  eventId: string;
  type: string;
  jobId: string;
  archiveId?: string;
  name?: string;
  seq: number;
  status: string;
  state: string;
  reason: string | null;
}

export interface Received {
  path: string;
  headers: Record<string, string>;
  body: string;
  callback: Callback;
}

export interface Receiver {
  url: string;
  /** Everything that came, in order. */
  received: Received[];
  /** The next requests are answered like this, all others as usual. */
  reply(...replies: Reply[]): void;
  /** What is usual from now on, instead of 200. */
  usually(reply: Reply): void;
  close(): Promise<void>;
}

/** Speaks TLS when it has a certificate. */
export async function startReceiver(certificate?: Certificate): Promise<Receiver> {
  const received: Received[] = [];
  const planned: Reply[] = [];
  let usual: Reply = 200;
  const listener = (request: IncomingMessage, response: ServerResponse) => void answer(request, response);
  const server = certificate ? createTlsServer(certificate, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const headers = request.headers as Record<string, string>;
    received.push({ path: request.url ?? '', headers, body, callback: JSON.parse(body) });
    const reply = planned.shift() ?? usual;
    if (reply === 'hang') return;
    if (reply === 'endless') {
      response.writeHead(200);
      response.write('I am still');
    } else if (typeof reply === 'object') response.writeHead(302, { location: reply.redirectTo }).end();
    else response.writeHead(reply).end(reply === 200 ? 'ok' : `this is ${reply}`);
  }

  return {
    url: `${certificate ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    reply: (...replies) => void planned.push(...replies),
    usually(reply) {
      usual = reply;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
