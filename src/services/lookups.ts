/** Rows that are only looked at: found by id, within what the viewer may see. */
import type { Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import type { ApiKey, File, Project } from '../generated/prisma/client.js';
import { visibleJobs } from './visibility.js';

/** `query` is a Prisma selection. Everything answers null for what does not exist or is not the viewer's. */
export function createLookups({ db }: { db: Database }) {
  return {
    project: async (query: object, id: string, { projectId, kind }: Viewer): Promise<Project | null> =>
      id === projectId && kind !== 'room' ? db.project.findFirst({ ...query, where: { id } }) : null,

    /** Also null without the scope to manage keys. */
    apiKey: async (query: object, id: string, { projectId, scopes }: Viewer): Promise<ApiKey | null> =>
      scopes.includes('keys:write') ? db.apiKey.findFirst({ ...query, where: { id, projectId } }) : null,

    file: (query: object, id: string, viewer: Viewer): Promise<File | null> =>
      db.file.findFirst({ ...query, where: { id, deletedAt: null, job: visibleJobs(viewer) } }),

    /** Oldest first. */
    files: (query: object, ids: string[], viewer: Viewer): Promise<File[]> =>
      db.file.findMany({
        ...query,
        where: { id: { in: ids }, deletedAt: null, job: visibleJobs(viewer) },
        orderBy: { id: 'asc' },
      }),
  };
}
