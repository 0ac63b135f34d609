/** Reads a part while ffmpeg appends to it: how far its media goes, and whether the pictures are still what they were. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { elementsOf, ids, keyFlag, numberOf, readElement, readSize, trackTypes } from '../parts/ebml.js';
import { changesOf, type PictureChanges } from './parameter-sets.js';

const chunkBytes = 4 * 1_048_576;

export interface PartFollower {
  /** Reads what was appended since the last time. Takes a fraction of a millisecond for a second of media. */
  look(): void;
  bytes(): number;
  /** Pictures in whole clusters. */
  frames(): number;
  /** The latest time in whole clusters, milliseconds. */
  positionMs(): number;
  close(): void;
}

/** `onChange` is told from which media time on pictures are of another size or profile than before. */
export function followPart(file: string, onChange: (positionMs: number) => void): PartFollower {
  let descriptor: number | null = null;
  let next = 0;
  let size = 0;
  let frames = 0;
  let positionMs = 0;
  let videoTrack: number | null = null;
  let changes: PictureChanges | null = null;
  const chunk = Buffer.allocUnsafe(chunkBytes);

  function look(): void {
    descriptor ??= openIfThere(file);
    if (descriptor === null) return;
    size = fstatSync(descriptor).size;
    while (next < size) {
      const bytes = chunk.subarray(0, readSync(descriptor, chunk, 0, chunkBytes, next));
      const before = next;
      take(bytes);
      // Not whole yet; or larger than what is read at once, which no cluster of a quarter of a second is.
      if (next === before) return;
    }
  }

  function take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const element = readElement(bytes, at);
      if (!element) return;
      const start = at + element.start;
      // What is in a segment follows its header; its size is unknown while it is written.
      if (element.id !== ids.segment && start + element.size > bytes.length) return;
      const body = bytes.subarray(start, start + element.size);
      if (element.id === ids.tracks) readTracks(body);
      if (element.id === ids.cluster) readCluster(body);
      const length = element.id === ids.segment ? element.start : element.start + element.size;
      at += length;
      next += length;
    }
  }

  function readTracks(tracks: Buffer): void {
    for (const { id, body } of elementsOf(tracks)) {
      if (id !== ids.trackEntry) continue;
      const fields = [...elementsOf(body)];
      const field = (wanted: number) => fields.find((each) => each.id === wanted)?.body ?? Buffer.alloc(0);
      if (numberOf(field(ids.trackType)) !== trackTypes.video) continue;
      videoTrack = numberOf(field(ids.trackNumber));
      changes = changesOf(field(ids.codecId).toString('latin1'));
    }
  }

  function readCluster(cluster: Buffer): void {
    let clusterMs = 0;
    for (const { id, body } of elementsOf(cluster)) {
      // ffmpeg counts in milliseconds.
      if (id === ids.timestamp) clusterMs = numberOf(body);
      if (id === ids.simpleBlock) readBlock(body, clusterMs);
      if (id === ids.blockGroup)
        for (const inner of elementsOf(body)) if (inner.id === ids.block) readBlock(inner.body, clusterMs);
    }
  }

  function readBlock(block: Buffer, clusterMs: number): void {
    const track = readSize(block, 0);
    if (!track) return;
    const atMs = clusterMs + block.readInt16BE(track.next);
    positionMs = Math.max(positionMs, atMs);
    if (track.value !== videoTrack) return;
    frames += 1;
    const isKey = ((block[track.next + 2] ?? 0) & keyFlag) !== 0;
    if (isKey && changes?.see(block.subarray(track.next + 3))) onChange(atMs);
  }

  return {
    look,
    bytes: () => size,
    frames: () => frames,
    positionMs: () => positionMs,
    close() {
      if (descriptor !== null) closeSync(descriptor);
      descriptor = null;
    },
  };
}

function openIfThere(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
