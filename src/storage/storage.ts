/** Where results are kept: what any place for files must be able to do, a folder as well as a bucket. */

/** How to hand a stored file to a client: its bytes are in a local file, or elsewhere, at a URL to redirect to. */
export type StoredFile = { kind: 'path'; path: string } | { kind: 'redirect'; url: string };

/** What a download should say about itself; a store that answers with a URL must sign it in. */
export interface Presentation {
  mediaType: string;
  /** Value of the `Content-Disposition` header. */
  disposition: string;
}

export interface Storage {
  /**
   * Keeps a local file under a key, whole or not at all; the same key again replaces it. The source may become one
   * with the stored file: never write into it afterwards. Throws StorageFullError, StorageUnavailableError, StorageKeyError.
   */
  put(key: string, file: string, mediaType: string): Promise<void>;
  /** Null if nothing is kept under the key. */
  read(key: string, presentation: Presentation): Promise<StoredFile | null>;
  /** Does nothing if nothing is kept under the key. */
  remove(key: string): Promise<void>;
}

/** For messages about room. */
export const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** There is no room for the file. */
export class StorageFullError extends Error {
  override readonly name = 'StorageFullError';
  readonly code = 'STORAGE_FULL';
}

/** Whether a file could not be written because its disk has no room for it. */
export const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException | null)?.code ?? '');

/** The storage is elsewhere and does not do its part. The message names it and what to check, and no secret. */
export class StorageUnavailableError extends Error {
  override readonly name = 'StorageUnavailableError';
  readonly code = 'STORAGE_UNAVAILABLE';
}

/** The key could lead out of the storage, or is no key at all. */
export class StorageKeyError extends Error {
  override readonly name = 'StorageKeyError';
  readonly code = 'STORAGE_KEY';
}

/** Folders and a file name, such as `project/job/recording-1.mp4`. Throws StorageKeyError. */
export function checkStorageKey(key: string): void {
  // No part begins with a dot: neither `..` nor a draft that is being written.
  const isKey = key.length <= 512 && /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/.test(key);
  if (isKey) return;
  const expected =
    'Use letters, digits, dots, dashes and underscores, in parts separated by "/" that do not begin with a dot.';
  throw new StorageKeyError(`"${key.slice(0, 100)}" is not a storage key. ${expected}`);
}
