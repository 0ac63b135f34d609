/** Talking to the running service as a client would: raw documents, raw answers. */
import { inject } from 'vitest';
import { WebSocket } from 'ws';

export interface GraphqlError {
  message: string;
  path?: (string | number)[];
  extensions: { code: string; requestId?: string };
}

export interface Answer<Data> {
  status: number;
  headers: Headers;
  data: Data | null | undefined;
  errors: GraphqlError[] | undefined;
}

export interface Api {
  url: string;
  token: string | undefined;
  /** One operation by HTTP POST. */
  send<Data = Record<string, never>>(query: string, variables?: Record<string, unknown>): Promise<Answer<Data>>;
  /** The same, for what must succeed: throws with the errors when there are any. */
  get<Data>(query: string, variables?: Record<string, unknown>): Promise<Data>;
  /** A subscription by server-sent events: see `serverSentEvents`. */
  stream(query: string, variables?: Record<string, unknown>, signal?: AbortSignal): Promise<Response>;
  /** A connection that speaks graphql-transport-ws, message by message. */
  connect(): Promise<Socket>;
}

export interface Message {
  id?: string;
  type: string;
  payload?: unknown;
}

export interface Socket {
  send(message: Message): void;
  /** Sends what may be no message. */
  sendRaw(data: string | Buffer): void;
  /** Says who is there, and waits for the welcome. */
  init(): Promise<void>;
  /** The next message of an operation, or of none. Rejects when the socket closes first. */
  next(id?: string): Promise<Message>;
  subscribe(id: string, query: string, variables?: Record<string, unknown>): void;
  /** What has come and was not asked for yet. */
  received: readonly Message[];
  /** Resolves with the close code. */
  closed: Promise<number>;
  /** Reads nothing any more, so that what is sent piles up on the other side. */
  pause(): void;
  resume(): void;
  /** At once, without a word. */
  close(): void;
  /** Closes it as is proper: `closed` resolves when the server has taken note. */
  leave(): void;
}

/** The API of the shared stack, as the holder of a token; of the development key unless told, of nobody with null. */
export function api(token: string | null = inject('stack').apiKey, url = inject('stack').url): Api {
  const authorization: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  async function send<Data>(query: string, variables?: Record<string, unknown>): Promise<Answer<Data>> {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      // The media type of GraphQL over HTTP, with which the status tells what became of the request.
      headers: { accept: 'application/graphql-response+json', 'content-type': 'application/json', ...authorization },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as Pick<Answer<Data>, 'data' | 'errors'>;
    return { status: response.status, headers: response.headers, data, errors };
  }
  return {
    url,
    token: token ?? undefined,
    send,
    async get<Data>(query: string, variables?: Record<string, unknown>) {
      const { data, errors } = await send<Data>(query, variables);
      if (errors || !data) throw new Error(`The operation failed: ${JSON.stringify(errors)}`);
      return data;
    },
    stream: (query, variables, signal) =>
      fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { accept: 'text/event-stream', 'content-type': 'application/json', ...authorization },
        body: JSON.stringify({ query, variables }),
        signal: signal ?? null,
      }),
    connect: () => connect(url, authorization),
  };
}

async function connect(url: string, params: Record<string, string>): Promise<Socket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const received: Message[] = [];
  let code: number | undefined;
  let awaken = () => {};
  socket.on('message', (data) => {
    received.push(JSON.parse(String(data)));
    awaken();
  });
  const closed = new Promise<number>((resolve) => {
    socket.on('close', (closeCode) => {
      code = closeCode;
      awaken();
      resolve(closeCode);
    });
  });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve).once('error', reject);
  });
  // Whatever is wrong shows as the close code.
  socket.on('error', () => {});

  const send = (message: Message) => socket.send(JSON.stringify(message));
  async function next(id?: string): Promise<Message> {
    for (;;) {
      const index = received.findIndex((message) => message.id === id);
      if (index >= 0) return received.splice(index, 1)[0] as Message;
      if (code !== undefined) throw new Error(`The socket was closed with ${code}.`);
      await new Promise<void>((resolve) => {
        awaken = resolve;
      });
    }
  }
  return {
    send,
    sendRaw: (data) => socket.send(data),
    next,
    received,
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    closed,
    close: () => socket.terminate(),
    leave: () => socket.close(1000),
    async init() {
      send({ type: 'connection_init', payload: params });
      const welcome = await next();
      if (welcome.type !== 'connection_ack') throw new Error(`Expected a welcome, not ${JSON.stringify(welcome)}.`);
    },
    subscribe: (id, query, variables) => send({ id, type: 'subscribe', payload: { query, variables } }),
  };
}

/** Server-sent events: the parsed `data` of each `next`, until the stream completes. */
export async function* serverSentEvents<Item>(response: Response): AsyncGenerator<Item, void, undefined> {
  if (!response.body) throw new Error('The response has no body.');
  let text = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      if (/^event: complete$/m.test(block)) return;
      const data = /^data: (.+)$/m.exec(block)?.[1];
      if (data) yield JSON.parse(data);
    }
  }
}
