/** Finds the clusters of a Matroska file that another process is still appending to. */
import { type FileHandle, open } from 'node:fs/promises';

const ids = {
  segment: 0x18538067,
  tracks: 0x1654ae6b,
  trackEntry: 0xae,
  trackNumber: 0xd7,
  trackType: 0x83,
  cluster: 0x1f43b675,
  timestamp: 0xe7,
  simpleBlock: 0xa3,
} as const;
const videoType = 1;
const keyFlag = 0x80;
/** Longest header of an element: 4 bytes of id, 8 of size. */
const headerBytes = 12;

/** One whole cluster: a quarter of a second of media. */
export interface Cluster {
  position: number;
  bytes: number;
}

export interface ClusterFacts {
  /** Media time. */
  timeMs: number;
  /** A picture in it can be decoded by itself; where there are no pictures, always true. */
  hasKey: boolean;
}

export interface PartReader {
  /** The whole clusters that were appended since the last call, in order. */
  look(): Promise<Cluster[]>;
  /** Everything before the first cluster. Not before `look` found one. */
  header(): Promise<Buffer>;
  read(cluster: Cluster): Promise<Buffer>;
  facts(cluster: Buffer): ClusterFacts;
  close(): Promise<void>;
}

/** Opens a part; null while there is no such file. The writer is ffmpeg, whose clusters are written whole, with their size. */
export async function openPart(file: string): Promise<PartReader | null> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return handle && createReader(handle);
}

function createReader(handle: FileHandle): PartReader {
  let position = 0;
  let firstCluster: number | null = null;
  let videoTrack: number | null = null;

  async function readAt(from: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.alloc(bytes);
    const { bytesRead } = await handle.read(buffer, 0, bytes, from);
    return buffer.subarray(0, bytesRead);
  }

  return {
    async look() {
      const found: Cluster[] = [];
      const { size: end } = await handle.stat();
      while (position < end) {
        const element = readElement(await readAt(position, headerBytes), 0);
        if (!element) break;
        // What is in a segment follows its header; its size is unknown while it is written.
        if (element.id === ids.segment) {
          position += element.start;
          continue;
        }
        const next = position + element.start + element.size;
        if (next > end) break;
        if (element.id === ids.tracks) videoTrack = videoTrackOf(await readAt(position + element.start, element.size));
        if (element.id === ids.cluster) {
          firstCluster ??= position;
          found.push({ position, bytes: next - position });
        }
        position = next;
      }
      return found;
    },
    header: () => readAt(0, firstCluster ?? 0),
    read: (cluster) => readAt(cluster.position, cluster.bytes),
    facts(cluster) {
      let timeMs = 0;
      let hasKey = videoTrack === null;
      for (const { id, body } of elementsOf(cluster.subarray(readElement(cluster, 0)?.start ?? 0))) {
        // ffmpeg counts in milliseconds.
        if (id === ids.timestamp) timeMs = numberOf(body);
        if (id === ids.simpleBlock) {
          const track = readSize(body, 0);
          if (track?.value === videoTrack && ((body[track.next + 2] ?? 0) & keyFlag) !== 0) hasKey = true;
        }
      }
      return { timeMs, hasKey };
    },
    close: () => handle.close(),
  };
}

function videoTrackOf(tracks: Buffer): number | null {
  for (const { id, body } of elementsOf(tracks)) {
    if (id !== ids.trackEntry) continue;
    const fields = [...elementsOf(body)];
    const value = (wanted: number) => numberOf(fields.find((field) => field.id === wanted)?.body ?? Buffer.alloc(0));
    if (value(ids.trackType) === videoType) return value(ids.trackNumber);
  }
  return null;
}

/** The elements in the contents of another; one that is not whole is cut. */
export function* elementsOf(bytes: Buffer): Generator<{ id: number; body: Buffer }> {
  for (let at = 0; at < bytes.length; ) {
    const element = readElement(bytes, at);
    if (!element) return;
    const start = at + element.start;
    yield { id: element.id, body: bytes.subarray(start, start + element.size) };
    at = start + element.size;
  }
}

/** `start`: where its contents begin, counted from the element. Null when the bytes end before that. */
export function readElement(bytes: Buffer, at: number): { id: number; start: number; size: number } | null {
  const idLength = Math.clz32((bytes[at] ?? 0) << 24) + 1;
  if (idLength > 4 || at + idLength >= bytes.length) return null;
  const size = readSize(bytes, at + idLength);
  return size && { id: bytes.readUIntBE(at, idLength), start: size.next - at, size: size.value };
}

/** A number of variable length, such as a size, and where the next thing begins. */
export function readSize(bytes: Buffer, at: number): { value: number; next: number } | null {
  const length = Math.clz32((bytes[at] ?? 0) << 24) + 1;
  if (length > 8 || at + length > bytes.length) return null;
  let value = (bytes[at] as number) & (0xff >> length);
  for (let index = 1; index < length; index++) value = value * 256 + (bytes[at + index] as number);
  return { value, next: at + length };
}

/** An unsigned number of any length. */
export const numberOf = (bytes: Buffer): number => bytes.reduce((value, byte) => value * 256 + byte, 0);
