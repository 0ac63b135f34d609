/** The rules of files: who may fetch one, and where from. */
import { validate as isUuid } from 'uuid';
import type { Signature, Signer } from '../auth/signing.js';
import type { Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { File, FileKind, FileVisibility, Prisma } from '../generated/prisma/client.js';
import { dispositionOf } from '../storage/disposition.js';
import type { Storage, StoredFile } from '../storage/storage.js';
import { ValidationError } from './errors.js';
import { visibleJobs } from './visibility.js';

/** The longest a bucket's own signed URLs may last, so that a change of storage does not change the answer. */
const maxExpiryMs = 7 * 24 * 3_600_000;

/** Stands in an address for a signature, where none is needed. */
const publicRight = 'public';

/** By what right a file is asked for. */
export type FileAccess =
  | { by: 'nothing' }
  | { by: 'viewer'; viewer: Viewer }
  | { by: 'signature'; signature: Signature };

export type OpenedFile =
  | { kind: 'open'; file: File; disposition: string; stored: StoredFile }
  /** Credentials are needed: said of files that do not exist, too. */
  | { kind: 'unauthenticated' }
  | { kind: 'forbidden'; message: string }
  | { kind: 'not-found' }
  /** It was there, and was deleted. */
  | { kind: 'gone' }
  /** It was not deleted, but the storage does not have it. */
  | { kind: 'missing' };

interface Deps {
  db: Database;
  storage: Storage;
  signer: Signer;
  config: Pick<Config, 'publicUrl' | 'downloadUrlMs'>;
}

export function createFiles({ db, storage, signer, config }: Deps) {
  const addressOf = ({ id, name }: { id: string; name: string }): string =>
    `${config.publicUrl}/files/${id}/${encodeURIComponent(name)}`;

  async function permit(
    id: string,
    access: FileAccess,
  ): Promise<OpenedFile | { kind: 'permitted'; where: Prisma.FileWhereInput }> {
    switch (access.by) {
      case 'nothing': {
        const isPublic = await db.file.count({ where: { id, visibility: 'PUBLIC', deletedAt: null } });
        return isPublic ? { kind: 'permitted', where: { id } } : { kind: 'unauthenticated' };
      }
      case 'viewer': {
        const { viewer } = access;
        if (!viewer.scopes.includes('files:read')) {
          return {
            kind: 'forbidden',
            message: 'These credentials lack the scope "files:read". Use a key that has it.',
          };
        }
        return { kind: 'permitted', where: { id, job: visibleJobs(viewer) } };
      }
      case 'signature': {
        const verdict = await signer.verify(id, access.signature);
        if (verdict === 'valid') return { kind: 'permitted', where: { id } };
        const what =
          verdict === 'expired' ? 'This download URL has expired.' : 'The signature of this download URL is not valid.';
        return { kind: 'forbidden', message: `${what} Ask the API for a new one.` };
      }
    }
  }

  async function open(id: string, access: FileAccess, { inline = false } = {}): Promise<OpenedFile> {
    if (!isUuid(id)) return { kind: access.by === 'nothing' ? 'unauthenticated' : 'not-found' };
    const permission = await permit(id, access);
    if (permission.kind !== 'permitted') return permission;
    return openOne(permission.where, { inline });
  }

  async function openOne(where: Prisma.FileWhereInput, { inline }: { inline: boolean }): Promise<OpenedFile> {
    const recording = { select: { deletedAt: true } };
    const found = await db.file.findFirst({ where, include: { job: { select: { recording } } } });
    if (!found) return { kind: 'not-found' };
    const { job, ...file } = found;
    if (file.deletedAt || job.recording?.deletedAt) return { kind: 'gone' };
    const disposition = dispositionOf(file, inline);
    const stored = await storage.read(file.storageKey, { mediaType: file.mediaType, disposition });
    return stored ? { kind: 'open', file, disposition, stored } : { kind: 'missing' };
  }

  return {
    /** An absolute URL that needs no credentials until it expires. Throws ValidationError if `expiresInMs` is not 1 s to 7 days. */
    async downloadUrl(
      file: { id: string; name: string },
      { expiresInMs = config.downloadUrlMs } = {},
    ): Promise<string> {
      checkExpiry(expiresInMs);
      const signature = await signer.sign(file.id, new Date(Date.now() + expiresInMs));
      return `${addressOf(file)}?${new URLSearchParams({ ...signature })}`;
    },

    /**
     * Where players play a playlist: what opens it is part of the address, so that the media which it names by a name alone is
     * found beside it. Null for what is none. Throws ValidationError as `downloadUrl` does.
     */
    async playUrl(
      file: Pick<File, 'id' | 'name' | 'kind' | 'visibility'>,
      { expiresInMs = config.downloadUrlMs } = {},
    ): Promise<string | null> {
      if (file.kind !== 'PLAYLIST') return null;
      checkExpiry(expiresInMs);
      const { kid, exp, sig } = await signer.sign(file.id, new Date(Date.now() + expiresInMs));
      const right = file.visibility === 'PUBLIC' ? publicRight : `${kid}.${exp}.${sig}`;
      return `${config.publicUrl}/play/files/${file.id}/${right}/${encodeURIComponent(file.name)}`;
    },

    /** What is played at such an address: the playlist, or what it names. Throws StorageUnavailableError. */
    async openPlayed(id: string, right: string, name: string): Promise<OpenedFile> {
      const [kid = '', exp = '', sig = ''] = right.split('.');
      const access: FileAccess =
        right === publicRight ? { by: 'nothing' } : { by: 'signature', signature: { kid, exp, sig } };
      const opened = await open(id, access, { inline: true });
      if (opened.kind !== 'open' || opened.file.kind !== 'PLAYLIST')
        return opened.kind === 'open' ? { kind: 'not-found' } : opened;
      const { jobId, version } = opened.file;
      if (opened.file.name === name) return opened;
      const kinds: FileKind[] = ['PLAYLIST', 'SEGMENTS'];
      return openOne({ jobId, version, name, kind: { in: kinds } }, { inline: true });
    },

    /** Where anybody gets a public file; null for one that is private. */
    publicUrl: (file: { id: string; name: string; visibility: FileVisibility }): string | null =>
      file.visibility === 'PUBLIC' ? addressOf(file) : null,

    /**
     * Finds a file for somebody who may have it. `inline`: to be shown in a browser, where that is safe. Throws
     * StorageUnavailableError.
     */
    open,
  };
}
export type Files = ReturnType<typeof createFiles>;

function checkExpiry(expiresInMs: number): void {
  if (expiresInMs >= 1000 && expiresInMs <= maxExpiryMs) return;
  const message = `${expiresInMs / 1000} s is out of range. Use 1 to ${maxExpiryMs / 1000} s.`;
  throw new ValidationError([{ field: 'expiresIn', message }]);
}
