/** Which rows a viewer may see: those of its project, and with a job's own token that job alone. */
import type { Viewer } from '../auth/viewer.js';

export function visibleJobs(viewer: Viewer): { projectId: string; id?: string } {
  return viewer.kind === 'job' ? { projectId: viewer.projectId, id: viewer.jobId } : { projectId: viewer.projectId };
}

/** The same of what jobs are recorded of: with a job's own token, what that job is of. */
export const visibleSources = (viewer: Viewer): { projectId: string; jobs?: { some: { id: string } } } => ({
  projectId: viewer.projectId,
  ...(viewer.kind === 'job' ? { jobs: { some: { id: viewer.jobId } } } : {}),
});
