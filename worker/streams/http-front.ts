/**
 * What ffmpeg reads HLS, DASH and HTTP-FLV through: a proxy of this process on the loopback interface. Each request, those after
 * redirects and those for entries of playlists included, passes the gate; TLS is done here, and certificates are checked.
 */
import { createServer, type IncomingMessage, request as openRequest, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { answerTo, answerToMisuse } from '../../src/net/answers.js';
import { endToEnd, ownHeaders, send } from '../../src/net/forward.js';
import type { Gate } from '../../src/net/gate.js';
import { AddressRefusedError } from '../../src/net/refusal.js';
import { connectSecurely } from '../../src/net/secure.js';
import { originOf, throughFront } from './front-names.js';
import {
  longestManifestBytes,
  ManifestRefusedError,
  manifestKind,
  rewriteManifest,
  tellingBytes,
} from './manifests.js';

/** A server that sends nothing for so long, in the middle of an answer, is gone; ffmpeg is then told so. */
const silentLimitMs = 10_000;
/** ffmpeg opens one for each rendition. */
const mostConnections = 64;

export interface HttpFront {
  /** The address that ffmpeg is to use as its proxy. */
  proxy: string;
  /** What the last request that failed failed of, in words; null when none did. */
  problem(): string | null;
  /** Whether anything was refused by the gate. */
  hasRefused(): boolean;
  /** Status of the last answer that was no success. */
  badStatus(): number | null;
  close(): Promise<void>;
}

export interface HttpFrontOptions {
  gate: Gate;
  /** Told of everything that was refused: what, and why. */
  onRefused: (text: string) => void;
}

export async function startHttpFront({ gate, onRefused }: HttpFrontOptions): Promise<HttpFront> {
  let problem: string | null = null;
  let refused = false;
  let badStatus: number | null = null;

  function refuse(text: string): void {
    refused = true;
    problem = text;
    onRefused(text);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.canParse(request.url ?? '') ? new URL(request.url as string) : null;
    if (url?.protocol !== 'http:' || request.method !== 'GET') {
      if (url) refuse(`${url.href.slice(0, 200)} was refused: only http and https are read.`);
      return send(response, answerToMisuse('Ask for a complete http:// URL.'));
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    let shown = url.host;
    try {
      const origin = originOf(url);
      shown = `${origin.host}:${origin.port}`;
      const plain = await gate.connect(origin.host, origin.port, gone.signal);
      const socket = origin.secure ? await connectSecurely(plain, origin.host) : plain;
      if (response.destroyed) return void socket.destroy();
      socket.setTimeout(silentLimitMs, () => socket.destroy(new Error(`nothing came for ${silentLimitMs / 1000} s`)));
      response.once('close', () => socket.destroy());
      const real = new URL(
        `http${origin.secure ? 's' : ''}://${bracketed(origin.host)}:${origin.port}${url.pathname}${url.search}`,
      );
      const incoming = await ask(request, real, socket);
      await passOn(incoming, real, response);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof AddressRefusedError) refuse(`${shown} was refused: ${message}`);
      else if (error instanceof ManifestRefusedError) refuse(`An entry of ${shown} was refused: ${message}.`);
      else if (!gone.signal.aborted) problem = `${shown}: ${message}`;
      if (response.headersSent) response.destroy();
      else
        send(
          response,
          answerTo(error instanceof ManifestRefusedError ? new AddressRefusedError('scheme', message) : error),
        );
    }
  }

  /** Hands out the answer, with all that it names in the names of the front. */
  async function passOn(incoming: IncomingMessage, from: URL, response: ServerResponse): Promise<void> {
    const status = incoming.statusCode ?? 502;
    const headers = endToEnd(incoming);
    if (status >= 400) {
      badStatus = status;
      problem = `${from.host} answered with status ${status}.`;
    }
    if (headers.location) headers.location = [redirected(headers.location[0] ?? '', from)];
    // Of the name that ffmpeg knows nothing of.
    if (headers['set-cookie'])
      headers['set-cookie'] = headers['set-cookie'].map((cookie) => cookie.replace(/;\s*domain=[^;]*/i, ''));
    response.sendDate = false;
    const { head, ended } = await firstBytes(incoming);
    const plainHead = isZipped(headers) ? Buffer.from('<') : head;
    const kind = status < 300 ? manifestKind(plainHead) : null;
    if (kind === null) {
      response.writeHead(status, headers);
      response.write(head);
      if (ended) return void response.end();
      return void pipeline(incoming, response, () => {});
    }
    const whole = await rest(incoming, head, ended);
    const text = isZipped(headers) ? await promisify(gunzip)(whole, { maxOutputLength: longestManifestBytes }) : whole;
    const real = manifestKind(text.subarray(0, tellingBytes));
    const body = real === null ? text : Buffer.from(rewriteManifest(real, text.toString('utf8'), from));
    for (const name of ['content-range', 'content-encoding', 'content-md5', 'etag']) delete headers[name];
    response.writeHead(status === 206 ? 200 : status, { ...headers, 'content-length': `${body.length}` });
    response.end(body);
  }

  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0, noDelay: true });
  server.maxConnections = mostConnections;
  server.on('request', (request, response) => void answer(request, response));
  server.on('connect', (request, client: Socket) => {
    refuse(`${(request.url ?? '').slice(0, 200)} was refused: no tunnels are opened.`);
    client.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    proxy: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    problem: () => problem,
    hasRefused: () => refused,
    badStatus: () => badStatus,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function ask(request: IncomingMessage, url: URL, socket: Socket): Promise<IncomingMessage> {
  const { 'accept-encoding': _, ...headers } = ownHeaders(request, url);
  const outgoing = openRequest({
    createConnection: () => socket,
    path: `${url.pathname}${url.search}`,
    // The default port of the scheme is not written, as with everybody else.
    headers: { ...headers, host: url.host },
  });
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** Where a redirect leads, for ffmpeg; the gate is asked when it follows. Throws ManifestRefusedError. */
function redirected(location: string, from: URL): string {
  const target = URL.canParse(location, from.href) ? throughFront(new URL(location, from)) : null;
  if (target === null)
    throw new ManifestRefusedError(`a redirect to "${location.slice(0, 100)}", which is no http or https URL`);
  return target;
}

const isZipped = (headers: Record<string, string[]>): boolean => headers['content-encoding']?.[0] === 'gzip';

async function firstBytes(incoming: IncomingMessage): Promise<{ head: Buffer; ended: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const done = (ended: boolean) => {
      incoming.off('data', take).off('end', end).off('error', reject);
      incoming.pause();
      resolve({ head: Buffer.concat(chunks), ended });
    };
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      // Media says so at once: waiting for more of it would be a delay.
      if (size >= tellingBytes || manifestKind(Buffer.concat(chunks)) === null) done(false);
    };
    const end = () => done(true);
    incoming.on('data', take).once('end', end).once('error', reject);
  });
}

async function rest(incoming: IncomingMessage, head: Buffer, ended: boolean): Promise<Buffer> {
  const chunks = [head];
  let size = head.length;
  if (!ended) {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > longestManifestBytes)
        throw new ManifestRefusedError(`a playlist of more than ${longestManifestBytes} bytes`);
    }
  }
  return Buffer.concat(chunks);
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);
