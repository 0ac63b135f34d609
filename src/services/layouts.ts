/** Changing how the participants of a recorded room are arranged, while it is recorded. */
import type { Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import type { Layout, PageSource } from '../jobs/capture.js';
import { isTerminal, type JobState } from '../jobs/states.js';
import { InvalidStateError, NotFoundError, ValidationError } from './errors.js';
import { visibleJobs } from './visibility.js';

/** Too late: what is captured is over. */
const isEnding = (state: JobState): boolean => isTerminal(state) || state === 'STOPPING' || state === 'FINALIZING';

export function createLayouts({ db }: { db: Database }) {
  return {
    /**
     * Has our viewer page arrange participants so from now on; its recorder follows within 2 s. Throws NotFoundError,
     * ValidationError for a job that captures another page, InvalidStateError.
     */
    async set(jobId: string, layout: Layout, viewer: Viewer): Promise<{ jobId: string }> {
      await db.$transaction(async (transaction) => {
        const where = { ...visibleJobs(viewer), AND: { id: jobId } };
        if ((await transaction.job.count({ where })) === 0) throw new NotFoundError('There is no such job.');
        const [job] = await transaction.$queryRaw<{ state: JobState; source: PageSource }[]>`
          SELECT state::text AS state, source FROM job WHERE id = ${jobId}::uuid FOR UPDATE`;
        const { state, source } = job as { state: JobState; source: PageSource };
        if (!source.room || source.url !== null)
          throw new ValidationError([{ field: 'jobId', message: 'is of a job that does not capture our viewer page' }]);
        if (isEnding(state))
          throw new InvalidStateError(state, `The job is ${state.toLowerCase()}: nothing is captured any more.`);
        await transaction.$executeRaw`
          UPDATE job SET source = jsonb_set(source, '{room,layout}', ${JSON.stringify(layout)}::jsonb), updated_at = now()
           WHERE id = ${jobId}::uuid`;
      });
      return { jobId };
    },
  };
}
