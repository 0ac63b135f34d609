/** What clients change of files: who gets them, whether they are kept whatever happens, and that they go. */
import type { Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import type { FileVisibility, Prisma } from '../generated/prisma/client.js';
import { HeldError, NotFoundError } from './errors.js';
import type { FileRemoval } from './file-removal.js';
import { visibleJobs } from './visibility.js';

/** What a hold is asked for: one file, or all that there are of something. */
export type HoldTarget = { of: 'file' | 'job' | 'recording'; id: string };

export interface HoldAnswer {
  fileIds: string[];
}

/** Shown of an answer. */
export const mostShown = 100;

export function createFileChanges({ db, removal }: { db: Database; removal: FileRemoval }) {
  /** Files that can be had: also not those of a recording that was deleted and is about to go. */
  const visible = (viewer: Viewer): Prisma.FileWhereInput => ({
    deletedAt: null,
    job: { ...visibleJobs(viewer), OR: [{ recordingId: null }, { recording: { deletedAt: null } }] },
  });

  async function require(id: string, viewer: Viewer, more: Prisma.FileWhereInput = {}) {
    const file = await db.file.findFirst({
      where: { AND: [visible(viewer), more, { id }] },
      select: {
        ...{ id: true, name: true, jobId: true, held: true, kind: true, version: true },
        job: { select: { recordingId: true } },
      },
    });
    if (!file) throw new NotFoundError('There is no such file.');
    return file;
  }

  /** A playlist goes with the media that it names. */
  async function wholeOf({ id, name, jobId, kind, version }: Awaited<ReturnType<typeof require>>) {
    const media =
      kind === 'PLAYLIST'
        ? await db.file.findMany({
            where: { jobId, version, kind: 'SEGMENTS', name: name.replaceAll(' ', '-').replace(/\.m3u8$/, '.mp4') },
            select: { id: true, jobId: true },
          })
        : [];
    return [{ id, jobId }, ...media];
  }

  return {
    /** Throws NotFoundError. */
    async setVisibility(id: string, visibility: FileVisibility, viewer: Viewer): Promise<{ fileId: string }> {
      await require(id, viewer);
      await db.file.updateMany({ where: { id, deletedAt: null }, data: { visibility } });
      return { fileId: id };
    },

    /**
     * Holds all files that there are of it now, or lets them go. A held file is removed neither by itself nor on request.
     * Throws NotFoundError.
     */
    async setHold({ of, id }: HoldTarget, hold: boolean, viewer: Viewer): Promise<HoldAnswer> {
      const owner = { ...visibleJobs(viewer), AND: of === 'job' ? { id } : { recordingId: id } };
      const known =
        of === 'file'
          ? await db.file.count({ where: { AND: [visible(viewer), { id }] } })
          : of === 'job'
            ? await db.job.count({ where: owner })
            : viewer.kind === 'key' &&
              (await db.recording.count({ where: { id, projectId: viewer.projectId, deletedAt: null } }));
      if (!known) throw new NotFoundError(`There is no such ${of}.`);
      const files = await db.file.updateManyAndReturn({
        where: { AND: [visible(viewer), of === 'file' ? { id } : { job: owner }] },
        data: { held: hold },
        select: { id: true },
      });
      return { fileIds: files.map((file) => file.id) };
    },

    /** Removes one file of a recording, which stays. Throws NotFoundError, HeldError. */
    async remove(id: string, viewer: Viewer): Promise<{ fileId: string; name: string; recordingId: string }> {
      const file = await require(id, viewer, { job: { recordingId: { not: null } } });
      const isHidden = !file.held && (await removal.hide(await wholeOf(file), 'DELETED')) > 0;
      // It may have gone by itself at the same moment.
      if (!isHidden && (await require(id, viewer)).held)
        throw new HeldError('The file is held. Let it go with setHold first.');
      // The storage may be away: the sweep goes on with it.
      await removal.clear([file.jobId]).catch(() => {});
      return { fileId: id, name: file.name, recordingId: file.job.recordingId as string };
    },
  };
}
export type FileChanges = ReturnType<typeof createFileChanges>;
