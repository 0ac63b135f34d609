/**
 * An RTSP server for one publisher, who knows the stream key: what it announces goes to ffmpeg, which listens behind it and takes
 * whoever comes. Media comes over the same connection, so that one port is enough.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { passOnCalmly } from './calm.js';
import { type InputOptions, type OpenInput, plainInput, probing, timeOfFirst } from './open-input.js';
import { createRtspReader, type RtspMessage } from './rtsp-messages.js';
import { isSameKey } from './stream-key.js';

/** Until media comes. */
const introductionLimitMs = 10_000;
const silentLimitMs = 10_000;
/** A publisher that comes back takes its own place, which its dead connection still holds. */
const silentMs = 3_000;
const mostConnections = 16;
/** ffmpeg listens after 50 ms, on a machine with too much to do after seconds. */
const connectLimitMs = 10_000;
const connectPauseMs = 50;
const keptWords = 5;

/** Throws when the port cannot be listened at. */
export async function openRtspServer({ recording, listenAddress, note }: InputOptions): Promise<OpenInput> {
  const { listenPort, streamKey } = recording.input;
  const behind = await findPort();
  const sockets = new Set<Socket>();
  const words: string[] = [];
  let publisher: { socket: Socket; heardAtMs: number } | null = null;

  function sendAway(socket: Socket, status: string, request: RtspMessage, why: string): void {
    words.push(`A publisher from ${socket.remoteAddress} was sent away: ${why}`);
    if (words.length > keptWords) words.shift();
    note(words.at(-1) as string);
    socket.write(answerTo(request, status));
    socket.destroySoon();
  }

  function welcome(client: Socket): void {
    sockets.add(client);
    const read = createRtspReader();
    let server: Socket | null = null;
    let isRecording = false;
    // Requests that we answer ourselves are missing in what ffmpeg hears, and it wants them counted without a gap.
    let passedOn = 0;
    const numbers = new Map<string, string>();

    function passOn(request: RtspMessage, to: Socket): void {
      passedOn += 1;
      numbers.set(`${passedOn}`, request.headers.get('cseq') ?? '0');
      to.write(withNumber(request.bytes, `${passedOn}`));
    }

    function passAnswers(from: Socket): void {
      const read = createRtspReader();
      from.on('data', (bytes) => {
        try {
          const { messages, media } = read(bytes);
          for (const { bytes: answer, headers } of messages) {
            const number = headers.get('cseq') ?? '';
            client.write(withNumber(answer, numbers.get(number) ?? number));
            numbers.delete(number);
          }
          // Reports of what was received, which need no number.
          if (media) client.write(media);
        } catch {
          client.destroy();
        }
      });
    }
    const introduction = setTimeout(() => client.destroy(), introductionLimitMs);
    client.setNoDelay(true);
    client.setTimeout(silentLimitMs, () => client.destroy());
    client.on('error', () => {});
    client.once('close', () => {
      clearTimeout(introduction);
      sockets.delete(client);
      server?.destroySoon();
      if (publisher?.socket === client) publisher = null;
    });

    /** Answers whether reading goes on. */
    async function obey(request: RtspMessage): Promise<boolean> {
      const [method = '', uri = ''] = request.firstLine.split(' ');
      if (server) {
        // Media by UDP would come to ports that nobody has opened for it.
        if (method === 'SETUP' && !/\/TCP\b/i.test(request.headers.get('transport') ?? ''))
          client.write(answerTo(request, '461 Unsupported Transport'));
        else passOn(request, server);
        if (method === 'RECORD') isRecording = true;
        return true;
      }
      if (method === 'OPTIONS') {
        client.write(answerTo(request, '200 OK', 'Public: OPTIONS, ANNOUNCE, SETUP, RECORD, TEARDOWN'));
        return true;
      }
      if (method !== 'ANNOUNCE') {
        sendAway(client, '405 Method Not Allowed', request, `it asked for ${method.slice(0, 20)}.`);
        return false;
      }
      if (!isSameKey(lastPart(uri), streamKey ?? '')) {
        sendAway(client, '404 Not Found', request, 'its stream key is another one.');
        return false;
      }
      if (publisher && performance.now() - publisher.heardAtMs < silentMs) {
        sendAway(client, '453 Not Enough Bandwidth', request, 'somebody else is publishing.');
        return false;
      }
      publisher?.socket.destroy();
      publisher = { socket: client, heardAtMs: performance.now() };
      server = await connectBehind(behind, client);
      if (!server) return false;
      sockets.add(server);
      server.on('error', () => {});
      server.once('close', () => client.destroySoon());
      passAnswers(server);
      passOn(request, server);
      note(`${client.remoteAddress} publishes`);
      return true;
    }

    async function hear(bytes: Buffer): Promise<void> {
      if (publisher?.socket === client) publisher.heardAtMs = performance.now();
      const { messages, media } = read(bytes);
      for (const request of messages) if (!(await obey(request))) return;
      if (!media && !isRecording) return;
      if (!server) throw new Error('It sends media that it has not announced.');
      clearTimeout(introduction);
      client.off('data', take);
      if (media) server.write(media);
      client.on('data', () => {
        if (publisher?.socket === client) publisher.heardAtMs = performance.now();
      });
      passOnCalmly(client, server);
    }

    let reading = Promise.resolve();
    const take = (bytes: Buffer) => {
      client.pause();
      reading = reading
        .then(() => hear(bytes))
        .then(
          () => void client.resume(),
          () => void client.destroy(),
        );
    };
    client.on('data', take);
  }

  const listener = createServer(welcome);
  listener.maxConnections = mostConnections;
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(listenPort as number, listenAddress, resolve);
  });
  return {
    ...plainInput([
      ...probing,
      ...['-protocol_whitelist', 'tcp', '-f', 'rtsp', '-rtsp_flags', 'listen', '-rtsp_transport', 'tcp'],
      ...['-i', `rtsp://127.0.0.1:${behind}/live`],
    ]),
    pictureFilter: timeOfFirst,
    log: () => words.join('\n'),
    async close() {
      if (!listener.listening) return;
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function connectBehind(port: number, client: Socket): Promise<Socket | null> {
  for (const untilMs = performance.now() + connectLimitMs; !client.destroyed; await sleep(connectPauseMs)) {
    const socket = await new Promise<Socket | null>((resolve) => {
      const attempt = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(attempt));
      attempt.once('error', () => resolve(null));
    });
    if (socket || performance.now() > untilMs) return socket;
  }
  return null;
}

function answerTo(request: RtspMessage, status: string, ...more: string[]): string {
  const lines = [`RTSP/1.0 ${status}`, `CSeq: ${(request.headers.get('cseq') ?? '0').slice(0, 20)}`, ...more];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** The number of a request, and of the answer to it, is another one on each side. */
function withNumber(bytes: Buffer, number: string): Buffer {
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.toString('latin1', 0, end).replace(/^CSeq\s*:.*$/im, `CSeq: ${number}`);
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes.subarray(end)]);
}

function lastPart(uri: string): string {
  const path = (URL.canParse(uri) ? new URL(uri).pathname : uri).replace(/\/+$/, '');
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A TCP port that the system chooses. Nothing holds it until ffmpeg does. */
async function findPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
