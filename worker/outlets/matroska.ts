/** Finds the clusters of a Matroska file that another process is still appending to. */
import { type FileHandle, open } from 'node:fs/promises';
import { elementsOf, headerBytes, ids, keyFlag, numberOf, readElement, readSize, trackTypes } from '../parts/ebml.js';
import { completeSound } from '../parts/sound-setup.js';

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
  let tracks: { from: number; bytes: number } | null = null;

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
        if (element.id === ids.tracks) {
          tracks = { from: position + element.start, bytes: element.size };
          videoTrack = videoTrackOf(await readAt(tracks.from, tracks.bytes));
        }
        if (element.id === ids.cluster) {
          firstCluster ??= position;
          found.push({ position, bytes: next - position });
        }
        position = next;
      }
      return found;
    },
    async header() {
      const bytes = await readAt(0, firstCluster ?? 0);
      if (tracks) completeSound(bytes.subarray(tracks.from, tracks.from + tracks.bytes));
      return bytes;
    },
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
    if (value(ids.trackType) === trackTypes.video) return value(ids.trackNumber);
  }
  return null;
}
