/** A small typed client: requests by fetch, streams by graphql-ws. Runs in Node and in browsers. */
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { type AskKey, createConnection } from './connection.js';
import { type AnyEvent, resumptionOf, rootFieldOf } from './cursor.js';
import { errorOfAnswer, unreachable } from './errors.js';
import { endable, resubscribe } from './stream.js';
import type { Reading } from './subscription.js';

export interface TapedeckOptions {
  /** Where the service runs, such as `http://127.0.0.1:4000`. */
  url: string;
  /**
   * An API key, or the access token of a single job; or what answers one, asked for each request and each connection, so that
   * credentials which expire are renewed: a connection that is refused or ended for its key is made again with another, once.
   */
  apiKey: string | AskKey;
  /** The WebSocket class, where there is no global one: before Node 22 that is `WebSocket` of package `ws`. */
  webSocket?: unknown;
  /** How long the service may be away, in milliseconds, before a stream gives it up: 5 minutes, unless told. */
  patienceMs?: number;
}

const defaultPatienceMs = 300_000;

export interface StreamOptions {
  /** Ends the stream, quietly: the loop is over. */
  signal?: AbortSignal;
}

type Variables = Record<string, unknown>;
/** All but the word that a reader was too slow and was cut off: the helper goes on behind the last cursor. */
type Told<Event extends AnyEvent> = Exclude<Event, { __typename: 'StreamLagged' }>;

export interface Tapedeck {
  /** Carries out a query or mutation. Throws TapedeckError; expected failures are part of the result. */
  request<Result, Given extends Variables>(
    document: TypedDocumentNode<Result, Given>,
    variables: NoInfer<Given>,
  ): Promise<Result>;
  /**
   * Every event of a stream, in order, none twice, none missed, until the loop is left: connections that are lost, restarts of the
   * service and a reader that is too slow are seen to. The document selects `__typename` and `cursor` and has a variable for
   * `after`, which may be given to go on behind an event. Without it a snapshot comes first; with one that is too old, or of
   * another database, too, and so a snapshot may come at any time: take it for all that was before.
   * Throws TypeError at once for a document that could not be resumed, and TapedeckError for what will not pass by itself.
   */
  follow<Event extends AnyEvent, Given extends Variables>(
    document: TypedDocumentNode<{ [field: string]: Event }, Given>,
    variables: NoInfer<Given>,
    options?: StreamOptions,
  ): AsyncGenerator<Told<Event>, void, undefined>;
  /**
   * The latest value of a stream that has no events, such as statistics, until the service ends it or the loop is left.
   * A slow loop gets fewer values, never old ones. Throws like `follow`.
   */
  latest<Value, Given extends Variables>(
    document: TypedDocumentNode<{ [field: string]: Value }, Given>,
    variables: NoInfer<Given>,
    options?: StreamOptions,
  ): AsyncGenerator<Value, void, undefined>;
  /** Ends all streams and closes the connection. */
  close(): Promise<void>;
}

export function createTapedeck({ url, apiKey, webSocket, patienceMs = defaultPatienceMs }: TapedeckOptions): Tapedeck {
  const endpoint = `${url.replace(/\/$/, '')}/graphql`;
  const renewable = typeof apiKey === 'function';
  const askKey = renewable ? apiKey : () => apiKey;
  const connection = createConnection(endpoint, askKey, renewable, webSocket);
  const closing = new AbortController();

  function open<Result, Item>(reading: Reading<Result, Item>, { signal }: StreamOptions = {}) {
    if (closing.signal.aborted) throw new Error('This client is closed. Create another one.');
    return endable<Item, void>(
      (ended) => resubscribe(connection, reading, patienceMs, ended),
      [signal, closing.signal],
    );
  }

  return {
    async request(document, variables) {
      const authorization = `Bearer ${await askKey()}`;
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { accept: 'application/graphql-response+json', 'content-type': 'application/json', authorization },
        body: JSON.stringify({ query: print(document), variables }),
      }).catch((error) => Promise.reject(unreachable(error)));
      // What is no answer of the service may be the page of a proxy before it.
      const answer = await response.json().catch(() => ({}));
      if (answer.errors) throw errorOfAnswer(answer.errors);
      if (!answer.data) throw unreachable(new Error(`something else answered, with status ${response.status}`));
      return answer.data;
    },

    follow<Event extends AnyEvent, Given extends Variables>(
      document: TypedDocumentNode<{ [field: string]: Event }, Given>,
      variables: NoInfer<Given>,
      options?: StreamOptions,
    ) {
      const { field, variable } = resumptionOf(document);
      let after = variables[variable];
      return open(
        {
          kind: 'events',
          query: print(document),
          variables: () => ({ ...variables, [variable]: after }),
          receive(data: { [field: string]: Event }) {
            const event = data[field] as Event;
            if (event.__typename === 'StreamLagged') return undefined;
            if (typeof event.cursor !== 'string')
              throw new TypeError(`The document does not select the cursor of ${event.__typename}.`);
            after = event.cursor;
            return event as Told<Event>;
          },
        },
        options,
      );
    },

    latest<Value, Given extends Variables>(
      document: TypedDocumentNode<{ [field: string]: Value }, Given>,
      variables: NoInfer<Given>,
      options?: StreamOptions,
    ) {
      const { alias, name } = rootFieldOf(document);
      return open(
        {
          kind: 'latest',
          query: print(document),
          variables: () => variables,
          receive: (data: { [field: string]: Value }) => data[(alias ?? name).value],
        },
        options,
      );
    },

    async close() {
      closing.abort();
      await connection.close();
    },
  };
}
