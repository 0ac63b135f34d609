/** A part as it lies on disk, finished or not: its tracks, its clusters, and the pictures and sounds in each. */
import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate as breathe } from 'node:timers/promises';
import { elementsOf, headerBytes, ids, keyFlag, numberOf, readElement, readSize, trackTypes } from './ebml.js';
import { completeSound } from './sound-setup.js';

export type Kind = 'video' | 'audio';

export interface Track {
  kind: Kind;
  number: number;
  /** As Matroska names it. */
  codecId: string;
  /** What a decoder must know before the first picture or sound; null where it needs nothing. */
  setup: Buffer | null;
  /** Length of each picture, milliseconds, where the file says it. */
  frameMs: number | null;
  /** Everything that the file says of it. */
  fields: readonly { id: number; body: Buffer }[];
}

/** A quarter of a second of media. */
export interface Cluster {
  /** Where it begins in the file. */
  position: number;
  bytes: number;
  /** Media time, milliseconds. */
  timeMs: number;
}

/** A picture, or a few hundredths of a second of sound. */
export interface Block {
  kind: Kind;
  /** Media time, milliseconds. */
  timeMs: number;
  /** It can be decoded by itself. */
  isKey: boolean;
  /** Where it begins in the file. */
  position: number;
  /** Where it begins and ends in the bytes of its cluster, and where in them its track's number and its time stand. */
  at: number;
  end: number;
  trackAt: number;
  timeAt: number;
  /** Not within a group, with more about it. */
  isSimple: boolean;
}

export interface ReadCluster extends Cluster {
  /** Its bytes, which are the reader's to change. */
  content: Buffer;
}

export interface PartFile {
  /** The first of each kind; none before the file's head was found. */
  tracks: readonly Track[];
  /** All that were found so far, in stored order. */
  clusters: readonly Cluster[];
  /**
   * Looks for what was appended. Of a part that nobody writes any more, what is whole of the last cluster counts too, and what
   * a power cut spoiled is passed over.
   */
  look(isClosed: boolean): Promise<void>;
  /** What is in them, in order. They are read in large bites: thousands of small ones would take longer than all the rest. */
  read(clusters: readonly Cluster[]): AsyncIterable<ReadCluster[]>;
  close(): Promise<void>;
}

/** Throws what the disk throws. */
export async function openPartFile(file: string): Promise<PartFile> {
  return createReader(await open(file, 'r'));
}

/** What follows each other in a segment. */
const topLevel: readonly number[] = [
  ...[ids.header, ids.segment, ids.seekHead, ids.info, ids.tracks, ids.cluster, ids.cues],
  ...[ids.tags, ids.chapters, ids.attachments, ids.void, ids.checksum],
];
/** A cluster's own header, and what stands first in it: a checksum, and its time. */
const peekBytes = headerBytes + 16;
const searchBytes = 1 << 20;
const biteBytes = 1 << 20;
/** Heads of clusters are read one by one, 60 times faster than by way of another thread; others get their turn in between. */
const peeksAtOnce = 50;
const magic = Buffer.from(ids.cluster.toString(16), 'hex');

function createReader(handle: FileHandle): PartFile {
  const tracks: Track[] = [];
  const clusters: Cluster[] = [];
  let position = 0;
  let head: { from: number; bytes: number } | null = null;

  /** What a decoder must know may come with the first sound, and is written into the head then. */
  async function readTracks(): Promise<void> {
    if (!head || (tracks.length > 0 && tracks.every(({ setup }) => setup))) return;
    const bytes = await readAt(head.from, head.bytes);
    completeSound(bytes);
    tracks.splice(0, tracks.length, ...tracksIn(bytes));
  }

  async function readAt(from: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(bytes);
    const { bytesRead } = await handle.read(buffer, 0, bytes, from);
    return buffer.subarray(0, bytesRead);
  }

  async function readBite(bite: readonly Cluster[]): Promise<ReadCluster[]> {
    const from = (bite[0] as Cluster).position;
    const bytes = await readAt(from, endOf(bite.at(-1) as Cluster) - from);
    return bite.map(({ position: at, bytes: length, timeMs }) => {
      return { position: at, bytes: length, timeMs, content: bytes.subarray(at - from, at - from + length) };
    });
  }

  function peekAt(from: number): Buffer {
    const buffer = Buffer.allocUnsafe(peekBytes);
    return buffer.subarray(0, readSync(handle.fd, buffer, 0, peekBytes, from));
  }

  /** Where the next cluster begins behind what is no element; the end of the file when there is none. */
  async function nextCluster(from: number, end: number): Promise<number> {
    for (let at = from; at < end; at += searchBytes) {
      // Overlapping, so that one across the border of two is found.
      const bytes = await readAt(at, searchBytes + magic.length);
      const found = bytes.indexOf(magic);
      if (found >= 0) return at + found;
    }
    return end;
  }

  async function timeOf(peeked: Buffer, start: number, from: number, bytes: number): Promise<number | null> {
    const timeIn = (found: Buffer) => {
      for (const { id, body } of elementsOf(found, start)) if (id === ids.timestamp) return numberOf(body);
      return null;
    };
    return timeIn(peeked) ?? timeIn(await readAt(from, bytes));
  }

  return {
    tracks,
    clusters,
    async look(isClosed) {
      const { size: end } = await handle.stat();
      for (let peeks = 1; position < end; peeks++) {
        if (peeks % peeksAtOnce === 0) await breathe();
        const peeked = peekAt(position);
        const found = readElement(peeked, 0);
        if (!found || !topLevel.includes(found.id)) {
          if (!isClosed) break;
          position = await nextCluster(position + 1, end);
          continue;
        }
        // What is in a segment follows its header; its size is unknown while it is written.
        if (found.id === ids.segment) {
          position += found.start;
          continue;
        }
        const next = position + found.start + found.size;
        if (next > end && !isClosed) break;
        const bytes = Math.min(next, end) - position;
        if (found.id === ids.tracks) head = { from: position + found.start, bytes: found.size };
        if (found.id === ids.cluster) {
          const timeMs = await timeOf(peeked, found.start, position, bytes);
          if (timeMs !== null) clusters.push({ position, bytes, timeMs });
        }
        position += bytes;
      }
      await readTracks();
    },
    async *read(wanted) {
      const bites = bitesOf(wanted);
      let ahead: Promise<ReadCluster[]> | null = null;
      for (const [index, bite] of bites.entries()) {
        const read: ReadCluster[] = await (ahead ?? readBite(bite));
        const next = bites[index + 1];
        // Whoever looks for something often finds it in the first one.
        ahead = index > 0 && next ? readBite(next) : null;
        // It is heard of when it is waited for, if ever.
        ahead?.catch(() => {});
        yield read;
      }
    },
    close: () => handle.close(),
  };
}

const endOf = ({ position, bytes }: Cluster): number => position + bytes;

/** Clusters that lie behind each other. */
function bitesOf(clusters: readonly Cluster[]): Cluster[][] {
  const bites: Cluster[][] = [];
  for (const cluster of clusters) {
    const bite = bites.at(-1);
    const first = bite?.[0];
    const fits =
      first && endOf(cluster) - first.position <= biteBytes && endOf(bite.at(-1) as Cluster) === cluster.position;
    if (fits) bite.push(cluster);
    else bites.push([cluster]);
  }
  return bites;
}

function tracksIn(bytes: Buffer): Track[] {
  const found: Track[] = [];
  for (const { id, body } of elementsOf(bytes)) {
    if (id !== ids.trackEntry) continue;
    const fields = [...elementsOf(body)].map((field) => ({ id: field.id, body: field.body }));
    const bodyOf = (wanted: number) => fields.find((field) => field.id === wanted)?.body ?? null;
    const type = numberOf(bodyOf(ids.trackType) ?? Buffer.alloc(0));
    const kind = type === trackTypes.video ? 'video' : type === trackTypes.audio ? 'audio' : null;
    if (!kind || found.some((track) => track.kind === kind)) continue;
    const duration = bodyOf(ids.defaultDuration);
    found.push({
      ...{ kind, fields },
      number: numberOf(bodyOf(ids.trackNumber) ?? Buffer.alloc(0)),
      codecId: (bodyOf(ids.codecId) ?? Buffer.alloc(0)).toString('latin1'),
      setup: bodyOf(ids.codecPrivate),
      // Nanoseconds.
      frameMs: duration ? numberOf(duration) / 1e6 : null,
    });
  }
  return found;
}

/**
 * Those of the tracks, in stored order. An hour has hundreds of thousands, so each is looked at where it lies, and made in one
 * go: with views of elements, and objects put together of others, all of this took five times as long.
 */
export function blocksIn({ content: bytes, ...cluster }: ReadCluster, tracks: readonly Track[]): Block[] {
  const blocks: Block[] = [];
  let next = 0;
  for (let at = readElement(bytes, 0)?.start ?? 0; at < bytes.length; at = next) {
    const element = readElement(bytes, at);
    if (!element) break;
    const from = at + element.start;
    next = from + element.size;
    if (next > bytes.length) break;
    const isSimple = element.id === ids.simpleBlock;
    if (!isSimple && element.id !== ids.blockGroup) continue;
    const group = isSimple ? null : [...elementsOf(bytes.subarray(from, next))];
    const block = group ? group.find(({ id }) => id === ids.block)?.body : null;
    const trackAt = block ? block.byteOffset - bytes.byteOffset : from;
    const end = block ? trackAt + block.length : next;
    const number = group && !block ? null : readSize(bytes, trackAt);
    const kind = number && tracks.find((track) => track.number === number.value)?.kind;
    if (!number || !kind || number.next + 3 > end) continue;
    const timeAt = number.next;
    const isKey = group
      ? !group.some(({ id }) => id === ids.referenceBlock)
      : ((bytes[timeAt + 2] as number) & keyFlag) !== 0;
    const timeMs = cluster.timeMs + bytes.readInt16BE(timeAt);
    const position = cluster.position + at;
    blocks.push({ kind, timeMs, isKey, position, at, end: next, trackAt, timeAt, isSimple });
  }
  return blocks;
}
