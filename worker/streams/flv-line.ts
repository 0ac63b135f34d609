/** What a publisher sends, as one FLV stream after another: each begins with what all the rest needs, and with a key frame. */
import { flvHeader, flvTag } from '../outlets/flv.js';
import type { MediaMessage } from '../outlets/rtmp/publish.js';

export interface FlvLine {
  /** Takes a message; what is to be written now is handed to `write`. */
  take(message: MediaMessage): void;
  /** Begins a stream. What has come since the last one ended, from its first key frame on, comes first. */
  open(write: (bytes: Buffer) => void): void;
  /** Ends it; what comes then is kept for the next. */
  shut(): void;
}

/** A next stream begins within a second or two; of what comes for longer, the oldest is dropped, up to a key frame. */
const mostKeptBytes = 16 * 1_048_576;

export function createFlvLine(): FlvLine {
  const headers = new Map<'data' | 'audio' | 'video', MediaMessage>();
  let write: ((bytes: Buffer) => void) | null = null;
  let kept: MediaMessage[] = [];
  let keptBytes = 0;
  let isWhole = true;

  function begin(to: (bytes: Buffer) => void, at: number): void {
    to(flvHeader);
    for (const kind of ['data', 'video', 'audio'] as const) {
      const header = headers.get(kind);
      if (header) to(flvTag({ ...header, timestamp: at }));
    }
  }

  function keep(message: MediaMessage): void {
    // Nothing before a key frame can be shown; of sound alone, everything can be heard.
    if (!isWhole && !canBegin(message)) return;
    isWhole = true;
    kept.push(message);
    keptBytes += message.body.length;
    if (keptBytes <= mostKeptBytes) return;
    const next = kept.findIndex((each, index) => index > 0 && canBegin(each));
    const dropped = kept.splice(0, next < 0 ? kept.length : next);
    keptBytes -= dropped.reduce((sum, { body }) => sum + body.length, 0);
    isWhole = kept.length > 0;
  }

  const canBegin = ({ kind, body }: MediaMessage): boolean =>
    headers.has('video') ? kind === 'video' && isKeyFrame(body) : kind === 'audio';

  return {
    take(message) {
      const header = headerKind(message);
      if (header) headers.set(header, message);
      if (write) write(flvTag(message));
      else if (!header) keep(message);
    },
    open(to) {
      begin(to, kept[0]?.timestamp ?? 0);
      for (const message of kept) to(flvTag(message));
      kept = [];
      keptBytes = 0;
      write = to;
    },
    shut() {
      write = null;
      isWhole = false;
    },
  };
}

const isKeyFrame = (body: Buffer): boolean => (body[0] ?? 0) >> 4 === 1;

/** What decoders must have before anything else; null for media itself. */
function headerKind({ kind, body }: MediaMessage): 'data' | 'audio' | 'video' | null {
  const [first = 0, second = 0] = body;
  if (kind === 'data') return 'data';
  // AAC and H.264 say so in their second byte.
  if (kind === 'audio') return first >> 4 === 10 && second === 0 ? 'audio' : null;
  return [7, 12].includes(first & 15) && second === 0 ? 'video' : null;
}
