/** GraphQL over HTTP and server-sent events; the WebSocket side borrows its plugins. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionResult } from 'graphql';
import { createYoga, isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import { schema } from '../../schema/index.js';
import type { Authenticator } from '../auth/authenticate.js';
import { credentialsFromHeaders } from '../auth/credentials.js';
import type { Viewer } from '../auth/viewer.js';
import type { Context } from '../context.js';
import type { Database } from '../db.js';
import type { Services } from '../services/services.js';
import type { Cohorts, SubscriptionArgs } from './cohorts.js';
import { requestError, unauthenticated } from './errors.js';
import { limits, useLimits } from './limits.js';
import { presentResult } from './results.js';
import type { StreamKeeper } from './stream-keeper.js';

/** What a transport knows of an operation. */
export type Transport =
  | { kind: 'http'; requestId: string; req: IncomingMessage; response: ServerResponse }
  | { kind: 'socket'; requestId: string; viewer: Viewer; ending: AbortController };

type HttpContext = Context & { token?: string; response?: ServerResponse };

export type GraphqlServer = ReturnType<typeof createGraphqlServer>;

export function createGraphqlServer(deps: {
  services: Services;
  database: Database;
  authenticator: Authenticator;
  streams: StreamKeeper;
  cohorts: Cohorts;
  log: Logger;
}) {
  const { services, database, authenticator, streams, cohorts, log } = deps;

  async function contextOf(transport: Transport): Promise<HttpContext> {
    const { requestId } = transport;
    const shared = { services, database, requestId };
    if (transport.kind === 'socket') return { ...shared, viewer: transport.viewer, ending: transport.ending };
    const ending = new AbortController();
    const credentials = credentialsFromHeaders((name) => transport.req.headers[name]);
    // Without credentials the schema can be read, and nothing else: every field asks for a viewer.
    if (credentials.kind === 'none') return { ...shared, viewer: null, ending };
    if (credentials.kind === 'malformed') throw requestError('UNAUTHENTICATED', credentials.message, 401);
    const viewer = await authenticator.authenticate(credentials.token);
    if (!viewer) throw unauthenticated();
    return { ...shared, viewer, ending, token: credentials.token, response: transport.response };
  }

  /** Server-sent streams end when their credentials do; a socket is closed as a whole. */
  const useStreamKeeper: Plugin<HttpContext> = {
    onSubscribe({ args, setResultAndStopExecution }) {
      const { token, viewer, ending, response } = args.contextValue as HttpContext;
      if (!token || !viewer || !response) return;
      const release = streams.keep(token, viewer, (reason) => ending.abort(reason));
      if (!release) {
        const message = 'These credentials have as many connections open as they may. Close some, or try again later.';
        setResultAndStopExecution({ errors: [requestError('LIMIT_EXCEEDED', message, 429)] });
        return;
      }
      // The response ends however the stream does: completed, failed before its first event, or left by its client.
      if (response.closed) release();
      else response.once('close', release);
    },
  };

  const useCohorts: Plugin = {
    onSubscribe: ({ setSubscribeFn }) => setSubscribeFn((args) => cohorts.subscribe(args as SubscriptionArgs)),
  };

  const usePresentation: Plugin<object, Transport> = {
    onResultProcess({ result, setResult, serverContext }) {
      const presenter = { requestId: serverContext.requestId, log };
      if (Array.isArray(result) || isAsyncIterable(result)) return;
      setResult(presentResult(result as ExecutionResult, presenter));
    },
  };

  return createYoga<Transport, HttpContext>({
    schema,
    context: contextOf,
    plugins: [useLimits(), useStreamKeeper, useCohorts, usePresentation],
    // Presented at the edges of both transports, with the request id: masking here would lose it.
    maskedErrors: false,
    maxRequestBodySize: limits.bodyBytes,
    multipart: false,
    batching: false,
    graphiql: false,
    landingPage: false,
    logging: {
      debug: (...words) => log.trace(words.join(' ')),
      info: (...words) => log.debug(words.join(' ')),
      warn: (...words) => log.warn(words.join(' ')),
      error: (...words) => log.debug(words.join(' ')),
    },
    cors: {
      origin: '*',
      credentials: false,
      methods: ['GET', 'POST', 'OPTIONS'],
      allowedHeaders: ['authorization', 'content-type', 'x-access-token', 'x-request-id'],
      exposedHeaders: ['x-request-id'],
      maxAge: 86_400,
    },
  });
}
