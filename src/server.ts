/** The HTTP server: GraphQL on every transport, downloads, health, and a few pages. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Authenticator } from './auth/authenticate.js';
import type { Config } from './config.js';
import type { Database } from './db.js';
import type { EventBus } from './events/bus.js';
import { createCohorts } from './http/cohorts.js';
import { createGraphiqlPage, wantsGraphiql } from './http/graphiql.js';
import { createFilePage, serveStartPage } from './http/pages.js';
import { createPlayHandler } from './http/play.js';
import type { Readiness } from './http/readiness.js';
import { type SignallingParts, serveSignalling } from './http/rtc.js';
import { serveSockets } from './http/sockets.js';
import type { StreamKeeper } from './http/stream-keeper.js';
import { createUpgrades } from './http/upgrades.js';
import { createWebPages } from './http/web-pages.js';
import { createGraphqlServer } from './http/yoga.js';
import type { Services } from './services/services.js';
import { createDownloadHandler } from './storage/downloads.js';

/** How long requests under way may take to end when the server closes. */
const closingPatienceMs = 3_000;

export interface ApiServer {
  /** The port it listens on: another than the configured one when that is 0. */
  port: number;
  /** Ends streams and sockets, lets requests under way finish, then stops listening. */
  close(): Promise<void>;
}

/** Resolves when it listens. Rejects when the port is taken. */
export async function startServer(deps: {
  config: Config;
  database: Database;
  services: Services;
  authenticator: Authenticator;
  /** Closed with the server. */
  streams: StreamKeeper;
  bus: EventBus;
  signalling: SignallingParts;
  readiness: () => Promise<Readiness>;
  log: Logger;
}): Promise<ApiServer> {
  const { config, services, database, authenticator, streams, bus, readiness, log } = deps;
  const cohorts = createCohorts({ bus, log });
  const graphql = createGraphqlServer({ services, database, authenticator, streams, cohorts, log });
  const graphiql = createGraphiqlPage(config.publicUrl);
  const demo = createFilePage(join(config.projectRoot, 'web', 'demo.html'));
  const webPages = createWebPages(config.projectRoot);
  const play = createPlayHandler({ playback: services.playback, files: services.files });
  const downloads = createDownloadHandler({
    files: services.files,
    authenticator,
    onError: (error) => log.error({ err: error }, 'a download failed'),
  });

  async function route(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] as string;
    if (path === graphql.graphqlEndpoint) {
      if (wantsGraphiql(request)) await graphiql(request, response);
      else await graphql(request, response, { kind: 'http', requestId, req: request, response });
    } else if (path.startsWith('/files/')) await downloads(request, response);
    else if (path.startsWith('/play/')) await play(path, request, response);
    else if (request.method !== 'GET' && request.method !== 'HEAD')
      sendJson(request, response, 405, { status: 'method not allowed' });
    else if (path === '/health') sendJson(request, response, 200, { status: 'ok' });
    else if (path === '/ready') {
      const state = await readiness();
      sendJson(request, response, state.status === 'not ready' ? 503 : 200, state);
    } else if (path === '/demo') await demo(request, response);
    else if (path === '/') await serveStartPage(request, response);
    else if (!(await webPages(path, request, response))) sendJson(request, response, 404, { status: 'not found' });
  }

  const server = createServer((request, response) => {
    const requestId = requestIdOf(request);
    response.setHeader('X-Request-Id', requestId);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    route(request, response, requestId).catch((error: unknown) => {
      log.error(
        { err: error, requestId, path: request.url?.split('?', 1)[0]?.slice(0, 200) },
        'a request failed unexpectedly',
      );
      if (response.headersSent) response.destroy();
      else sendJson(request, response, 500, { status: 'unexpected error', requestId });
    });
  });
  const upgrades = createUpgrades(server);
  const sockets = serveSockets({ upgrades, graphql, authenticator, streams, log });
  const signalling = serveSignalling({ ...deps.signalling, upgrades, bus, log });
  await listen(server, config);

  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      streams.close();
      const closed = once(server, 'close');
      server.close();
      await Promise.all([sockets.dispose(), signalling.close()]);
      // Connections that fall idle only now, at the end of a stream, would be kept open for the client's next request.
      const sweep = setInterval(() => server.closeIdleConnections(), 50);
      const impatience = setTimeout(() => server.closeAllConnections(), closingPatienceMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(impatience);
      await graphql.dispose();
    },
  };
}

async function listen(server: Server, { host, port }: Config): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

/** The caller's own id when it is a plain one, so that its logs and ours can be matched. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
}

function sendJson(request: IncomingMessage, response: ServerResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`;
  response.setHeader('Cache-Control', 'no-store');
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
