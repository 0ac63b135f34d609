/**
 * A connection to the API of a Janus: its WebSocket protocol, as far as one session needs it. Of our own because the library for
 * it, janode, drops fields of requests and answers (`lock_record`, `local_rtcp_port`) and has a native part to build.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { WebSocket } from 'ws';
import * as z from 'zod';
import { MediaServerError, MediaServerLostError } from '../media-server.js';

/** What a plugin answers, or tells unasked. */
export type PluginData = Record<string, unknown>;

/** Our end of a plugin: requests go in, events come out. */
export interface JanusHandle {
  /** Answers what the plugin says to it. Throws MediaServerError when it refuses, MediaServerLostError when the connection is lost. */
  request(body: Record<string, unknown>): Promise<PluginData>;
  /** Gives the handle back; what was joined with it leaves. */
  detach(): Promise<void>;
}

export interface JanusConnection {
  /** `opaqueId` is on all events that Janus reports of the handle; `onEvent` hears what the plugin tells unasked. */
  attach(plugin: string, options?: { opaqueId?: string; onEvent?: (data: PluginData) => void }): Promise<JanusHandle>;
  /** Resolves when the connection is lost, or closed. */
  ended: Promise<Error>;
  close(): Promise<void>;
}

/** Janus answers within milliseconds: one that takes this long is as good as gone. */
const answerLimitMs = 10_000;
/** Janus ends sessions that were silent for 30 s. */
const keepaliveMs = 10_000;
const closeLimitMs = 1_000;

const messageShape = z.looseObject({
  janus: z.string(),
  transaction: z.string().optional(),
  /** The handle that an event is of. */
  sender: z.number().optional(),
  data: z.object({ id: z.number() }).optional(),
  error: z.object({ code: z.number(), reason: z.string() }).optional(),
  plugindata: z.object({ data: z.record(z.string(), z.unknown()) }).optional(),
});
type Message = z.infer<typeof messageShape>;

const refusalShape = z.object({ error_code: z.number(), error: z.string().default('no reason given') });

interface Question {
  /** Else an acknowledgement only says that the answer comes later, as an event. */
  acknowledgementWillDo: boolean;
  resolve(message: Message): void;
  reject(error: Error): void;
  limit: NodeJS.Timeout;
}

/** Opens a session. Throws MediaServerLostError when nothing answers there, MediaServerError when the secret is refused. */
export async function connectToJanus(
  { url, apiSecret }: { url: string; apiSecret: string },
  { log }: { log: Logger },
): Promise<JanusConnection> {
  const socket = new WebSocket(url, 'janus-protocol', { handshakeTimeout: answerLimitMs });
  const questions = new Map<string, Question>();
  const listeners = new Map<number, (data: PluginData) => void>();
  let sessionId: number | undefined;
  let keepalive: NodeJS.Timeout | undefined;
  let lost: MediaServerLostError | undefined;
  const { promise: ended, resolve: tellEnd } = withResolver<Error>();

  function end(reason: string): void {
    if (lost) return;
    lost = new MediaServerLostError(`The connection to the media server at ${url} is gone: ${reason}.`);
    clearInterval(keepalive);
    for (const { reject, limit } of questions.values()) {
      clearTimeout(limit);
      reject(lost);
    }
    questions.clear();
    socket.terminate();
    tellEnd(lost);
  }

  function ask(message: Record<string, unknown>, { acknowledgementWillDo = false } = {}): Promise<Message> {
    if (lost) return Promise.reject(lost);
    const transaction = randomUUID();
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => end(`it did not answer within ${answerLimitMs / 1000} s`), answerLimitMs);
      questions.set(transaction, { acknowledgementWillDo, resolve, reject, limit });
      socket.send(JSON.stringify({ ...message, transaction, session_id: sessionId, apisecret: apiSecret }));
    });
  }

  function hear(message: Message): void {
    const { janus, transaction, sender, plugindata, error } = message;
    const question = transaction === undefined ? undefined : questions.get(transaction);
    if (question && transaction !== undefined) {
      if (janus === 'ack' && !question.acknowledgementWillDo) return;
      clearTimeout(question.limit);
      questions.delete(transaction);
      if (error) question.reject(new MediaServerError(error.code, `The media server refused: ${error.reason}.`));
      else question.resolve(message);
    } else if (janus === 'event' && sender !== undefined && plugindata) {
      listeners.get(sender)?.(plugindata.data);
    } else if (janus === 'timeout') {
      end('it has ended our session');
    }
  }

  socket.on('message', (data) => {
    const message = parseMessage(String(data));
    if (message) hear(message);
    else log.warn('the media server said something that is no message of its protocol');
  });
  socket.on('error', (error) => end(error.message));
  socket.on('close', (code) => end(`its socket closed (${code})`));
  const opened = new Promise<void>((resolve) => socket.once('open', resolve));
  await Promise.race([opened, ended.then((error) => Promise.reject(error))]);

  try {
    sessionId = idOf(await ask({ janus: 'create' }));
  } catch (error) {
    end('it did not let us in');
    throw error;
  }
  keepalive = setInterval(() => {
    // A refusal means that the session is over there; a loss has ended everything already.
    ask({ janus: 'keepalive' }, { acknowledgementWillDo: true }).catch(() => end('it has forgotten our session'));
  }, keepaliveMs);

  return {
    ended,
    async attach(plugin, { opaqueId, onEvent } = {}) {
      const handleId = idOf(await ask({ janus: 'attach', plugin, opaque_id: opaqueId }));
      if (onEvent) listeners.set(handleId, onEvent);
      return {
        async request(body) {
          const { plugindata } = await ask({ janus: 'message', handle_id: handleId, body });
          const data = plugindata?.data ?? {};
          const refusal = refusalShape.safeParse(data);
          if (!refusal.success) return data;
          const { error_code, error } = refusal.data;
          throw new MediaServerError(error_code, `The media server refused "${body.request}": ${error}.`);
        },
        async detach() {
          listeners.delete(handleId);
          await ask({ janus: 'detach', handle_id: handleId });
        },
      };
    },
    async close() {
      const limit = setTimeout(() => end('it was closed'), closeLimitMs);
      await ask({ janus: 'destroy' }).catch(() => {});
      clearTimeout(limit);
      end('it was closed');
    },
  };
}

function parseMessage(text: string): Message | undefined {
  try {
    return messageShape.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function idOf({ janus, data }: Message): number {
  if (!data) throw new MediaServerError(0, `The media server answered "${janus}" without an id.`);
  return data.id;
}

function withResolver<T>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((onResolve) => {
    resolve = onResolve;
  });
  return { promise, resolve };
}
