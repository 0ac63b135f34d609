/** Looks at a part while ffmpeg appends to it: how far its media goes. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { elementsOf, ids, numberOf, readElement, readSize } from '../parts/ebml.js';

// A cluster's time.
const headBytes = 64;

export interface PartFollower {
  /** Looks at what was appended since the last time: reads some bytes of each cluster. */
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

/** The file need not be there yet. */
export function followPart(file: string): PartFollower {
  let descriptor: number | null = null;
  let next = 0;
  let size = 0;
  let positionMs = 0;
  let last: Place | null = null;
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
      if (element.id === ids.cluster) {
        last = { at: next, ...element };
        positionMs = Math.max(positionMs, timeOf(bytes.subarray(element.start)));
      }
      next += element.start + element.size;
    }
  }

  function bodyOf({ at, start, size: length }: Place): Buffer {
    const body = Buffer.alloc(length);
    return body.subarray(0, readSync(descriptor as number, body, 0, length, at + start));
  }

  return {
    look,
    bytes: () => size,
    positionMs: () => positionMs,
    endMs() {
      if (!last) return positionMs;
      const cluster = bodyOf(last);
      const clusterMs = timeOf(cluster);
      let endMs = positionMs;
      for (const { id, body } of elementsOf(cluster)) {
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

/** Of a cluster, by its first bytes: ffmpeg counts in milliseconds. */
function timeOf(cluster: Buffer): number {
  for (const { id, body } of elementsOf(cluster)) if (id === ids.timestamp) return numberOf(body);
  return 0;
}

function openIfThere(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
