/** FLV streams, whose packets are the messages of RTMP too: read, and written. */
import type { MediaMessage } from './rtmp/publish.js';

const fileHeaderBytes = 9;
const tagHeaderBytes = 11;
/** Behind the file's header and each tag: how long it was. */
const trailerBytes = 4;
const kinds: Partial<Record<number, MediaMessage['kind']>> = { 8: 'audio', 9: 'video', 18: 'data' };

/** Timestamps are the stream's own, milliseconds. What a stream breaks off in the middle of is left out. */
export async function* flvMessages(stream: AsyncIterable<Buffer>): AsyncGenerator<MediaMessage> {
  let unread: Buffer = Buffer.alloc(0);
  let begun = false;
  for await (const bytes of stream) {
    unread = Buffer.concat([unread, bytes]);
    if (!begun) {
      if (unread.length < fileHeaderBytes + trailerBytes) continue;
      unread = unread.subarray(fileHeaderBytes + trailerBytes);
      begun = true;
    }
    while (unread.length >= tagHeaderBytes) {
      const length = unread.readUIntBE(1, 3);
      const next = tagHeaderBytes + length + trailerBytes;
      if (unread.length < next) break;
      const kind = kinds[(unread[0] as number) & 31];
      const timestamp = ((unread[7] as number) * 2 ** 24 + unread.readUIntBE(4, 3)) >>> 0;
      const body = unread.subarray(tagHeaderBytes, tagHeaderBytes + length);
      unread = unread.subarray(next);
      if (kind) yield { kind, timestamp, body };
    }
  }
}

/** What a stream begins with. It may have sound and pictures, whatever comes. */
export const flvHeader = Buffer.from([0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, fileHeaderBytes, 0, 0, 0, 0]);

/** One packet as it follows others. */
export function flvTag({ kind, timestamp, body }: MediaMessage): Buffer {
  const head = Buffer.alloc(tagHeaderBytes);
  head[0] = kind === 'audio' ? 8 : kind === 'video' ? 9 : 18;
  head.writeUIntBE(body.length, 1, 3);
  head.writeUIntBE(timestamp & 0xff_ff_ff, 4, 3);
  head[7] = (timestamp >>> 24) & 0xff;
  const trailer = Buffer.alloc(trailerBytes);
  trailer.writeUInt32BE(tagHeaderBytes + body.length);
  return Buffer.concat([head, body, trailer]);
}
