/** The services of a process, put together. */

import type { Signer } from '../auth/signing.js';
import type { Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { Feed } from '../events/feed.js';
import { cursorOf, followJob } from '../events/job-stream.js';
import { createWake } from '../events/outbox.js';
import type { JobStats } from '../generated/prisma/client.js';
import type { JobStreamItem } from '../jobs/events.js';
import type { Storage } from '../storage/storage.js';
import type { Engine } from '../temporal/client.js';
import { createCallbackUrlCheck } from '../webhooks/callback-url.js';
import { createWebhookSecrets } from '../webhooks/secrets.js';
import { createArchives } from './archives.js';
import { NotFoundError } from './errors.js';
import { createFiles } from './files.js';
import { createJobs } from './jobs.js';
import { createKeys } from './keys.js';
import { createLookups } from './lookups.js';
import { createUrlCheck } from './page-urls.js';
import { createRefinalizer } from './refinalize.js';
import { createWebhooks } from './webhooks.js';

export type Services = ReturnType<typeof createServices>;

/** `epoch` names the database (installation.epoch): it is part of every cursor. */
export function createServices(deps: {
  config: Config;
  db: Database;
  engine: Engine;
  storage: Storage;
  signer: Signer;
  feed: Feed;
  epoch: string;
}) {
  const { config, db, engine, feed, epoch } = deps;
  const wake = createWake(db);
  const jobs = createJobs({ db, engine, config });

  async function requireVisible(jobId: string, viewer: Viewer): Promise<void> {
    if (!(await jobs.find({ select: { id: true } }, jobId, viewer))) throw new NotFoundError('There is no such job.');
  }

  return {
    jobs,
    archives: createArchives({
      ...{ db, wake, config, engine },
      checkUrl: createUrlCheck(config),
      checkCallbackUrl: createCallbackUrlCheck(config),
    }),
    refinalizer: createRefinalizer({ db, engine, config }),
    keys: createKeys({ db }),
    files: createFiles(deps),
    lookups: createLookups({ db }),
    webhooks: createWebhooks({ db, wake, secrets: createWebhookSecrets({ db }) }),
    events: {
      /** The job's stream of events; see followJob. Throws NotFoundError for a job the viewer may not see. */
      async *job(
        jobId: string,
        after: string | null,
        viewer: Viewer,
        signal?: AbortSignal,
      ): AsyncGenerator<JobStreamItem, void, undefined> {
        await requireVisible(jobId, viewer);
        yield* followJob({ db, bus: feed.bus, epoch }, jobId, after, signal);
      },
      /** The job's statistics, at least once a second while it records; see StatsFeed. Throws NotFoundError. */
      async *stats(jobId: string, viewer: Viewer, signal?: AbortSignal): AsyncGenerator<JobStats, void, undefined> {
        await requireVisible(jobId, viewer);
        yield* feed.stats.follow(jobId, signal);
      },
      /** Where a stream goes on after the event of that number. */
      cursorOf: (jobId: string, sequence: number) => cursorOf(db, epoch, jobId, sequence),
    },
  };
}
