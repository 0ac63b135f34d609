/**
 * What ffmpeg reads HLS, DASH and HTTP-FLV through: a proxy of this process on the loopback interface. Each request, those after
 * redirects and those for entries of playlists included, passes the gate; TLS is done here, and certificates are checked.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { answerTo, answerToMisuse } from '../../src/net/answers.js';
import { endToEnd, ownHeaders, send } from '../../src/net/forward.js';
import type { Gate } from '../../src/net/gate.js';
import { AddressRefusedError } from '../../src/net/refusal.js';
import { createDashLists, dashHost } from './dash.js';
import { originOf, throughFront } from './front-names.js';
import { isPlaylist, ManifestRefusedError, rewritePlaylist } from './manifests.js';
import { ask, connectUpstream, fetchList, firstBytes, isZipped, redirectedTo, wholeText } from './upstream.js';

/** ffmpeg opens one for each rendition. */
const mostConnections = 64;

export interface HttpFront {
  /** The address that ffmpeg is to use as its proxy. */
  proxy: string;
  /** What the last request that failed failed of, in words; null when none did. */
  problem(): string | null;
  /** What the gate refused last, and why; null when it did not. */
  refusal(): string | null;
  /** The newest playlist says that nothing will follow. */
  hasEnded(): boolean;
  close(): Promise<void>;
}

export interface HttpFrontOptions {
  gate: Gate;
  /** Told of everything that was refused: what, and why. */
  onRefused: (text: string) => void;
  /** A description of DASH that is to be read as HLS, at `dashList`. `login`: who we are, plain, and as it is `written` in a URL. */
  dash?: { url: URL; login: string; written: string };
}

export async function startHttpFront({ gate, onRefused, dash }: HttpFrontOptions): Promise<HttpFront> {
  const lists = dash && createDashLists(() => fetchList(gate, dash.url, dash.login), dash.written);
  let problem: string | null = null;
  let refusal: string | null = null;
  let hasEnded = false;

  function sendList(response: ServerResponse, text: string): void {
    hasEnded = /^#EXT-X-ENDLIST\s*$/m.test(text);
    sendText(response, text);
  }

  function refuse(text: string): void {
    refusal = text;
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
      if (dash && lists && url.hostname === dashHost) {
        shown = dash.url.host;
        const list = await lists(url.pathname);
        return list === null ? send(response, answerToMisuse('There is no such list.')) : sendList(response, list);
      }
      const origin = originOf(url);
      shown = `${origin.host}:${origin.port}`;
      const socket = await connectUpstream(gate, origin, gone.signal);
      const place = `${origin.host.includes(':') ? `[${origin.host}]` : origin.host}:${origin.port}`;
      const real = new URL(`http${origin.secure ? 's' : ''}://${place}${url.pathname}${url.search}`);
      await passOn(await ask(real, socket, ownHeaders(request, real)), real, response);
    } catch (error) {
      fail(error, shown, gone.signal.aborted);
      const told = error instanceof ManifestRefusedError ? new AddressRefusedError('scheme', error.message) : error;
      if (response.headersSent) response.destroy();
      else send(response, answerTo(told));
    }
  }

  function fail(error: unknown, shown: string, isGone: boolean): void {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof AddressRefusedError) refuse(`${shown} was refused: ${message}`);
    else if (error instanceof ManifestRefusedError) refuse(`An entry of ${shown} was refused: ${message}.`);
    else if (!isGone) problem = `${shown}: ${message}`;
  }

  /** Hands out the answer, with all that it names in the names of the front. */
  async function passOn(incoming: IncomingMessage, from: URL, response: ServerResponse): Promise<void> {
    const status = incoming.statusCode ?? 502;
    const headers = endToEnd(incoming);
    if (status >= 400) problem = `${from.host} answered with status ${status}.`;
    if (headers.location) headers.location = [throughFront(redirectedTo(headers.location[0] ?? '', from)) ?? ''];
    // They are of a name that ffmpeg knows nothing of.
    const cookies = headers['set-cookie'];
    if (cookies) headers['set-cookie'] = cookies.map((cookie) => cookie.replace(/;\s*domain=[^;]*/i, ''));
    response.sendDate = false;
    const { head, ended } = await firstBytes(incoming);
    // Media is never packed.
    if (status < 300 && (isPlaylist(head) || isZipped(incoming.headers))) {
      const text = await wholeText(incoming, head, ended);
      return sendList(response, isPlaylist(Buffer.from(text)) ? rewritePlaylist(text, from) : text);
    }
    response.writeHead(status, headers);
    response.write(head);
    if (ended) response.end();
    // An answer that breaks off upstream must break off here too: destroys both on either's failure.
    else pipeline(incoming, response, () => {});
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
    refusal: () => refusal,
    hasEnded: () => hasEnded,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function sendText(response: ServerResponse, text: string): void {
  const body = Buffer.from(text);
  const type = 'application/vnd.apple.mpegurl';
  response.writeHead(200, { 'content-type': type, 'content-length': `${body.length}`, 'cache-control': 'no-store' });
  response.end(body);
}
