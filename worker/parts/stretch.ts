/** What is taken of a part, written as clusters of a Matroska stream at another time. */
import { element, elementsOf, endlessElement, ids, numberElement, readElement } from './ebml.js';
import {
  type Block,
  blocksIn,
  type Cluster,
  type Kind,
  type PartFile,
  type ReadCluster,
  type Track,
} from './part-file.js';

/**
 * Pictures by where they are stored, since each needs only such that are stored before it; sound by its time, so that of two
 * stretches that follow each other none has a sound of the other's.
 */
export interface Stretch {
  /** Media time of the part, milliseconds. */
  fromMs: number;
  toMs: number;
  /** Positions in the file. */
  fromByte: number;
  toByte: number;
}

// Sound and pictures of one time lie so far from each other in a part at most: what its writer holds one back for the other.
export const interleavingMs = 2_500;

export interface StretchOptions {
  /** Where in the stream it begins, milliseconds. */
  atMs: number;
  /** The stream's: of other kinds nothing is taken. */
  tracks: readonly Track[];
  /** Pictures that are shown before the first are left out: they need some that are not there. */
  isFirst: boolean;
  /** What each picture that can be decoded by itself is to begin with; null: nothing more than it has. */
  prefix?: Buffer | null;
  /** Told how many pictures were written. */
  onPictures: (pictures: number) => void;
  /** Told how many blocks of sound were. */
  onSounds?: (blocks: number) => void;
}

/** The head of a stream with these tracks. A `setup` stands for the one that the track came with. */
export function streamHead(tracks: readonly { track: Track; setup: Buffer | null }[]): Buffer {
  const header = element(
    ids.header,
    ...[numberElement(0x4286, 1), numberElement(0x42f7, 1), numberElement(0x42f2, 4), numberElement(0x42f3, 8)],
    ...[element(0x4282, Buffer.from('matroska')), numberElement(0x4287, 4), numberElement(0x4285, 2)],
  );
  // Times in milliseconds, as ffmpeg writes them.
  const name = Buffer.from('tapedeck');
  const info = element(
    ids.info,
    ...[numberElement(ids.timestampScale, 1_000_000), element(ids.muxingApp, name), element(ids.writingApp, name)],
  );
  const entries = tracks.map(({ track, setup }) =>
    element(
      ids.trackEntry,
      ...track.fields.filter(({ id }) => id !== ids.codecPrivate).map(({ id, body }) => element(id, body)),
      ...(setup ? [element(ids.codecPrivate, setup)] : []),
    ),
  );
  return Buffer.concat([header, endlessElement(ids.segment), info, element(ids.tracks, ...entries)]);
}

/** The clusters that hold anything of it. */
export function clustersOf(part: PartFile, { fromMs, toMs, fromByte, toByte }: Stretch): Cluster[] {
  const hasPictures = ({ position, bytes }: Cluster) => position < toByte && position + bytes > fromByte;
  const hasSound = ({ timeMs }: Cluster) => timeMs >= fromMs - interleavingMs && timeMs <= toMs + interleavingMs;
  return part.clusters.filter((cluster) => hasPictures(cluster) || hasSound(cluster));
}

export async function* writeStretch(
  part: PartFile,
  stretch: Stretch,
  options: StretchOptions,
): AsyncGenerator<Buffer, void> {
  const { fromMs, toMs, fromByte, toByte } = stretch;
  const { tracks, isFirst, prefix } = options;
  const shiftMs = options.atMs - fromMs;
  const numberOf = (kind: Kind) => tracks.find((track) => track.kind === kind)?.number ?? null;
  const isAsIs = !prefix && part.tracks.every(({ kind, number }) => numberOf(kind) === number);

  const isTaken = ({ kind, timeMs, position }: Block) => {
    if (numberOf(kind) === null) return false;
    if (kind === 'audio') return timeMs >= fromMs && timeMs < toMs;
    return position >= fromByte && position < toByte && !(isFirst && timeMs < fromMs);
  };
  /** Nothing in it is near to either end. */
  const isAllTaken = ({ position, bytes, timeMs }: Cluster) =>
    position >= fromByte &&
    position + bytes <= toByte &&
    timeMs >= fromMs + interleavingMs &&
    timeMs < toMs - interleavingMs;

  /** Only its own time is another. */
  function moved(cluster: ReadCluster): Buffer {
    const { content, timeMs } = cluster;
    const from = retimed(content, timeMs + shiftMs);
    const first = from ?? firstBlockOf(content);
    options.onPictures(countBlocks(content, first, numberOf('video')));
    options.onSounds?.(countBlocks(content, first, numberOf('audio')));
    if (from !== null) return content;
    return element(ids.cluster, numberElement(ids.timestamp, timeMs + shiftMs), content.subarray(first));
  }

  function rewritten(cluster: ReadCluster): Buffer | null {
    if (isAsIs && isAllTaken(cluster)) return moved(cluster);
    const { content } = cluster;
    const taken = blocksIn(cluster, part.tracks).filter(isTaken);
    if (taken.length === 0) return null;
    const startMs = Math.max(0, Math.min(...taken.map(({ timeMs }) => timeMs)) + shiftMs);
    const written = taken.map((block) => {
      content.writeInt16BE(block.timeMs + shiftMs - startMs, block.timeAt);
      content[block.trackAt] = 0x80 | (numberOf(block.kind) as number);
      const isToBegin = prefix && block.kind === 'video' && block.isKey && block.isSimple;
      return isToBegin ? prefixed(content, block, prefix) : content.subarray(block.at, block.end);
    });
    const pictures = taken.filter(({ kind }) => kind === 'video').length;
    options.onPictures(pictures);
    options.onSounds?.(taken.length - pictures);
    return element(ids.cluster, numberElement(ids.timestamp, startMs), ...written);
  }

  for await (const bite of part.read(clustersOf(part, stretch))) {
    const written = bite.map(rewritten).filter((cluster) => cluster !== null);
    if (written.length > 0) yield asOne(written);
  }
}

/** Those that lie behind each other already, as most do, are not copied once more. */
function asOne(buffers: readonly Buffer[]): Buffer {
  const [first, ...others] = buffers as [Buffer];
  let end = first.byteOffset + first.length;
  for (const { buffer, byteOffset, length } of others) {
    if (buffer !== first.buffer || byteOffset !== end) return Buffer.concat(buffers);
    end += length;
  }
  return Buffer.from(first.buffer, first.byteOffset, end - first.byteOffset);
}

/**
 * Writes another time into a cluster, over the checksum too, which would be wrong. Answers where its blocks begin; null where
 * there is no room for it, and nothing was changed.
 */
function retimed(content: Buffer, timeMs: number): number | null {
  const start = readElement(content, 0)?.start ?? 0;
  const first = firstBlockOf(content);
  const room = first - start;
  // The element's id, its size in as many bytes as are left over, and its value.
  const valueBytes = room === 9 ? 7 : 8;
  const sizeBytes = room - 1 - valueBytes;
  if (sizeBytes < 1 || sizeBytes > 8) return null;
  content.fill(0, start, first);
  content[start] = ids.timestamp;
  content[start + 1] = 0x80 >> (sizeBytes - 1);
  content[start + sizeBytes] = (content[start + sizeBytes] as number) | valueBytes;
  content.writeUIntBE(timeMs, first - 6, 6);
  return first;
}

function firstBlockOf(content: Buffer): number {
  for (const { id, at } of elementsOf(content, readElement(content, 0)?.start ?? 0))
    if (id === ids.simpleBlock || id === ids.blockGroup) return at;
  return content.length;
}

/** Between the block's head and its contents: its track, its time, and its flags are the head. */
function prefixed(bytes: Buffer, { trackAt, timeAt, end }: Block, prefix: Buffer): Buffer {
  return element(ids.simpleBlock, bytes.subarray(trackAt, timeAt + 3), prefix, bytes.subarray(timeAt + 3, end));
}

/** How many blocks of a track there are. Thousands a second: without an object for each. */
function countBlocks(bytes: Buffer, from: number, track: number | null): number {
  if (track === null) return 0;
  let count = 0;
  for (let at = from; at < bytes.length; ) {
    const found = readElement(bytes, at);
    if (!found) break;
    const body = at + found.start;
    if (found.id === ids.simpleBlock && bytes[body] === (0x80 | track)) count += 1;
    if (found.id === ids.blockGroup) {
      for (const member of elementsOf(bytes.subarray(body, body + found.size)))
        if (member.id === ids.block && member.body[0] === (0x80 | track)) count += 1;
    }
    at = body + found.size;
  }
  return count;
}

export interface NewBlock {
  kind: Kind;
  /** In the stream, milliseconds. */
  atMs: number;
  isKey: boolean;
  payload: Buffer;
}

/** A cluster of pictures and sounds that were in no part. */
export function writeCluster(blocks: readonly NewBlock[], tracks: readonly Track[]): Buffer {
  const startMs = Math.round(Math.min(...blocks.map(({ atMs }) => atMs)));
  const written = blocks.map(({ kind, atMs, isKey, payload }) => {
    const number = tracks.find((track) => track.kind === kind)?.number ?? 0;
    const head = Buffer.from([0x80 | number, 0, 0, isKey ? 0x80 : 0]);
    head.writeInt16BE(Math.round(atMs) - startMs, 1);
    return element(ids.simpleBlock, head, payload);
  });
  return element(ids.cluster, numberElement(ids.timestamp, startMs), ...written);
}
