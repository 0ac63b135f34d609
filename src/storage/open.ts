/** Which storage there is: a bucket if the settings name one, else a folder of this machine. */
import { type Config, dataFolder } from '../config.js';
import { createLocalStorage } from './local.js';
import type { PartStore } from './parts.js';
import { createS3Storage } from './s3.js';
import { connectS3, type S3Limits } from './s3-connection.js';
import { createS3PartStore } from './s3-parts.js';
import type { Storage } from './storage.js';

/** For files there is time: five attempts outlast a restart of the server. */
const fileLimits: S3Limits = { idleLimitMs: 25_000, attempts: 5 };
/** For parts, what comes next is due within a second, and whoever ships tries again without end. */
const partLimits: S3Limits = { idleLimitMs: 10_000, attempts: 2 };

export interface OpenedStorage {
  files: Storage;
  /** Null without a bucket: parts are on the machine that records them, and nowhere else. */
  parts: PartStore | null;
}

/** Connects to nothing yet. */
export function openStorage(config: Config): OpenedStorage {
  const folder = createLocalStorage(dataFolder(config, 'files'));
  if (!config.s3) return { files: folder, parts: null };
  const bucket = createS3Storage(connectS3(config.s3, fileLimits), { urlMs: config.downloadUrlMs });
  return { files: withEarlierFiles(bucket, folder), parts: openPartStore(config) };
}

/** What a recorder host needs of it. */
export function openPartStore({ s3 }: Pick<Config, 's3'>): PartStore | null {
  return s3 && createS3PartStore(connectS3(s3, partLimits));
}

/** Files from the time before there was a bucket are still found where they are. */
function withEarlierFiles(bucket: Storage, folder: Storage): Storage {
  return {
    put: (key, file, mediaType) => bucket.put(key, file, mediaType),
    read: async (key, presentation) => (await bucket.read(key, presentation)) ?? folder.read(key, presentation),
    async remove(key) {
      await Promise.all([bucket.remove(key), folder.remove(key)]);
    },
  };
}
