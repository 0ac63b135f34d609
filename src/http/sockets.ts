/** GraphQL over WebSocket (graphql-transport-ws), on the path of the HTTP endpoint. */
import { randomUUID } from 'node:crypto';
import { type ExecutionArgs, type ExecutionResult, type GraphQLError, getOperationAST } from 'graphql';
import type { Disposable, SubscribePayload } from 'graphql-ws';
import { type Extra, useServer } from 'graphql-ws/use/ws';
import { isAsyncIterable } from 'graphql-yoga';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import type { Authenticator } from '../auth/authenticate.js';
import { credentialsFromConnectionParams, credentialsFromHeaders } from '../auth/credentials.js';
import type { Viewer } from '../auth/viewer.js';
import type { SubscriptionContext } from './cohorts.js';
import { presentError, requestError, unauthenticated } from './errors.js';
import { limits } from './limits.js';
import { presentResult, shown, withoutHttp } from './results.js';
import { type SocketSinks, socketSinks } from './socket-sink.js';
import type { StreamKeeper } from './stream-keeper.js';
import type { Upgrades } from './upgrades.js';
import type { GraphqlServer, Transport } from './yoga.js';

/** Close codes of the protocol, and one of the WebSocket registry. */
const closeCodes = { forbidden: 4403, idInUse: 4409, tryAgainLater: 1013, goingAway: 1001 } as const;

interface Session extends Extra, Record<PropertyKey, unknown> {
  viewer?: Viewer;
  release?: () => void;
  sinks?: SocketSinks;
  /**
   * Ids of operations that are not over here, though the client may have completed them. The library forgets an id at once, and
   * would take what is left of the old operation for a new one with the same id.
   */
  unsettled?: Set<string>;
}

/** What Yoga hands out per operation. */
interface Enveloped {
  schema: ExecutionArgs['schema'];
  parse(source: string): ExecutionArgs['document'];
  validate(schema: ExecutionArgs['schema'], document: ExecutionArgs['document']): readonly GraphQLError[];
  contextFactory(): Promise<SubscriptionContext>;
  execute(args: ExecutionArgs): Promise<ExecutionResult>;
  subscribe(args: ExecutionArgs): Promise<ExecutionResult | AsyncIterable<ExecutionResult>>;
}

interface Operation extends ExecutionArgs {
  contextValue: SubscriptionContext;
  rootValue: Enveloped;
  session: Session;
  id: string;
}

/** Serves sockets until `dispose`, which closes them as going away: clients connect again and resume. */
export function serveSockets(deps: {
  upgrades: Upgrades;
  graphql: GraphqlServer;
  authenticator: Authenticator;
  streams: StreamKeeper;
  log: Logger;
}): Disposable {
  const { upgrades, graphql, authenticator, streams, log } = deps;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.bodyBytes,
    // Each message in a turn of its own: what one of them ends is then over before the next is heard.
    allowSynchronousEvents: false,
  });
  upgrades.serve(graphql.graphqlEndpoint, sockets);

  /** Finds out who connects; false closes the socket as forbidden. */
  async function admit(session: Session, params: unknown): Promise<boolean> {
    const given = credentialsFromConnectionParams(params);
    const credentials = given.kind === 'none' ? credentialsFromHeaders((name) => session.request.headers[name]) : given;
    if (credentials.kind !== 'token') return false;
    let viewer: Viewer | null;
    try {
      viewer = await authenticator.authenticate(credentials.token);
    } catch (error) {
      log.error({ err: error }, 'a socket could not be authenticated');
      session.socket.close(closeCodes.tryAgainLater, 'Try again later');
      return false;
    }
    if (!viewer) return false;
    const release = streams.keep(credentials.token, viewer, (reason) => {
      const stopping = reason.name === 'AbortError';
      session.socket.close(
        stopping ? closeCodes.goingAway : closeCodes.forbidden,
        stopping ? 'Going away' : 'Forbidden',
      );
    });
    if (!release) {
      // Clients try again after this one; 4429, which reads better, is "Too many initialisation requests", and final to them.
      session.socket.close(closeCodes.tryAgainLater, 'Too many connections');
      return false;
    }
    session.viewer = viewer;
    session.release = release;
    // It may have gone while the database was asked.
    if (session.socket.readyState !== session.socket.OPEN) release();
    return true;
  }

  async function prepare(
    session: Session,
    id: string,
    payload: SubscribePayload,
    requestId: string,
  ): Promise<Operation | GraphQLError[]> {
    const ending = new AbortController();
    const transport: Transport = { kind: 'socket', requestId, viewer: session.viewer as Viewer, ending };
    const enveloped = graphql.getEnveloped({ ...transport, params: payload }) as unknown as Enveloped;
    const document = enveloped.parse(payload.query);
    const errors = enveloped.validate(enveloped.schema, document);
    if (errors.length > 0) return errors.map((error) => presentError(error, requestId, log));
    if (!getOperationAST(document, payload.operationName)) {
      const message = 'The document has several operations, or none of that name. Name one of its operations.';
      return [presentError(requestError('BAD_USER_INPUT', message), requestId, log)];
    }
    return {
      schema: enveloped.schema,
      document,
      operationName: payload.operationName,
      variableValues: payload.variables,
      contextValue: await enveloped.contextFactory(),
      rootValue: enveloped,
      ...{ session, id },
    };
  }

  return useServer<Record<string, unknown>, Session>(
    {
      connectionInitWaitTimeout: limits.connectionInitMs,
      onConnect: ({ extra, connectionParams }) => admit(extra, connectionParams),
      onClose: ({ extra }) => extra.release?.(),
      async onSubscribe({ extra }, id, payload) {
        const requestId = randomUUID();
        // Until the client answers the closing of a socket, what it still sends is heard.
        if (extra.socket.readyState !== extra.socket.OPEN) return [presentError(unauthenticated(), requestId, log)];
        extra.unsettled ??= new Set();
        const { unsettled } = extra;
        if (unsettled.has(id)) {
          extra.socket.close(closeCodes.idInUse, 'The operation with this id is not over yet');
          return [presentError(requestError('BAD_USER_INPUT', 'The id is in use.'), requestId, log)];
        }
        if (unsettled.size >= limits.operationsPerSocket) {
          const message = `At most ${limits.operationsPerSocket} operations at once are allowed on one connection.`;
          return [presentError(requestError('LIMIT_EXCEEDED', message), requestId, log)];
        }
        unsettled.add(id);
        const prepared = await prepare(extra, id, payload, requestId).catch((error) => [
          presentError(error, requestId, log),
        ]);
        if (Array.isArray(prepared)) unsettled.delete(id);
        return prepared;
      },
      async execute(args) {
        const { rootValue, contextValue, session, id } = args as Operation;
        try {
          return withoutHttp(presentResult(await rootValue.execute(args), { requestId: contextValue.requestId, log }));
        } finally {
          session.unsettled?.delete(id);
        }
      },
      async subscribe(args) {
        const { rootValue, contextValue, session, id } = args as Operation;
        session.sinks ??= socketSinks(session.socket, session.request.socket);
        contextValue.sink = session.sinks.sink(id);
        contextValue.onOver = () => session.unsettled?.delete(id);
        const result = await rootValue.subscribe(args);
        if (isAsyncIterable(result)) return result;
        contextValue.onOver();
        return withoutHttp(presentResult(result, { requestId: contextValue.requestId, log }));
      },
      onError: (_context, _id, _payload, errors) => errors.map((error) => shown(error).toJSON()),
    },
    sockets,
  );
}
