/** A browser's side of the signalling gate, message by message: what janus.js would send, and what it never would. */
import { once } from 'node:events';
import { inject } from 'vitest';
import { WebSocket } from 'ws';

export type Message = Record<string, unknown> & {
  janus?: string;
  error?: { code: number; reason: string };
  plugindata?: { data: Record<string, unknown> };
};

export interface Signalling {
  /** Sends one message with a transaction of its own, and answers what comes back to it; of two answers the later. */
  ask(message: Record<string, unknown>): Promise<Message>;
  /** Sends what may be no message at all. */
  sendRaw(text: string): void;
  /** Opens a session and one handle. */
  open(): Promise<Handle>;
  /** A further handle of the session. */
  attach(): Promise<Handle>;
  /** Everything that was received, oldest first. */
  received: readonly Message[];
  /** Resolves with the first message that was received, or will be, and fulfils the condition. */
  heard(condition: (message: Message) => boolean): Promise<Message>;
  /** Resolves with the close code. */
  closed: Promise<number>;
  close(): void;
}

export interface Handle {
  sessionId: number;
  handleId: number;
  /** Answers the plugin's answer, or the gate's refusal. */
  say(body: Record<string, unknown>, extra?: Record<string, unknown>): Promise<Message>;
}

/** Resolves when the WebSocket is open, which says nothing of the token. */
export async function signalling(
  token: string,
  { url = inject('stack').url, watch = false }: { url?: string; watch?: boolean } = {},
): Promise<Signalling> {
  const parameters = new URLSearchParams({ token, ...(watch ? { watch: 'true' } : {}) });
  const socket = new WebSocket(`${url.replace('http', 'ws')}/rtc?${parameters}`, 'janus-protocol');
  const received: Message[] = [];
  const listeners = new Set<() => void>();
  socket.on('message', (data) => {
    received.push(JSON.parse(String(data)));
    for (const listener of [...listeners]) listener();
  });
  const closed = once(socket, 'close').then(([code]) => code as number);
  socket.on('error', () => {});
  await once(socket, 'open');

  let transactions = 0;
  let sessionId = 0;

  function heard(condition: (message: Message) => boolean): Promise<Message> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = received.find(condition);
        if (!found) return;
        listeners.delete(look);
        resolve(found);
      };
      listeners.add(look);
      look();
      void closed.then((code) => reject(new Error(`The socket was closed with ${code}.`)));
    });
  }

  function ask(message: Record<string, unknown>): Promise<Message> {
    const transaction = `t${++transactions}`;
    socket.send(JSON.stringify({ transaction, ...message }));
    // Requests to a room are acknowledged first, and answered by an event.
    const isLast = ({ janus }: Message) =>
      janus !== 'ack' || message.janus === 'keepalive' || message.janus === 'trickle';
    return heard((each) => each.transaction === transaction && isLast(each));
  }

  async function attach(): Promise<Handle> {
    const { data } = await ask({ janus: 'attach', session_id: sessionId, plugin: 'janus.plugin.videoroom' });
    const handleId = (data as { id: number }).id;
    return {
      sessionId,
      handleId,
      say: (body, extra = {}) => ask({ janus: 'message', session_id: sessionId, handle_id: handleId, body, ...extra }),
    };
  }

  return {
    ask,
    attach,
    heard,
    received,
    closed,
    sendRaw: (text) => socket.send(text),
    async open() {
      sessionId = ((await ask({ janus: 'create' })).data as { id: number }).id;
      return attach();
    },
    close: () => socket.terminate(),
  };
}

/** What the plugin said. */
export const saidBy = ({ plugindata }: Message): Record<string, unknown> => plugindata?.data ?? {};
