/** One connection of a publisher to us by RTMP: from the handshake to the last picture. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type AmfValue, decodeAmf, encodeAmf } from '../outlets/rtmp/amf.js';
import { createMessageReader, messageTypes, type RtmpMessage, toChunks } from '../outlets/rtmp/messages.js';
import type { MediaMessage } from '../outlets/rtmp/publish.js';
import { readLater } from './calm.js';

const handshakeBytes = 1_536;
/** Until it has said what it wants to publish. */
const introductionLimitMs = 10_000;
/** A publisher that sends nothing for so long is gone. */
const silentLimitMs = 10_000;
/** A key frame of 4K video has less; before it may publish, no more than commands need is taken. */
const longestMediaBytes = 16 * 1_048_576;
const windowBytes = 2_500_000;
const chunkBytes = 4_096;
const channels = { control: 2, command: 3 } as const;
const streamId = 1;
/** "@setDataFrame" as AMF0 text: a word to servers, which is no part of the data. */
const setDataFrame = Buffer.concat([Buffer.from([2, 0, 13]), Buffer.from('@setDataFrame')]);

export interface SessionHandlers {
  /** `name`: the last part of the address that it publishes to. Answers why not, or null. */
  admit(name: string): string | null;
  onMedia(message: MediaMessage): void;
  /** Once, with why. */
  onEnd(reason: string): void;
}

export interface RtmpSession {
  /** On `performance.now`, when it sent something last. */
  heardAtMs(): number;
  /** No more is read while this holds. */
  pause(isPaused: boolean): void;
  end(reason: string): void;
}

export function holdSession(socket: Socket, handlers: SessionHandlers): RtmpSession {
  const limit = { bytes: 65_536 };
  const read = createMessageReader(limit);
  let greeting: Buffer | null = Buffer.alloc(0);
  let app = '';
  let isPublishing = false;
  let isOver = false;
  let isHeldUp = false;
  let heardAtMs = performance.now();
  let received = 0;
  let acknowledged = 0;
  const introduction = setTimeout(() => end('It did not say what it publishes.'), introductionLimitMs);

  const write = (message: Omit<RtmpMessage, 'timestamp'>, channel: number) =>
    void socket.write(toChunks({ ...message, timestamp: 0 }, channel, chunkBytes));
  const control = (type: number, ...values: number[]) => {
    const body = Buffer.alloc(4 * values.length);
    for (const [index, value] of values.entries()) body.writeUInt32BE(value >>> 0, 4 * index);
    write({ type, stream: 0, body }, channels.control);
  };
  const command = (stream: number, ...values: AmfValue[]) =>
    write({ type: messageTypes.command, stream, body: encodeAmf(...values) }, channels.command);
  const status = (level: 'status' | 'error', code: string, description: string) =>
    command(streamId, 'onStatus', 0, null, { level, code, description });

  function end(reason: string): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(introduction);
    // What was said last is still to arrive.
    socket.destroySoon();
    handlers.onEnd(reason);
  }

  function hear(bytes: Buffer): void {
    heardAtMs = performance.now();
    try {
      const rest = greeting ? greet(Buffer.concat([greeting, bytes])) : bytes;
      if (rest.length === 0 || isOver) return;
      received += rest.length;
      for (const message of read(rest)) if (!isOver) obey(message);
    } catch (error) {
      end(error instanceof Error ? error.message : String(error));
      return;
    }
    if (isPublishing && !isOver) readLater(socket, bytes, () => !isHeldUp);
    if (received - acknowledged < windowBytes / 2 || isOver) return;
    acknowledged = received;
    control(messageTypes.acknowledgement, received);
  }

  /** The plain handshake is all that publishing needs. Answers what follows it. */
  function greet(heard: Buffer): Buffer {
    if (heard.length > 0 && heard[0] !== 3) throw new Error('It does not speak RTMP.');
    const before = greeting?.length ?? 0;
    greeting = heard;
    if (heard.length < 1 + handshakeBytes) return Buffer.alloc(0);
    if (before < 1 + handshakeBytes) {
      const ours = Buffer.concat([Buffer.alloc(8), randomBytes(handshakeBytes - 8)]);
      socket.write(Buffer.concat([Buffer.from([3]), ours, heard.subarray(1, 1 + handshakeBytes)]));
    }
    if (heard.length < 1 + 2 * handshakeBytes) return Buffer.alloc(0);
    greeting = null;
    return heard.subarray(1 + 2 * handshakeBytes);
  }

  function obey({ type, timestamp, body }: RtmpMessage): void {
    if (type === messageTypes.command) followCommand(body);
    if (!isPublishing || body.length === 0) return;
    if (type === messageTypes.audio) handlers.onMedia({ kind: 'audio', timestamp, body });
    else if (type === messageTypes.video) handlers.onMedia({ kind: 'video', timestamp, body });
    else if (type === messageTypes.data) {
      const isMarked = body.subarray(0, setDataFrame.length).equals(setDataFrame);
      handlers.onMedia({ kind: 'data', timestamp, body: isMarked ? body.subarray(setDataFrame.length) : body });
    }
  }

  function followCommand(body: Buffer): void {
    const [name, id, ...values] = decodeAmf(body);
    const answer = Number(id) || 0;
    if (name === 'connect') {
      app = textOf((values[0] as Record<string, AmfValue> | null)?.app);
      control(messageTypes.windowSize, windowBytes);
      write(
        { type: messageTypes.peerBandwidth, stream: 0, body: Buffer.from([0, 0x26, 0x25, 0xa0, 2]) },
        channels.control,
      );
      control(messageTypes.setChunkSize, chunkBytes);
      const about = {
        level: 'status',
        code: 'NetConnection.Connect.Success',
        description: 'Welcome.',
        objectEncoding: 0,
      };
      command(0, '_result', answer, { fmsVer: 'FMS/3,0,1,123', capabilities: 31 }, about);
    } else if (name === 'createStream') command(0, '_result', answer, null, streamId);
    else if (name === 'releaseStream' || name === 'FCPublish') command(0, '_result', answer, null, null);
    else if (name === 'publish') publish(textOf(values[1]));
    else if (name === 'play') {
      status('error', 'NetStream.Play.StreamNotFound', 'Nothing is played here.');
      end('It wanted to watch.');
    } else if (name === 'deleteStream' || name === 'FCUnpublish' || name === 'closeStream') {
      if (isPublishing) end('It has ended its stream.');
    }
  }

  function publish(key: string): void {
    if (isPublishing) return;
    const path = `${app}/${key}`.replace(/\?.*$/s, '').replace(/\/+$/, '');
    const refusal = handlers.admit(path.slice(path.lastIndexOf('/') + 1));
    if (refusal !== null) {
      status('error', 'NetStream.Publish.BadName', refusal);
      end(refusal);
      return;
    }
    isPublishing = true;
    limit.bytes = longestMediaBytes;
    clearTimeout(introduction);
    const begun = Buffer.alloc(6);
    begun.writeUInt32BE(streamId, 2);
    write({ type: messageTypes.userControl, stream: 0, body: begun }, channels.control);
    status('status', 'NetStream.Publish.Start', 'Send.');
  }

  socket.setNoDelay(true);
  socket.setTimeout(silentLimitMs, () => end(`It sent nothing for ${silentLimitMs / 1000} s.`));
  socket.on('data', hear);
  socket.on('error', (error) => end(`The connection broke: ${error.message}.`));
  socket.once('end', () => end('It closed the connection.'));
  socket.once('close', () => end('The connection is closed.'));

  return {
    heardAtMs: () => heardAtMs,
    pause(isPaused) {
      isHeldUp = isPaused;
      if (isPaused) socket.pause();
      else socket.resume();
    },
    end,
  };
}

const textOf = (value: AmfValue | undefined): string => (typeof value === 'string' ? value : '');
