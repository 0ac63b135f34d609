/** A small typed client: requests by fetch, subscriptions by graphql-ws. Runs in Node and in browsers. */
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { type DocumentNode, print } from 'graphql';
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
    variables: Variables,
  ): Promise<Result>;
  /**
   * Follows a subscription until the service ends it or the loop is left. After a lost connection it goes on by itself;
   * when `variables` is a function it is asked again then, so that a stream can be resumed from its last cursor.
   */
  subscribe<Result, Variables extends Record<string, unknown>>(
    document: TypedDocumentNode<Result, Variables>,
    variables: Variables | (() => Variables),
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

    async *subscribe(document, variables) {
      const current = typeof variables === 'function' ? variables : () => variables;
      const query = textOf(document);
      // A getter, so that each reconnection sends the variables of that moment.
      const payload = {
        query,
        get variables() {
          return current();
        },
      };
      try {
        for await (const { data, errors } of sockets.iterate<never>(payload)) {
          if (errors) throw new TapedeckError(errors);
          if (data) yield data;
        }
      } catch (error) {
        // The protocol delivers errors as a bare list, and refusals as the event that closed the socket.
        if (Array.isArray(error)) throw new TapedeckError(error);
        if (isCloseEvent(error)) {
          const code = error.code === refused ? 'UNAUTHENTICATED' : 'UNAVAILABLE';
          throw new TapedeckError([
            { message: `The connection was closed: ${error.reason || error.code}.`, extensions: { code } },
          ]);
        }
        throw error;
      }
    },

    close: async () => sockets.dispose(),
  };
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function isCloseEvent(error: unknown): error is { code: number; reason: string } {
  return typeof error === 'object' && error !== null && 'code' in error && 'reason' in error;
}
