/** Looks at a part while ffmpeg appends to it: how far its media goes, and whether the pictures are still what they were. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { elementsOf, ids, keyFlag, numberOf, readElement, readSize, trackTypes } from '../parts/ebml.js';
import { changesOf, type PictureChanges } from '../parts/picture-changes.js';

// A cluster's time, its first block, and the parameter sets that a key frame begins with: ffmpeg begins a cluster with each.
const headBytes = 1_024;

export interface PartFollower {
  /** Looks at what was appended since the last time. Takes some reads of a thousand bytes for a second of media. */
  look(): void;
  bytes(): number;
  /** When the last whole cluster begins, a quarter of a second before its end; milliseconds of media. */
  positionMs(): number;
  /** Where the last whole cluster ends: reads all of it. */
  endMs(): number;
  close(): void;
}

interface Place {
  at: number;
  start: number;
  size: number;
}

/** `onChange` is told from which media time on pictures are of another size or profile than before. */
export function followPart(file: string, onChange: (positionMs: number) => void): PartFollower {
  let descriptor: number | null = null;
  let next = 0;
  let size = 0;
  let positionMs = 0;
  let last: Place | null = null;
  let videoTrack: number | null = null;
  let changes: PictureChanges | null = null;
  const head = Buffer.alloc(headBytes);

  function look(): void {
    descriptor ??= openIfThere(file);
    if (descriptor === null) return;
    size = fstatSync(descriptor).size;
    while (next < size) {
      const bytes = head.subarray(0, readSync(descriptor, head, 0, headBytes, next));
      const element = readElement(bytes, 0);
      if (!element) return;
      // What is in a segment follows its header; its size is unknown while it is written.
      if (element.id === ids.segment) {
        next += element.start;
        continue;
      }
      if (next + element.start + element.size > size) return;
      const place = { at: next, ...element };
      if (element.id === ids.tracks) readTracks(bodyOf(place));
      if (element.id === ids.cluster) {
        last = place;
        readHead(bytes.subarray(element.start));
      }
      next += element.start + element.size;
    }
  }

  function bodyOf({ at, start, size: length }: Place): Buffer {
    const body = Buffer.alloc(length);
    return body.subarray(0, readSync(descriptor as number, body, 0, length, at + start));
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

  /** What a cluster begins with; its first block is cut. */
  function readHead(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const element = readElement(bytes, at);
      if (!element) return;
      const body = bytes.subarray(at + element.start, at + element.start + element.size);
      // ffmpeg counts in milliseconds.
      if (element.id === ids.timestamp) positionMs = Math.max(positionMs, numberOf(body));
      if (element.id === ids.simpleBlock) {
        readBlock(body);
        return;
      }
      at += element.start + element.size;
    }
  }

  function readBlock(block: Buffer): void {
    const track = readSize(block, 0);
    const isKey = track?.value === videoTrack && ((block[(track?.next ?? 0) + 2] ?? 0) & keyFlag) !== 0;
    if (track && isKey && changes?.see(block.subarray(track.next + 3))) onChange(positionMs);
  }

  return {
    look,
    bytes: () => size,
    positionMs: () => positionMs,
    endMs() {
      if (!last) return positionMs;
      let clusterMs = positionMs;
      let endMs = positionMs;
      for (const { id, body } of elementsOf(bodyOf(last))) {
        if (id === ids.timestamp) clusterMs = numberOf(body);
        const block = id === ids.blockGroup ? [...elementsOf(body)].find((each) => each.id === ids.block)?.body : body;
        const track = id === ids.simpleBlock || id === ids.blockGroup ? block && readSize(block, 0) : null;
        if (block && track) endMs = Math.max(endMs, clusterMs + block.readInt16BE(track.next));
      }
      return endMs;
    },
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
