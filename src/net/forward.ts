/** Plain HTTP through the egress proxy: one request, one connection of its own that passed the gate, one answer. */
import { type IncomingMessage, request as openRequest, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { answerTo, answerToMisuse, type ProxyAnswer } from './answers.js';
import type { Gate } from './gate.js';
import { plainHost, portOf } from './hosts.js';
import { AddressRefusedError } from './refusal.js';
import { idleTimeoutMs } from './tunnel.js';

// They speak of one connection, not of the message (RFC 9110, 7.6.1).
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

interface Exchange {
  gate: Gate;
  request: IncomingMessage;
  response: ServerResponse;
  onRefused: (text: string) => void;
}

export async function forwardRequest({ gate, request, response, onRefused }: Exchange): Promise<void> {
  const target = request.url ?? '';
  const url = URL.canParse(target) ? new URL(target) : undefined;
  if (url?.protocol !== 'http:') {
    return send(response, answerToMisuse('Ask for a complete http:// URL, or use CONNECT.'));
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const socket = await gate.connect(plainHost(url), portOf(url), gone.signal);
    if (response.destroyed) return void socket.destroy();
    socket.setTimeout(idleTimeoutMs, () => socket.destroy());
    response.once('close', () => socket.destroy());
    exchange(
      openRequest({
        createConnection: () => socket,
        method: request.method,
        path: pathOf(url),
        headers: ownHeaders(request, url),
      }),
      request,
      response,
    );
  } catch (error) {
    if (error instanceof AddressRefusedError) onRefused(`${url.host} was refused: ${error.message}`);
    send(response, answerTo(error));
  }
}

function exchange(outgoing: ReturnType<typeof openRequest>, request: IncomingMessage, response: ServerResponse): void {
  outgoing.once('response', (incoming) => {
    response.sendDate = false;
    response.writeHead(incoming.statusCode ?? 502, endToEnd(incoming));
    // An answer that breaks off upstream must break off here too: destroys both on either's failure.
    pipeline(incoming, response, () => {});
  });
  outgoing.on('error', (error) => {
    request.unpipe(outgoing);
    request.resume();
    if (!response.headersSent) send(response, answerTo(error));
  });
  request.pipe(outgoing);
}

/** Headers for the server: the client's own, and a body framed the way the client framed it. */
export function ownHeaders(request: IncomingMessage, url: URL): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { ...endToEnd(request), host: url.host, connection: 'close' };
  if (request.headers['transfer-encoding']) headers['transfer-encoding'] = 'chunked';
  // Without this Node would frame an empty body of methods that usually have one as chunked, which some servers refuse.
  else if (!headers['content-length'] && !['GET', 'HEAD'].includes(request.method ?? ''))
    headers['content-length'] = '0';
  return headers;
}

/** Headers that are meant for who asked, and not for the connection. */
export function endToEnd(message: IncomingMessage): Record<string, string[]> {
  const named = (message.headers.connection ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
  const dropped = (name: string) => hopByHop.has(name) || named.includes(name) || name.startsWith('x-tapedeck-');
  const kept = Object.entries(message.headersDistinct).filter(([name]) => !dropped(name));
  return Object.fromEntries(kept.map(([name, values]) => [name, values ?? []]));
}

function pathOf(url: URL): string {
  return `${url.pathname}${url.search}`;
}

/** Answers by itself, unless an answer was begun already. */
export function send(response: ServerResponse, { status, headers, body }: ProxyAnswer): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(status, headers).end(body);
}
