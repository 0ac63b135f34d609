/** The job that a payload speaks of. */
import { type Context, viewerOf } from '../src/context.js';
import { NotFoundError } from '../src/services/errors.js';

/** `query` is a Prisma selection. Throws NotFoundError for a job that is gone since. */
export async function jobNow(query: object, jobId: string, context: Context) {
  const job = await context.services.jobs.find(query, jobId, viewerOf(context));
  if (!job) throw new NotFoundError('There is no such job any more.');
  return job;
}
