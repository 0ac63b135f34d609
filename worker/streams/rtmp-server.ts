/**
 * An RTMP server for one publisher, who knows the stream key; ffmpeg's own takes whoever comes first. It goes on from one part to
 * the next, so that a publisher need not come again because a recording is changed.
 */
import { closeSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { createFlvLine, type FlvLine } from './flv-line.js';
import { type InputOptions, type OpenInput, plainInput, probing } from './open-input.js';
import { openPipe } from './pipe.js';
import { holdSession, type RtmpSession } from './rtmp-session.js';
import { isSameKey } from './stream-key.js';

/** A publisher that comes back takes its own place, which its dead connection still holds. */
const silentMs = 3_000;
const mostConnections = 16;
/** For the next part to begin. */
const lingerMs = 10_000;
/** ffmpeg takes what comes at once; while its disk is busy, the publisher is held up. */
const mostWaitingBytes = 1_048_576;
const keptWords = 5;

interface RtmpServer {
  /** Begins to write what is published as FLV, and ends it when the publisher does. */
  attach(output: Socket): void;
  detach(): void;
  /** Of those who were sent away. */
  words(): string;
  close(): Promise<void>;
}

/** Those that wait for their next part, by address and key. */
const lingering = new Map<string, { server: RtmpServer; timer: NodeJS.Timeout }>();

/** Throws when the port cannot be listened at. */
export async function openRtmpServer({ recording, listenAddress, folder, note }: InputOptions): Promise<OpenInput> {
  const { listenPort, streamKey } = recording.input;
  const name = JSON.stringify([listenAddress, listenPort, streamKey]);
  const kept = lingering.get(name)?.server;
  for (const [each, { server, timer }] of lingering) {
    clearTimeout(timer);
    lingering.delete(each);
    if (each !== name) await server.close();
  }
  const server = kept ?? (await startRtmpServer(listenAddress, listenPort as number, streamKey ?? '', note));
  const pipe = await openPipe(folder);
  const output = new Socket({ fd: pipe.writeEnd, readable: false, writable: true });
  // ffmpeg has ended before its input did.
  output.on('error', () => {});
  server.attach(output);
  let isClosed = false;
  return {
    ...plainInput([...probing, '-protocol_whitelist', 'pipe', '-f', 'flv', '-i', 'pipe:0']),
    stdin: pipe.readEnd,
    log: () => server.words(),
    hasCome: () => output.bytesWritten > 0,
    async close() {
      if (isClosed) return;
      isClosed = true;
      server.detach();
      output.destroy();
      closeSync(pipe.readEnd);
      const timer = setTimeout(() => {
        lingering.delete(name);
        void server.close();
      }, lingerMs);
      timer.unref();
      lingering.set(name, { server, timer });
    },
  };
}

async function startRtmpServer(
  address: string,
  port: number,
  key: string,
  note: (text: string) => void,
): Promise<RtmpServer> {
  const connections = new Set<Socket>();
  const words: string[] = [];
  let output: Socket | null = null;
  let publisher: { session: RtmpSession; line: FlvLine } | null = null;

  function sendAway(from: string, why: string): string {
    words.push(`A publisher from ${from} was sent away: ${why}`);
    if (words.length > keptWords) words.shift();
    note(words.at(-1) as string);
    return why;
  }

  function write(bytes: Buffer): void {
    const to = output;
    if (!to || to.destroyed) return;
    // All that was read at once is written at once.
    if (to.writableCorked === 0) {
      to.cork();
      process.nextTick(() => to.uncork());
    }
    if (to.write(bytes) || to.writableLength < mostWaitingBytes) return;
    const { session } = publisher as { session: RtmpSession };
    session.pause(true);
    to.once('drain', () => session.pause(false)).once('close', () => session.pause(false));
  }

  function welcome(socket: Socket): void {
    const from = socket.remoteAddress ?? 'somewhere';
    const line = createFlvLine();
    const session: RtmpSession = holdSession(socket, {
      admit(name) {
        if (!isSameKey(name, key)) return sendAway(from, 'its stream key is another one.');
        if (publisher && performance.now() - publisher.session.heardAtMs() < silentMs)
          return sendAway(from, 'somebody else is publishing.');
        publisher?.session.end('It has come anew.');
        publisher = { session, line };
        if (output) line.open(write);
        note(`${from} publishes`);
        return null;
      },
      onMedia: (message) => line.take(message),
      onEnd(reason) {
        if (publisher?.session !== session) return;
        note(`the publisher is gone: ${reason}`);
        publisher = null;
        // One that comes back begins another part: its time is another one.
        output?.end();
        output = null;
      },
    });
  }

  const server = createServer((socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    welcome(socket);
  });
  server.maxConnections = mostConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
  server.unref();

  return {
    attach(to) {
      output = to;
      publisher?.line.open(write);
    },
    detach() {
      output = null;
      publisher?.line.shut();
    },
    words: () => words.join('\n'),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}
