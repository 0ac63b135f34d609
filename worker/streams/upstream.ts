/** Asking servers for media and lists by HTTP, over connections that have passed the gate. */
import { type IncomingMessage, request as openRequest } from 'node:http';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Gate } from '../../src/net/gate.js';
import { plainHost, portOf } from '../../src/net/hosts.js';
import { connectSecurely } from '../../src/net/secure.js';
import type { Origin } from './front-names.js';
import { isPlaylist, ManifestRefusedError, mayBePlaylist } from './manifests.js';

/** A server that sends nothing for so long, in the middle of an answer, is gone; ffmpeg is then told so. */
const silentLimitMs = 10_000;
const fetchLimitMs = 10_000;
const mostRedirects = 5;
/** Larger lists are of many hours; a live one has some kilobytes. */
const longestListBytes = 4 * 1_048_576;

export type Headers = Record<string, string | string[]>;

/** Throws AddressRefusedError, UnreachableError, or what is wrong with the certificate. */
export async function connectUpstream(
  gate: Gate,
  { secure, host, port }: Origin,
  signal: AbortSignal,
): Promise<Socket> {
  const plain = await gate.connect(host, port, signal);
  const socket = secure ? await connectSecurely(plain, host) : plain;
  socket.setTimeout(silentLimitMs, () => socket.destroy(new Error(`nothing came for ${silentLimitMs / 1000} s`)));
  if (signal.aborted) socket.destroy();
  else signal.addEventListener('abort', () => socket.destroy(), { once: true });
  return socket;
}

/** One request on a connection of its own. */
export function ask(url: URL, socket: Socket, headers: Headers): Promise<IncomingMessage> {
  const { 'accept-encoding': _, ...rest } = headers;
  const outgoing = openRequest({
    createConnection: () => socket,
    path: `${url.pathname}${url.search}`,
    // The default port of the scheme is not written, as with everybody else.
    headers: { ...rest, host: url.host, connection: 'close' },
  });
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** As much of it as tells whether it is a playlist; `ended`: that is all. */
export function firstBytes(incoming: IncomingMessage): Promise<{ head: Buffer; ended: boolean }> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    const done = (ended: boolean) => {
      incoming.off('data', take).off('end', end).off('error', reject);
      incoming.pause();
      resolve({ head: Buffer.concat(chunks), ended });
    };
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      const head = Buffer.concat(chunks);
      // Media is told by its first byte: to wait for more of it would be a delay.
      if (isPlaylist(head) || !mayBePlaylist(head)) done(false);
    };
    const end = () => done(true);
    incoming.on('data', take).once('end', end).once('error', reject);
  });
}

export const isZipped = (headers: IncomingMessage['headers']): boolean => headers['content-encoding'] === 'gzip';

/** Throws ManifestRefusedError for what is too long for a list. */
export async function wholeText(incoming: IncomingMessage, head: Buffer, ended: boolean): Promise<string> {
  const chunks = [head];
  let size = head.length;
  if (!ended) {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > longestListBytes) throw new ManifestRefusedError(`a list of more than ${longestListBytes} bytes`);
    }
  }
  const whole = Buffer.concat(chunks);
  const isPacked = isZipped(incoming.headers);
  return (isPacked ? await promisify(gunzip)(whole, { maxOutputLength: longestListBytes }) : whole).toString('utf8');
}

/** Where a redirect leads. Throws ManifestRefusedError. */
export function redirectedTo(location: string, from: URL): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : null;
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new ManifestRefusedError(`a redirect to "${location.slice(0, 100)}", which is no http or https URL`);
}

export interface Fetched {
  text: string;
  /** Where it was found in the end. */
  url: URL;
  /** Time of the server that gave it, epoch milliseconds. */
  atMs: number;
}

/** Fetches a list over redirects, each of which passes the gate. `login`: plain, `user:password`, or empty. */
export async function fetchList(gate: Gate, url: URL, login: string): Promise<Fetched> {
  const gone = new AbortController();
  const limit = setTimeout(() => gone.abort(), fetchLimitMs);
  try {
    for (let target = url, hops = 0; hops <= mostRedirects; hops++) {
      const origin = { secure: target.protocol === 'https:', host: plainHost(target), port: portOf(target) };
      const basic = `Basic ${Buffer.from(login).toString('base64')}`;
      const headers: Headers = login && target.host === url.host ? { authorization: basic } : {};
      const incoming = await ask(target, await connectUpstream(gate, origin, gone.signal), headers);
      const { statusCode: status = 502, headers: said } = incoming;
      if (status >= 300 && status < 400 && said.location) {
        incoming.destroy();
        target = redirectedTo(said.location, target);
        continue;
      }
      if (status !== 200) {
        incoming.destroy();
        throw new Error(`it answered with status ${status}`);
      }
      const { head, ended } = await firstBytes(incoming);
      const text = await wholeText(incoming, head, ended);
      const date = Date.parse(said.date ?? '');
      return { text, url: target, atMs: Number.isFinite(date) ? date : Date.now() };
    }
    throw new Error('it redirects again and again');
  } finally {
    clearTimeout(limit);
  }
}
