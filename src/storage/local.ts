/** The storage that is a folder of this machine. */
import { randomUUID } from 'node:crypto';
import { constants, copyFile, link, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { checkStorageKey, isDiskFull, megabytes, type Storage, StorageFullError } from './storage.js';

/** Keeps files below `folder`, which is created when first needed. */
export function createLocalStorage(folder: string): Storage {
  const pathOf = (key: string) => {
    checkStorageKey(key);
    return join(resolve(folder), key);
  };

  return {
    async put(key, file) {
      const path = pathOf(key);
      const draft = join(dirname(path), `.${basename(path).slice(0, 100)}.${randomUUID()}`);
      await mkdir(dirname(path), { recursive: true });
      try {
        await duplicate(file, draft);
        await sync(draft);
        await rename(draft, path);
        await sync(dirname(path));
      } catch (error) {
        throw isDiskFull(error) ? new StorageFullError(await fullMessage(file, folder)) : error;
      } finally {
        // Renaming onto another name of the same file does nothing at all, and leaves both.
        await rm(draft, { force: true });
      }
    },

    async read(key) {
      const path = pathOf(key);
      const isThere = await stat(path).then((found) => found.isFile(), ifMissing(false));
      return isThere ? { kind: 'path', path } : null;
    },

    async remove(key) {
      await rm(pathOf(key), { force: true });
    },
  };
}

/** A second name for the file where the file system can, which takes neither time nor room; else a copy. */
async function duplicate(file: string, draft: string): Promise<void> {
  try {
    return await link(file, draft);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
  const [{ size }, { bavail, bsize }] = await Promise.all([stat(file), statfs(dirname(draft))]);
  // Found out before, not after the rest of the disk is filled under the feet of running recordings.
  if (size > bavail * bsize) throw Object.assign(new Error('no room for the copy'), { code: 'ENOSPC' });
  await copyFile(file, draft, constants.COPYFILE_FICLONE);
}

/** Makes what was written to a file, or the names in a folder, survive a power cut. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function fullMessage(file: string, folder: string): Promise<string> {
  const [{ size }, { bavail, bsize }] = await Promise.all([stat(file), statfs(folder)]);
  const free = `${megabytes(bavail * bsize)} MB are free, ${megabytes(size)} MB are needed`;
  return `The storage folder has no room for ${basename(file)}: ${free}. Delete recordings or enlarge the disk, and the job goes on.`;
}

function ifMissing<T>(instead: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return instead;
    throw error;
  };
}
