/** A small typed client: requests by fetch, subscriptions by graphql-ws. Runs in Node and in browsers. */
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { type DocumentNode, type FormattedExecutionResult, print } from 'graphql';
import { createClient } from 'graphql-ws';

export interface TapedeckOptions {
  /** Where the service runs, such as `http://127.0.0.1:4000`. */
  url: string;
  /** An API key, or the access token of a single job. */
  apiKey: string;
  /** The WebSocket class, where there is no global one: before Node 22 that is `WebSocket` of package `ws`. */
  webSocket?: unknown;
}

/** The close code of a connection whose credentials are not, or no longer, good. */
const refused = 4403;

/** The service refused a request as a whole: `code` is one of its stable codes. */
export class TapedeckError extends Error {
  override readonly name = 'TapedeckError';
  readonly code: string;
  constructor(errors: readonly { message: string; extensions?: Record<string, unknown> }[]) {
    super(errors.map(({ message }) => message).join('\n'));
    this.code = String(errors[0]?.extensions?.code ?? 'INTERNAL');
  }
}

export interface Tapedeck {
  /** Carries out a query or mutation. Throws TapedeckError; expected failures are part of the result. */
  request<Result, Variables extends Record<string, unknown>>(
    document: TypedDocumentNode<Result, Variables>,
    variables: NoInfer<Variables>,
  ): Promise<Result>;
  /**
   * Follows a subscription until the service ends it or the loop is left. After a lost connection it goes on by itself,
   * with the variables that `resume` answered for the last result: give the cursor of that, and nothing is missed or
   * told twice. `resume` is called when a result arrives, which may be long before the loop comes to it.
   */
  subscribe<Result, Variables extends Record<string, unknown>>(
    document: TypedDocumentNode<Result, Variables>,
    variables: NoInfer<Variables>,
    resume?: (result: Result) => Partial<Variables>,
  ): AsyncIterableIterator<Result>;
  close(): Promise<void>;
}

export function createTapedeck({ url, apiKey, webSocket }: TapedeckOptions): Tapedeck {
  const endpoint = `${url.replace(/\/$/, '')}/graphql`;
  const sockets = createClient({
    url: endpoint.replace(/^http/, 'ws'),
    connectionParams: { authorization: `Bearer ${apiKey}` },
    webSocketImpl: webSocket,
    // In all about a minute: enough for a service that is being restarted.
    retryAttempts: 10,
    retryWait: (attempt) => sleep(Math.min(2 ** attempt * 100, 10_000) * (1 + Math.random())),
    shouldRetry: (event) => !(isCloseEvent(event) && event.code === refused),
  });
  const textOf = (document: DocumentNode) => print(document);

  return {
    async request(document, variables) {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: {
          accept: 'application/graphql-response+json',
          'content-type': 'application/json',
          authorization: `Bearer ${apiKey}`,
        },
        body: JSON.stringify({ query: textOf(document), variables }),
      });
      const { data, errors } = await response.json();
      if (errors) throw new TapedeckError(errors);
      return data;
    },

    async *subscribe<Result, Variables extends Record<string, unknown>>(
      document: TypedDocumentNode<Result, Variables>,
      variables: NoInfer<Variables>,
      resume?: (result: Result) => Partial<Variables>,
    ) {
      // The same object at every reconnection: what is written into it is sent then.
      const payload = { query: textOf(document), variables };
      const results: FormattedExecutionResult<Result, unknown>[] = [];
      let end: { error?: unknown } | undefined;
      let awaken = () => {};
      const leave = sockets.subscribe<Result>(payload, {
        next(result) {
          if (result.data && resume) payload.variables = { ...payload.variables, ...resume(result.data) };
          results.push(result);
          awaken();
        },
        error(error) {
          end = { error };
          awaken();
        },
        complete() {
          end ??= {};
          awaken();
        },
      });
      try {
        for (;;) {
          const result = results.shift();
          if (result?.errors) throw new TapedeckError(result.errors);
          if (result?.data) yield result.data;
          else if (end?.error) throw asTapedeckError(end.error);
          else if (end) return;
          else {
            await new Promise<void>((resolve) => {
              awaken = resolve;
            });
          }
        }
      } finally {
        leave();
      }
    },

    close: async () => sockets.dispose(),
  };
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The protocol delivers errors as a bare list, and refusals as the event that closed the socket. */
function asTapedeckError(error: unknown): unknown {
  if (Array.isArray(error)) return new TapedeckError(error);
  if (!isCloseEvent(error)) return error;
  const code = error.code === refused ? 'UNAUTHENTICATED' : 'UNAVAILABLE';
  return new TapedeckError([
    { message: `The connection was closed: ${error.reason || error.code}.`, extensions: { code } },
  ]);
}

function isCloseEvent(error: unknown): error is { code: number; reason: string } {
  return typeof error === 'object' && error !== null && 'code' in error && 'reason' in error;
}
