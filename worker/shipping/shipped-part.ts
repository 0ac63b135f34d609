/** One part on its way into the part store: what of it is there, what is next, and which small objects become one. */
import { type FileHandle, open } from 'node:fs/promises';
import type { PartStore } from '../../src/storage/parts.js';

/** ffmpeg writes the length and the index's place into the first kilobyte when it ends; objects of this reach are put again then. */
const headBytes = 65_536;
/** One request's worth when there is much to catch up on. */
const chunkBytes = 8 * 1_048_576;

export interface ShippedPartOptions {
  store: PartStore;
  file: string;
  keyOf: (from: number, to: number) => string;
  /** Small objects are merged when they have this size together. */
  mergeBytes: number;
}

export interface ShippedPart {
  /** Puts what was appended until now, in one request or several. Throws when the store fails, or when the file became shorter. */
  ship(signal: AbortSignal): Promise<void>;
  /** To be called once nobody writes any more: ships the rest, and the head again if it was changed. */
  finish(signal: AbortSignal): Promise<void>;
  /** Nothing is left to do. */
  finished(): boolean;
  /** Whether small objects for at least one large one have come together. */
  isToBeMerged(): boolean;
  /** Puts one object in the place of the small ones, and removes these. Whatever interrupts it, no byte is missing meanwhile. */
  merge(signal: AbortSignal): Promise<void>;
}

interface Range {
  from: number;
  to: number;
}

export function createShippedPart({ store, file, keyOf, mergeBytes }: ShippedPartOptions): ShippedPart {
  let shipped = 0;
  let done = false;
  const head: { range: Range; bytes: Buffer }[] = [];
  let small: Range[] = [];

  async function shipFrom(handle: FileHandle, signal: AbortSignal): Promise<void> {
    const { size } = await handle.stat();
    if (size < shipped)
      throw new Error(`${file} has ${size} bytes, but ${shipped} were there before: someone else writes it.`);
    while (shipped < size) {
      const to = Math.min(size, shipped < headBytes ? headBytes : shipped + chunkBytes);
      const range = { from: shipped, to };
      const bytes = await readRange(handle, range);
      await store.put(keyOf(range.from, range.to), bytes, signal);
      if (to <= headBytes) head.push({ range, bytes });
      else small.push(range);
      shipped = to;
    }
  }

  async function withFile(work: (handle: FileHandle) => Promise<void>): Promise<void> {
    const handle = await open(file, 'r');
    try {
      await work(handle);
    } finally {
      await handle.close();
    }
  }

  /** The oldest small objects that have the size of a large one together; small ones are in order and without holes. */
  function nextMerge(): Range[] | null {
    const first = small[0];
    const last = small.findIndex(({ to }) => first !== undefined && to - first.from >= mergeBytes);
    return last < 0 ? null : small.slice(0, last + 1);
  }

  return {
    ship: (signal) => withFile((handle) => shipFrom(handle, signal)),

    finish: (signal) =>
      withFile(async (handle) => {
        await shipFrom(handle, signal);
        for (const piece of head) {
          const bytes = await readRange(handle, piece.range);
          if (bytes.equals(piece.bytes)) continue;
          await store.put(keyOf(piece.range.from, piece.range.to), bytes, signal);
          piece.bytes = bytes;
        }
        done = true;
      }),

    finished: () => done,

    isToBeMerged: () => nextMerge() !== null,

    async merge(signal) {
      const merged = nextMerge();
      const [first, last] = [merged?.[0], merged?.at(-1)];
      if (!merged || !first || !last) return;
      await store.putRange(keyOf(first.from, last.to), { file, from: first.from, to: last.to }, signal);
      // Readers take the large one from here on: small ones that stay, should this fail, only cost room.
      small = small.slice(merged.length);
      await store.remove(
        merged.map(({ from, to }) => keyOf(from, to)),
        signal,
      );
    },
  };
}

async function readRange(handle: FileHandle, { from, to }: Range): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(to - from);
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
  if (bytesRead < bytes.length)
    throw new Error(`Only ${bytesRead} of ${bytes.length} bytes could be read from byte ${from} on.`);
  return bytes;
}
