/** Which rows a viewer may see: those of its project, and with a job's own token that job alone. */
import type { Viewer } from '../auth/viewer.js';

export function visibleJobs(viewer: Viewer): { projectId: string; id?: string } {
  return viewer.kind === 'job' ? { projectId: viewer.projectId, id: viewer.jobId } : { projectId: viewer.projectId };
}
