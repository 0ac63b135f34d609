/** The services of a process, put together. */

import type { Signer } from '../auth/signing.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import { createEventSources } from '../events/event-sources.js';
import type { Feed } from '../events/feed.js';
import { createWake } from '../events/outbox.js';
import type { Storage } from '../storage/storage.js';
import type { Engine } from '../temporal/client.js';
import { createCallbackUrlCheck } from '../webhooks/callback-url.js';
import { createWebhookSecrets } from '../webhooks/secrets.js';
import { createArchives } from './archives.js';
import { createEvents } from './events.js';
import { createFiles } from './files.js';
import { createJobs } from './jobs.js';
import { createKeys } from './keys.js';
import { createLookups } from './lookups.js';
import { createUrlCheck } from './page-urls.js';
import { createRefinalizer } from './refinalize.js';
import { createRooms } from './rooms.js';
import { createSessions } from './sessions.js';
import { createStats } from './stats.js';
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
  const rooms = createRooms({ db });
  const sessions = createSessions({ db });

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
    rooms,
    sessions,
    stats: createStats({ db, feed: feed.stats, jobs, sessions }),
    events: createEvents({ sources: createEventSources({ db, epoch }), jobs, rooms }),
  };
}
