/** Messages of RTMP, which travel in chunks: cut into them on the way out, put together on the way in. */

export const messageTypes = {
  setChunkSize: 1,
  acknowledgement: 3,
  userControl: 4,
  windowSize: 5,
  peerBandwidth: 6,
  audio: 8,
  video: 9,
  data: 18,
  command: 20,
} as const;

export interface RtmpMessage {
  type: number;
  /** Milliseconds; counts over at 2^32. */
  timestamp: number;
  /** 0 is the connection itself. */
  stream: number;
  body: Buffer;
}

const longTimestamp = 0xff_ff_ff;
/** Who has media to say, sends longer ones. With the channels below, 1 MB is all that can pend. */
const longestIncomingBytes = 65_536;
/** Both sides use a handful. */
const mostIncomingChannels = 16;
/** Also what a connection begins with: in smaller ones, a message would be more work than it is worth. */
const smallestChunkBytes = 128;

/** One message in chunks. `channel`: 2 to 63, one for each kind of message. */
export function toChunks(message: RtmpMessage, channel: number, chunkBytes: number): Buffer {
  const { type, stream, body } = message;
  const timestamp = message.timestamp >>> 0;
  const isLong = timestamp >= longTimestamp;
  const extended = Buffer.alloc(isLong ? 4 : 0);
  if (isLong) extended.writeUInt32BE(timestamp);
  // Always in full: what a shorter header saves is nothing beside the media.
  const header = Buffer.alloc(12);
  header[0] = channel;
  header.writeUIntBE(isLong ? longTimestamp : timestamp, 1, 3);
  header.writeUIntBE(body.length, 4, 3);
  header[7] = type;
  header.writeUInt32LE(stream, 8);
  const chunks: Buffer[] = [header, extended, body.subarray(0, chunkBytes)];
  for (let at = chunkBytes; at < body.length; at += chunkBytes)
    chunks.push(Buffer.from([0xc0 | channel]), extended, body.subarray(at, at + chunkBytes));
  return Buffer.concat(chunks);
}

const headersOfFormats = [11, 7, 3, 0];

interface Channel {
  type: number;
  length: number;
  stream: number;
  timestamp: number;
  delta: number;
  isLong: boolean;
  parts: Buffer[];
  received: number;
}

const newChannel = { type: 0, length: 0, stream: 0, timestamp: 0, delta: 0, isLong: false, received: 0 };

/**
 * Takes bytes as they come, and answers the messages that are whole with them. Throws for what is no RTMP, and for longer messages
 * than the limit says, which is read anew each time.
 */
export function createMessageReader(limit = { bytes: longestIncomingBytes }): (bytes: Buffer) => RtmpMessage[] {
  const channels = new Map<number, Channel>();
  let chunkBytes = smallestChunkBytes;
  let unread: Buffer = Buffer.alloc(0);
  let start = 0;

  /** Undefined: the chunk is not whole yet, and nothing has been read of it. Encoders send thousands a second. */
  function readChunk(): RtmpMessage | null | undefined {
    let at = start;
    const end = unread.length;
    if (end < at + 1) return;
    const first = unread[at++] as number;
    const format = first >> 6;
    let number = first & 63;
    if (number < 2) {
      const more = number + 1;
      if (end < at + more) return;
      number = 64 + unread.readUIntLE(at, more);
      at += more;
    }
    const before = channels.get(number);
    if (format > 0 && !before)
      throw new Error('The other side does not speak RTMP as it should: a chunk follows no other.');
    if (!before && channels.size >= mostIncomingChannels)
      throw new Error(`The other side uses more than ${mostIncomingChannels} channels of RTMP.`);
    const headerBytes = headersOfFormats[format] as number;
    if (end < at + headerBytes) return;
    const given = headerBytes > 0 ? unread.readUIntBE(at, 3) : 0;
    const isLong = headerBytes > 0 ? given === longTimestamp : (before?.isLong ?? false);
    const length = headerBytes >= 7 ? unread.readUIntBE(at + 3, 3) : (before?.length ?? 0);
    const received = before?.received ?? 0;
    // Shorter than what is there already, it would be read backwards, for ever.
    if (received > 0 && length !== before?.length)
      throw new Error('The other side does not speak RTMP as it should: a message changes its length.');
    const header = at;
    at += headerBytes;
    let time = given;
    if (isLong) {
      if (end < at + 4) return;
      time = unread.readUInt32BE(at);
      at += 4;
    }
    if (length > limit.bytes) throw new Error(`The other side sent a message of ${length} bytes.`);
    const wanted = Math.min(chunkBytes, length - received);
    if (end < at + wanted) return;
    const channel = before ?? { ...newChannel, parts: [] };
    if (!before) channels.set(number, channel);
    channel.isLong = isLong;
    channel.length = length;
    if (headerBytes >= 7) channel.type = unread[header + 6] as number;
    if (headerBytes === 11) channel.stream = unread.readUInt32LE(header + 7);
    if (received === 0) {
      if (format === 0) channel.timestamp = time;
      else if (format < 3) channel.delta = time;
      if (format > 0) channel.timestamp = (channel.timestamp + channel.delta) >>> 0;
    }
    channel.parts.push(unread.subarray(at, at + wanted));
    channel.received += wanted;
    start = at + wanted;
    if (channel.received < length) return null;
    const { type, timestamp, stream, parts } = channel;
    channel.parts = [];
    channel.received = 0;
    return { type, timestamp, stream, body: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts) };
  }

  return (bytes) => {
    unread = start === unread.length ? bytes : Buffer.concat([unread.subarray(start), bytes]);
    start = 0;
    const messages: RtmpMessage[] = [];
    for (let message = readChunk(); message !== undefined; message = readChunk()) {
      if (!message) continue;
      if (message.type === messageTypes.setChunkSize) chunkBytes = chunkSizeOf(message.body);
      messages.push(message);
    }
    return messages;
  };
}

function chunkSizeOf(body: Buffer): number {
  const bytes = body.length < 4 ? 0 : body.readUInt32BE(0) & 0x7fffffff;
  if (bytes < smallestChunkBytes)
    throw new Error(`The other side wants chunks of ${bytes} bytes; at least ${smallestChunkBytes} were expected.`);
  return bytes;
}
