/** Progress stays at or below this until the result is there. */
export const unfinishedProgress = 99;

/** The progress of a job as it is shown: what was written with its state, or the newer value of its live statistics. */
export function shownProgress(job: { progress: number; stats: { progress: number } | null }): number {
  return Math.max(job.progress, job.stats?.progress ?? 0);
}
