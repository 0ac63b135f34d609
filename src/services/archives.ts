/** Archives: a page or a room recorded as it is seen and heard. */
import { v7 as uuid } from 'uuid';
import * as z from 'zod';
import type { Tenant, Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { Archive } from '../generated/prisma/client.js';
import type { PageSource } from '../jobs/capture.js';
import type { CallbackUrlCheck } from '../webhooks/callback-url.js';
import { ValidationError } from './errors.js';
import { type PageQuery, pageOfRows, type RowFilter, rowsWithin } from './job-pages.js';
import { requestIdRule } from './requests.js';
import { jobName, parsed, priorityRule, type Sources, side, sourceFields, wholeSeconds } from './sources.js';
import type { JobStarter, PreparedJob, StartedJob } from './start-job.js';
import type { TargetUrlCheck } from './target-urls.js';
import { visibleJobs } from './visibility.js';

const longestWaitMs = 366 * 24 * 3_600_000;
/** As long as it takes to come back from a break in the connection. */
const usualIdleTimeoutSeconds = 60;

const yes = z
  .boolean()
  .nullish()
  .transform((given) => given ?? true);

const startInput = z.object({
  ...sourceFields,
  width: side(320, 1920, 640),
  height: side(240, 1080, 480),
  maxDuration: wholeSeconds(1, 21_600)
    .nullish()
    .transform((seconds) => seconds ?? 300),
  name: jobName('Archive'),
  autostart: yes,
  launchTime: z
    .date()
    .refine((time) => time.getTime() <= Date.now() + longestWaitMs, 'is more than a year from now')
    .nullish(),
  priority: priorityRule,
  hasAudio: yes,
  hasVideo: yes,
  individualStreamRecord: z.boolean().nullish(),
  broadcastUrl: z.string().nullish(),
  record: z.boolean().nullish(),
  idleTimeout: wholeSeconds(5, 86_400).nullish(),
  callbackUrl: z.string().nullish(),
  requestId: requestIdRule.nullish(),
});
export type StartArchive = z.input<typeof startInput>;

export type ArchiveFilter = RowFilter;

const framesPerSecond = 30;

export type Archives = ReturnType<typeof createArchives>;

export function createArchives(deps: {
  db: Database;
  config: Config;
  starter: JobStarter;
  sources: Sources;
  checkCallbackUrl: CallbackUrlCheck;
  checkTargetUrl: TargetUrlCheck;
}) {
  const { db, config, starter, sources, checkCallbackUrl, checkTargetUrl } = deps;

  /** The job that is asked for, with all that is checked of it. Throws ValidationError, UrlRefusedError, NotFoundError. */
  async function prepare(request: StartArchive, viewer: Tenant): Promise<PreparedJob> {
    const { requestId, ...input } = parsed(startInput, request);
    const { projectId } = viewer;
    refuseUseless(input);
    const found = await sources.find(input, viewer);
    if (input.idleTimeout != null && !found.room)
      throw new ValidationError([{ field: 'idleTimeout', message: 'is for rooms: leave it out for a page' }]);
    const callbackUrl = input.callbackUrl == null ? null : (await checkCallbackUrl(input.callbackUrl)).href;
    const broadcastUrl = input.broadcastUrl == null ? null : await checkTargetUrl(input.broadcastUrl);
    const { width, height } = input;
    const keep = input.record ?? broadcastUrl === null;
    const individual = input.individualStreamRecord ?? false;
    const source: PageSource = {
      ...{ kind: 'page', url: found.url, width, height, fps: framesPerSecond },
      loadTimeoutMs: config.pageLoadTimeoutMs,
      ...(found.room ? { room: found.room } : {}),
      ...(individual ? { individual } : {}),
      ...(input.hasAudio ? {} : { hasAudio: false }),
      ...(input.hasVideo ? {} : { hasVideo: false }),
      ...(keep ? {} : { keep }),
    };
    const idleSeconds = input.idleTimeout ?? usualIdleTimeoutSeconds;
    const claim = requestId && {
      ...{ projectId, operation: 'startArchive', requestId },
      payload: { ...input, url: found.url, callbackUrl },
    };
    return {
      job: {
        ...{ projectId, kind: 'ARCHIVE', source, callbackUrl, autostart: input.autostart, automatic: false },
        ...{ maxDurationMs: input.maxDuration * 1000, launchAt: input.launchTime ?? null, priority: input.priority },
        ...{ roomId: found.room?.roomId ?? null, sessionId: found.sessionId },
        idleTimeoutMs: found.room ? idleSeconds * 1000 : null,
        detail: {
          archive: { create: { projectId, name: input.name, url: found.url, width, height, individual } },
          ...(broadcastUrl ? { targets: { create: { id: uuid(), projectId, url: broadcastUrl } } } : {}),
        },
      },
      claim: claim || null,
    };
  }

  return {
    prepare,

    /**
     * Starts an archive. The job's access token is answered once: null when the same request id had started it before.
     * Throws ValidationError, UrlRefusedError, NotFoundError, ConflictError.
     */
    async start(request: StartArchive, viewer: Viewer): Promise<StartedJob> {
      const { job, claim } = await prepare(request, viewer);
      return starter.start(job, claim);
    },

    find: (query: object, id: string, viewer: Viewer): Promise<Archive | null> =>
      db.archive.findFirst({ ...query, where: { id, job: visibleJobs(viewer) } }),

    /** Newest first. */
    list: async (page: PageQuery, filter: ArchiveFilter, viewer: Viewer): Promise<Archive[]> =>
      db.archive.findMany(await pageOfRows(db, viewer, 'ARCHIVE', page, filter)),

    count: (filter: ArchiveFilter, viewer: Viewer): Promise<number> =>
      db.archive.count({ where: rowsWithin(filter, viewer) }),
  };
}

/** Neither sound nor picture, or neither a file nor a broadcast, is nothing to record; nor are files that nobody gets. */
function refuseUseless(input: {
  hasAudio: boolean;
  hasVideo: boolean;
  record?: boolean | null | undefined;
  broadcastUrl?: string | null | undefined;
  individualStreamRecord?: boolean | null | undefined;
}): void {
  const refuse = (field: string, message: string) => {
    throw new ValidationError([{ field, message }]);
  };
  if (!input.hasAudio && !input.hasVideo)
    refuse('hasVideo', 'hasAudio or hasVideo must be true: else nothing is recorded');
  if (input.record === false && input.broadcastUrl == null)
    refuse('record', 'can only be false with a broadcastUrl: else nothing is made of it');
  if (input.individualStreamRecord && !(input.record ?? input.broadcastUrl == null))
    refuse('individualStreamRecord', 'makes files: with a broadcastUrl, record must be true');
  if (input.broadcastUrl != null && !(input.hasAudio && input.hasVideo))
    refuse('broadcastUrl', 'is sent with picture and sound: hasAudio and hasVideo must be true');
}
