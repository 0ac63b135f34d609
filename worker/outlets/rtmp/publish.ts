/** Publishing to a server by RTMP: from the handshake to the last picture, over a connection that somebody else opened. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type RtmpAddress, rtmpPlace } from '../../../src/net/rtmp-url.js';
import { type AmfValue, decodeAmf, encodeAmf } from './amf.js';
import { createMessageReader, messageTypes, type RtmpMessage, toChunks } from './messages.js';

/** For the handshake, and for each answer to a request. */
const answerLimitMs = 10_000;
/** A server that takes nothing for this long while there is something to take is gone, or stopped. */
const stuckLimitMs = 10_000;
const stuckLookMs = 1_000;
const closeLimitMs = 1_000;

const handshakeBytes = 1_536;
const initialChunkBytes = 128;
const chunkBytes = 4_096;
const channels = { control: 2, command: 3, audio: 4, data: 5, video: 6 } as const;
/** A word of the encoder that servers know, beside our own. */
const flashVersion = 'FMLE/3.0 (compatible; Tapedeck)';

/** In the codes of what a server says about a stream. */
const refusals = /BadName|Denied|Failed|Rejected|Unauthorized|Unpublish/i;

/** The server did not take the stream. The message has no stream key in it. */
export class PublishRefusedError extends Error {
  override readonly name = 'PublishRefusedError';
}

export interface MediaMessage {
  kind: 'audio' | 'video' | 'data';
  /** Milliseconds, never falling. */
  timestamp: number;
  body: Buffer;
}

export interface Publication {
  /** Resolves once there is room for more. Rejects when the connection is gone. */
  send(message: MediaMessage): Promise<void>;
  /** Bytes that were handed to the network. */
  bytesSent(): number;
  /** Resolves when the connection is gone, with why. */
  lost: Promise<Error>;
  /** Tells the server that this was all, and closes the connection. */
  close(): Promise<void>;
}

/**
 * Publishes under the address's key. Resolves when the server has said that it may send. Throws PublishRefusedError when it
 * says no, or hangs up instead; Error when it does not speak RTMP, or not within 10 s. The socket is destroyed then.
 */
export async function publishOn(socket: Socket, address: RtmpAddress): Promise<Publication> {
  let fail: (error: Error) => void = () => {};
  const lost = new Promise<Error>((resolve) => {
    fail = (error) => {
      resolve(error);
      socket.destroy();
    };
  });
  let hungUp = false;
  const hangUp = (message: string) => {
    hungUp = true;
    fail(new Error(message));
  };
  socket.on('error', (error) => hangUp(`The connection to the server broke: ${error.message}.`));
  socket.once('end', () => hangUp('The server closed the connection.'));
  socket.once('close', () => fail(new Error('The connection to the server is closed.')));
  const inTime = <T>(what: string, answer: Promise<T>): Promise<T> => {
    const limit = setTimeout(
      () => fail(new Error(`The server did not answer ${what} within ${answerLimitMs / 1000} s.`)),
      answerLimitMs,
    );
    const failed = lost.then((error): never => {
      throw error;
    });
    return Promise.race([answer, failed]).finally(() => clearTimeout(limit));
  };

  const read = createMessageReader();
  const answers = new Map<number, (values: AmfValue[]) => void>();
  let onStatus: (status: { code: string; text: string }) => void = () => {};
  let outgoingChunkBytes = initialChunkBytes;
  let window = Number.POSITIVE_INFINITY;
  let received = 0;
  let acknowledged = 0;
  const write = (message: RtmpMessage, channel: number) => socket.write(toChunks(message, channel, outgoingChunkBytes));
  const control = (type: number, value: number) => {
    const body = Buffer.alloc(4);
    body.writeUInt32BE(value >>> 0);
    write({ type, timestamp: 0, stream: 0, body }, channels.control);
  };
  const command = (stream: number, ...values: AmfValue[]) =>
    write({ type: messageTypes.command, timestamp: 0, stream, body: encodeAmf(...values) }, channels.command);

  function hear(bytes: Buffer): void {
    received += bytes.length;
    try {
      for (const message of read(bytes)) obey(message);
    } catch (error) {
      fail(error as Error);
      return;
    }
    if (received - acknowledged < window / 2) return;
    acknowledged = received;
    control(messageTypes.acknowledgement, received);
  }

  function obey({ type, body }: RtmpMessage): void {
    if (type === messageTypes.windowSize && body.length >= 4) window = body.readUInt32BE(0);
    // A ping, answered with what it brought.
    if (type === messageTypes.userControl && body.length >= 6 && body.readUInt16BE(0) === 6) {
      const pong = Buffer.from(body.subarray(0, 6));
      pong.writeUInt16BE(7);
      write({ type, timestamp: 0, stream: 0, body: pong }, channels.control);
    }
    if (type !== messageTypes.command) return;
    const [name, id, ...values] = decodeAmf(body);
    if (name === 'onStatus') onStatus(statusOf(values[1]));
    if (name === '_result' || name === '_error') answers.get(Number(id))?.([name, ...values]);
  }

  /** Resolves with the last value of the answer. */
  async function ask(id: number, name: string, ...values: AmfValue[]): Promise<AmfValue | undefined> {
    const answer = new Promise<AmfValue[]>((resolve) => answers.set(id, resolve));
    command(0, name, id, ...values);
    const [kind, ...result] = await inTime(`"${name}"`, answer);
    if (kind === '_error') throw new PublishRefusedError(`The server refused "${name}": ${statusOf(result[1]).text}.`);
    return result[1];
  }

  try {
    const rest = await inTime('the handshake', shakeHands(socket));
    socket.on('data', hear);
    if (rest.length > 0) hear(rest);
    control(messageTypes.setChunkSize, chunkBytes);
    outgoingChunkBytes = chunkBytes;
    const tcUrl = `${rtmpPlace(address)}/${address.app}`;
    const about = { app: address.app, type: 'nonprivate', flashVer: flashVersion, swfUrl: tcUrl, tcUrl };
    await ask(1, 'connect', about);
    command(0, 'releaseStream', 2, null, address.key);
    command(0, 'FCPublish', 3, null, address.key);
    const stream = Number(await ask(4, 'createStream', null));
    const granted = new Promise<void>((resolve, reject) => {
      onStatus = ({ code, text }) => {
        if (code === 'NetStream.Publish.Start') resolve();
        else if (refusals.test(code)) reject(new PublishRefusedError(`The server refused the stream: ${text}.`));
      };
    });
    granted.catch(() => {});
    command(stream, 'publish', 5, null, address.key, 'live');
    await inTime('"publish"', granted).catch((error: Error) => {
      if (!hungUp) throw error;
      // What many servers do instead of an answer.
      throw new PublishRefusedError('The server did not take the stream and hung up: its key may be wrong, or in use.');
    });
    return createPublication(stream);
  } catch (error) {
    socket.destroy();
    throw error;
  }

  function statusOf(value: AmfValue | undefined): { code: string; text: string } {
    const { code, description } = (typeof value === 'object' && value !== null ? value : {}) as Record<
      string,
      AmfValue
    >;
    const words = [code, description].filter((word): word is string => typeof word === 'string' && word !== '');
    return {
      code: typeof code === 'string' ? code : '',
      text: withoutKey(words.join(': ').slice(0, 300), address.key) || 'it did not say why',
    };
  }

  function createPublication(stream: number): Publication {
    onStatus = ({ code, text }) => {
      if (refusals.test(code)) fail(new Error(`The server ended the stream: ${text}.`));
    };
    let handedOver = bytesSent();
    let movedMs = performance.now();
    const looking = setInterval(() => {
      const now = bytesSent();
      if (now !== handedOver || socket.writableLength === 0) movedMs = performance.now();
      handedOver = now;
      if (performance.now() - movedMs > stuckLimitMs)
        fail(new Error(`The server took nothing for ${stuckLimitMs / 1000} s.`));
    }, stuckLookMs);
    void lost.then(() => clearInterval(looking));

    function bytesSent(): number {
      return socket.bytesWritten - socket.writableLength;
    }

    return {
      lost,
      bytesSent,
      async send({ kind, timestamp, body }) {
        if (socket.destroyed) throw await lost;
        if (write({ type: messageTypes[kind], timestamp, stream, body }, channels[kind])) return;
        const drained = new Promise<void>((resolve) => socket.once('drain', resolve));
        const error = await Promise.race([drained, lost]);
        if (error) throw error;
      },
      async close() {
        if (socket.destroyed) return;
        command(0, 'FCUnpublish', 6, null, address.key);
        command(0, 'deleteStream', 7, null, stream);
        const limit = setTimeout(() => socket.destroy(), closeLimitMs);
        await new Promise<void>((resolve) => {
          socket.once('close', () => resolve());
          socket.end(() => socket.destroy());
        });
        clearTimeout(limit);
      },
    };
  }
}

/** Resolves with what the server sent behind its part of the handshake. The plain handshake is all that publishing needs. */
async function shakeHands(socket: Socket): Promise<Buffer> {
  const ours = Buffer.concat([Buffer.from([3]), Buffer.alloc(8), randomBytes(handshakeBytes - 8)]);
  socket.write(ours);
  let heard: Buffer = Buffer.alloc(0);
  let isAnswered = false;
  return new Promise((resolve, reject) => {
    const hear = (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes]);
      if (heard[0] !== 3) {
        socket.off('data', hear);
        reject(new Error('The server does not speak RTMP.'));
        return;
      }
      if (!isAnswered && heard.length > handshakeBytes) {
        isAnswered = true;
        socket.write(heard.subarray(1, 1 + handshakeBytes));
      }
      if (heard.length < 1 + 2 * handshakeBytes) return;
      socket.off('data', hear);
      resolve(heard.subarray(1 + 2 * handshakeBytes));
    };
    socket.on('data', hear);
  });
}

/** Servers like to repeat what they were asked for, in whole or without the query. */
const withoutKey = (text: string, key: string): string =>
  [key, key.split('?', 1)[0] as string].reduce((left, name) => left.replaceAll(name, '***'), text);
