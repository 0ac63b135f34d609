/** What goes over a connection of RTSP, one message after the other; media between them is left to others. */

export interface RtspMessage {
  /** As it came, body included. */
  bytes: Buffer;
  /** Such as `SETUP rtsp://… RTSP/1.0`, or `RTSP/1.0 200 OK`. */
  firstLine: string;
  /** The first of each name, which is in lower case. */
  headers: Map<string, string>;
}

/** An announcement has some kilobytes. */
const longestBytes = 65_536;
const headEnd = '\r\n\r\n';

/**
 * Takes bytes as they come. Answers the messages that are whole with them, and `media`: all that follows, once a packet of media
 * has come in the place of a message. Throws for what is no RTSP.
 */
export function createRtspReader(): (bytes: Buffer) => { messages: RtspMessage[]; media: Buffer | null } {
  let unread: Buffer = Buffer.alloc(0);

  function next(): RtspMessage | null {
    const end = unread.indexOf(headEnd);
    if (end < 0) return null;
    const [firstLine = '', ...lines] = unread.toString('latin1', 0, end).split('\r\n');
    if (!/^RTSP\/1\.0 \d{3}\b|^[A-Z_]+ \S+ RTSP\/1\.0$/.test(firstLine)) throw new Error('It does not speak RTSP.');
    const headers = new Map<string, string>();
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^:\s]+)\s*:\s*(.*)$/.exec(line) ?? [];
      if (name && !headers.has(name.toLowerCase())) headers.set(name.toLowerCase(), value);
    }
    const length = Number(headers.get('content-length') ?? 0);
    if (!Number.isInteger(length) || length < 0 || length > longestBytes) throw new Error('It says too much at once.');
    const whole = end + headEnd.length + length;
    if (unread.length < whole) return null;
    const bytes = unread.subarray(0, whole);
    unread = unread.subarray(whole);
    return { bytes, firstLine, headers };
  }

  return (bytes) => {
    unread = unread.length === 0 ? bytes : Buffer.concat([unread, bytes]);
    const messages: RtspMessage[] = [];
    while (unread.length > 0 && unread[0] !== 0x24) {
      const message = next();
      if (!message) {
        if (unread.length > 2 * longestBytes) throw new Error('It says too much at once.');
        return { messages, media: null };
      }
      messages.push(message);
    }
    const media = unread.length > 0 ? unread : null;
    if (media) unread = Buffer.alloc(0);
    return { messages, media };
  };
}
