/** The part store that is a bucket. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { PartStore, StoredObject } from './parts.js';
import { isNotThere, isOfLocalDisk, type S3Connection } from './s3-connection.js';
import { abortUploads, uploadTo } from './s3-upload.js';
import { checkStorageKey, StorageUnavailableError } from './storage.js';

/** What one request can delete. */
const deletedAtOnce = 1_000;
const readAttempts = 3;

/** Keeps objects below `parts/` in the bucket. */
export function createS3PartStore(connection: S3Connection): PartStore {
  const { bucket: Bucket, prefix } = connection.settings;
  const root = `${prefix}parts/`;
  const placeOf = (key: string) => {
    checkStorageKey(key);
    return { Bucket, Key: root + key };
  };

  const store: PartStore = {
    async put(key, bytes, signal) {
      const place = { ...placeOf(key), Body: bytes, ChecksumAlgorithm: 'SHA256' as const };
      await connection.use(
        'take up a part',
        (sdk, client) => client.send(new sdk.PutObjectCommand(place), { abortSignal: signal }),
        signal,
      );
    },

    async putRange(key, range, signal) {
      const { Key } = placeOf(key);
      // One piece at a time: it must not take the line from what is being recorded.
      await uploadTo(connection, { key: Key, range, mediaType: 'video/x-matroska', inFlight: 1, signal });
    },

    async list(listed, signal) {
      return connection.use(
        'list parts',
        async (sdk, client) => {
          const found: StoredObject[] = [];
          const pages = sdk.paginateListObjectsV2(
            { client },
            { Bucket, Prefix: root + listed },
            { abortSignal: signal },
          );
          for await (const { Contents = [] } of pages) {
            for (const { Key = '', Size = 0, LastModified } of Contents)
              found.push({ key: Key.slice(root.length), bytes: Size, storedAt: LastModified?.getTime() ?? Date.now() });
          }
          return found;
        },
        signal,
      );
    },

    async copyInto(key, target, position, signal) {
      const place = { ...placeOf(key), ChecksumMode: 'ENABLED' as const };
      return connection.use(
        'give back a part',
        async (sdk, client) => {
          for (let attempt = 1; ; attempt++) {
            try {
              const answer = await client.send(new sdk.GetObjectCommand(place), { abortSignal: signal });
              const hash = createHash('sha256');
              let bytes = 0;
              for await (const chunk of answer.Body as Readable) {
                await writeWhole(target, chunk, position + bytes);
                hash.update(chunk);
                bytes += chunk.length;
              }
              checkWhole(key, answer, bytes, hash.digest('base64'));
              return bytes;
            } catch (error) {
              if (isNotThere(error)) return null;
              // The SDK tries again until it has an answer; an answer that breaks off is ours to ask for again.
              if (attempt === readAttempts || signal?.aborted || isOfLocalDisk(error)) throw error;
            }
          }
        },
        signal,
      );
    },

    async get(key, signal) {
      const place = placeOf(key);
      return connection.use(
        'give back a piece',
        async (sdk, client) => {
          try {
            const { Body } = await client.send(new sdk.GetObjectCommand(place), { abortSignal: signal });
            return Buffer.from((await Body?.transformToByteArray()) ?? []);
          } catch (error) {
            if (isNotThere(error)) return null;
            throw error;
          }
        },
        signal,
      );
    },

    async remove(keys, signal) {
      const all = keys.map((key) => ({ Key: placeOf(key).Key }));
      await connection.use(
        'remove parts',
        async (sdk, client) => {
          for (let at = 0; at < all.length; at += deletedAtOnce) {
            const Delete = { Objects: all.slice(at, at + deletedAtOnce), Quiet: true };
            const { Errors = [] } = await client.send(new sdk.DeleteObjectsCommand({ Bucket, Delete }), {
              abortSignal: signal,
            });
            const failed = Errors.find(({ Code }) => Code !== 'NoSuchKey');
            if (failed) throw Object.assign(new Error(failed.Message), { name: failed.Code ?? 'DeleteFailed' });
          }
        },
        signal,
      );
    },

    async removeAll(removed, signal) {
      const found = await store.list(removed, signal);
      await store.remove(
        found.map(({ key }) => key),
        signal,
      );
      await connection.use(
        'end uploads',
        (sdk, client) =>
          abortUploads(sdk, client, { bucket: Bucket, prefix: root + removed, isMeant: () => true, signal }),
        signal,
      );
    },
  };
  return store;
}

/** A disk that is nearly full takes a part of it, and refuses only the rest. */
async function writeWhole(target: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await target.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}

function checkWhole(
  key: string,
  { ContentLength, ChecksumSHA256 }: { ContentLength?: number; ChecksumSHA256?: string },
  bytes: number,
  checksum: string,
): void {
  // The checksum of an object that was put in pieces, `…-3`, is not that of its bytes.
  const comparable = ChecksumSHA256 !== undefined && !ChecksumSHA256.includes('-');
  if (bytes === ContentLength && (!comparable || ChecksumSHA256 === checksum)) return;
  throw new StorageUnavailableError(
    `The storage gave back ${key} with ${bytes} bytes and checksum ${checksum}, but it has ${ContentLength} bytes and ${ChecksumSHA256}.`,
  );
}
