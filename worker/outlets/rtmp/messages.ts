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

/**
 * Takes bytes as they come, and answers the messages that are whole with them. Throws for what is no RTMP, and for longer messages
 * than the limit says, which is read anew each time.
 */
export function createMessageReader(limit = { bytes: longestIncomingBytes }): (bytes: Buffer) => RtmpMessage[] {
  const channels = new Map<number, Channel>();
  let chunkBytes = smallestChunkBytes;
  let unread: Buffer = Buffer.alloc(0);

  /** Null: the chunk is not whole yet. */
  function readChunk(): { bytes: number; message: RtmpMessage | null } | null {
    let at = 0;
    const has = (count: number) => unread.length >= at + count;
    if (!has(1)) return null;
    const first = unread[at++] as number;
    const format = first >> 6;
    let channel = first & 63;
    if (channel < 2) {
      const more = channel + 1;
      if (!has(more)) return null;
      channel = 64 + unread.readUIntLE(at, more);
      at += more;
    }
    const before = channels.get(channel);
    if (format > 0 && !before)
      throw new Error('The other side does not speak RTMP as it should: a chunk follows no other.');
    if (!before && channels.size >= mostIncomingChannels)
      throw new Error(`The other side uses more than ${mostIncomingChannels} channels of RTMP.`);
    const state: Channel = before
      ? { ...before }
      : { type: 0, length: 0, stream: 0, timestamp: 0, delta: 0, isLong: false, parts: [], received: 0 };
    const headerBytes = [11, 7, 3, 0][format] as number;
    if (!has(headerBytes)) return null;
    const given = headerBytes > 0 ? unread.readUIntBE(at, 3) : 0;
    if (headerBytes >= 3) state.isLong = given === longTimestamp;
    if (headerBytes >= 7) {
      state.length = unread.readUIntBE(at + 3, 3);
      // Shorter than what is there already, it would be read backwards, for ever.
      if (before && before.received > 0 && state.length !== before.length)
        throw new Error('The other side does not speak RTMP as it should: a message changes its length.');
      state.type = unread[at + 6] as number;
    }
    if (headerBytes === 11) state.stream = unread.readUInt32LE(at + 7);
    at += headerBytes;
    let time = given;
    if (state.isLong) {
      if (!has(4)) return null;
      time = unread.readUInt32BE(at);
      at += 4;
    }
    if (state.received === 0) {
      if (format === 0) state.timestamp = time;
      else if (format < 3) state.delta = time;
      if (format > 0) state.timestamp = (state.timestamp + state.delta) >>> 0;
    }
    if (state.length > limit.bytes) throw new Error(`The other side sent a message of ${state.length} bytes.`);
    const wanted = Math.min(chunkBytes, state.length - state.received);
    if (!has(wanted)) return null;
    state.parts.push(Buffer.from(unread.subarray(at, at + wanted)));
    state.received += wanted;
    at += wanted;
    const { type, timestamp, stream } = state;
    const isWhole = state.received >= state.length;
    const message = isWhole ? { type, timestamp, stream, body: Buffer.concat(state.parts) } : null;
    channels.set(channel, isWhole ? { ...state, parts: [], received: 0 } : state);
    return { bytes: at, message };
  }

  return (bytes) => {
    unread = Buffer.concat([unread, bytes]);
    const messages: RtmpMessage[] = [];
    for (let chunk = readChunk(); chunk; chunk = readChunk()) {
      unread = unread.subarray(chunk.bytes);
      if (!chunk.message) continue;
      if (chunk.message.type === messageTypes.setChunkSize) chunkBytes = chunkSizeOf(chunk.message.body);
      messages.push(chunk.message);
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
