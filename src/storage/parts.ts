/** Where recorder hosts keep what they record besides their own disk, byte range by byte range. */
import type { FileHandle } from 'node:fs/promises';

export interface StoredObject {
  key: string;
  bytes: number;
  /** Epoch milliseconds, by the store's clock. */
  storedAt: number;
}

/** Bytes `from` up to, not including, `to`. */
export interface FileRange {
  file: string;
  from: number;
  to: number;
}

/**
 * Objects by key; keys are as `checkStorageKey` wants them. Whatever is put is there whole or not at all, and replaces what
 * was under the key. All methods throw StorageUnavailableError, and the signal's reason when it is aborted.
 */
export interface PartStore {
  /** Throws StorageFullError too. */
  put(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** The same for more than fits into memory. The bytes must not change meanwhile. */
  putRange(key: string, range: FileRange, signal?: AbortSignal): Promise<void>;
  /** All whose key begins with the prefix, in order of keys. */
  list(prefix: string, signal?: AbortSignal): Promise<StoredObject[]>;
  /** Writes the object into an open file from `position` on; answers its size, or null when there is none. */
  copyInto(key: string, target: FileHandle, position: number, signal?: AbortSignal): Promise<number | null>;
  /** The whole of a small object; null when there is none. */
  get(key: string, signal?: AbortSignal): Promise<Buffer | null>;
  /** Does nothing about those that are not there. */
  remove(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  /** All whose key begins with the prefix, also what was begun to be put there and never finished. */
  removeAll(prefix: string, signal?: AbortSignal): Promise<void>;
}
