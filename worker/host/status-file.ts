/** The file in which a host tells how it is doing: written over in place, since to replace it twice a second keeps a disk busier than recording does. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { readJson } from './atomic-file.js';

/** A page of memory, which is written as one; most fit. */
const pageBytes = 4_096;
/** Who reads while it is written may see two halves; a moment later it is whole. */
const readAttempts = 4;

export interface StatusFile {
  /** Throws when the disk refuses it. */
  write(value: unknown): void;
  close(): void;
}

/** Creates it, for its own user alone. */
export function openStatusFile(file: string): StatusFile {
  const descriptor = openSync(file, 'w', 0o600);
  let longest = 0;
  return {
    write(value) {
      const text = JSON.stringify(value);
      // Spaces cover what is left of a longer one.
      longest = Math.max(longest, Math.ceil(Buffer.byteLength(text) / pageBytes) * pageBytes);
      const bytes = Buffer.alloc(longest, ' ');
      bytes.write(text);
      writeSync(descriptor, bytes, 0, bytes.length, 0);
    },
    close: () => closeSync(descriptor),
  };
}

/** The newest value, or null when there is none yet. */
export function readStatusFile<T>(file: string): T | null {
  for (let attempt = 1; ; attempt++) {
    const value = readJson<T>(file);
    if (value !== null || attempt === readAttempts) return value;
  }
}
