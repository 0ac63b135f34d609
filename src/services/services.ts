/** The services of a process, put together. */
import type { Logger } from 'pino';
import type { RoomTokens } from '../auth/room-tokens.js';
import type { Signer } from '../auth/signing.js';
import { type Config, dataFolder } from '../config.js';
import type { Database } from '../db.js';
import { createEventSources } from '../events/event-sources.js';
import type { Feed } from '../events/feed.js';
import { createWake } from '../events/outbox.js';
import type { MediaLink } from '../media/media-link.js';
import { openPartStore } from '../storage/open.js';
import type { Storage } from '../storage/storage.js';
import type { Engine } from '../temporal/client.js';
import { createCallbackUrlCheck } from '../webhooks/callback-url.js';
import { createWebhookSecrets } from '../webhooks/secrets.js';
import { createArchives } from './archives.js';
import { createCapacity } from './capacity.js';
import { createEvents } from './events.js';
import { createFileChanges } from './file-changes.js';
import { createFileRemoval } from './file-removal.js';
import { createFiles } from './files.js';
import { createJobEnds } from './job-ends.js';
import { createJobs } from './jobs.js';
import { createKeys } from './keys.js';
import { createLayouts } from './layouts.js';
import { createLiveLists } from './live-lists.js';
import { createLookups } from './lookups.js';
import { createModeration } from './moderation.js';
import { createUrlCheck } from './page-urls.js';
import { createPlayback } from './playback.js';
import { createPreviews } from './previews.js';
import { createRecordingPages } from './recording-pages.js';
import { createInputPorts } from './recording-ports.js';
import { createRecordingRemoval } from './recording-removal.js';
import { createRecordingRuns } from './recording-runs.js';
import { createRecordingSources } from './recording-sources.js';
import { createRecordings } from './recordings.js';
import { createRefinalizer } from './refinalize.js';
import { createRenders } from './renders.js';
import { createRooms } from './rooms.js';
import { createScheduledJobs } from './scheduled-jobs.js';
import { createSchedules } from './schedules.js';
import { createSessions } from './sessions.js';
import { createSources } from './sources.js';
import { createJobStarter } from './start-job.js';
import { createStats } from './stats.js';
import { createStreamUrlCheck } from './stream-urls.js';
import { createTargetUrlCheck } from './target-urls.js';
import { createTargets } from './targets.js';
import { createTasks } from './tasks.js';
import { createWebhooks } from './webhooks.js';

export type Services = ReturnType<typeof createServices>;

/** `epoch` names the database (installation.epoch): it is part of every cursor. */
export function createServices(deps: {
  config: Config;
  db: Database;
  engine: Engine;
  storage: Storage;
  signer: Signer;
  roomTokens: RoomTokens;
  media: MediaLink;
  feed: Feed;
  epoch: string;
  log: Logger;
}) {
  const { config, db, engine, roomTokens: tokens, media, feed, epoch, log } = deps;
  const wake = createWake(db);
  const starter = createJobStarter({ db, wake, config, engine });
  const sources = createSources({ db, checkUrl: createUrlCheck(config) });
  const checkCallbackUrl = createCallbackUrlCheck(config);
  const checkTargetUrl = createTargetUrlCheck(config);
  const jobs = createJobs({ db, engine, config });
  const ends = createJobEnds({ db, engine, config });
  const rooms = createRooms({ db, wake, tokens, media, config, log });
  const sessions = createSessions({ db, config });
  const fileRemoval = createFileRemoval({ db, wake, storage: deps.storage });
  const live = createLiveLists({ parts: openPartStore(config), jobsFolder: dataFolder(config, 'jobs') });
  const previews = createPreviews({ db, live, config });
  const archives = createArchives({ db, config, starter, sources, checkCallbackUrl, checkTargetUrl });
  const tasks = createTasks({ db, config, starter, ends, sources, tokens, checkCallbackUrl });
  const runs = createRecordingRuns({ db, config, starter, ends });

  return {
    jobs,
    archives,
    renders: createRenders({ db, config, starter, sources, checkCallbackUrl }),
    recordings: createRecordings({
      ...{ db, checkCallbackUrl },
      sources: createRecordingSources({ db, sources, checkUrl: createStreamUrlCheck(config) }),
      ports: createInputPorts({ db, config }),
      runs,
      removal: createRecordingRemoval({ db, files: fileRemoval }),
    }),
    tasks,
    schedules: createSchedules({
      ...{ db, wake, config, engine },
      jobs: createScheduledJobs({ db, archives, tasks, runs }),
    }),
    recordingPages: createRecordingPages({ db, config }),
    targets: createTargets({ db, wake, checkUrl: checkTargetUrl }),
    layouts: createLayouts({ db }),
    playback: createPlayback({ db, storage: deps.storage, live, previews }),
    previews,
    refinalizer: createRefinalizer({ db, engine, config }),
    keys: createKeys({ db }),
    files: createFiles(deps),
    fileChanges: createFileChanges({ db, removal: fileRemoval }),
    lookups: createLookups({ db }),
    webhooks: createWebhooks({ db, wake, secrets: createWebhookSecrets({ db }) }),
    rooms,
    moderation: createModeration({ db, wake, media }),
    sessions,
    capacity: createCapacity({ db, feed: feed.capacity }),
    stats: createStats({ db, feed: feed.stats, jobs, sessions }),
    events: createEvents({ sources: createEventSources({ db, epoch }), jobs, rooms }),
  };
}
