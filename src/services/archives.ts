/** Archives: a page recorded as it is seen and heard. */
import { v7 as uuid } from 'uuid';
import { z } from 'zod';
import { createJobToken } from '../auth/tokens.js';
import type { Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import { appendJobEvent, eventsChannel, placementChannel, type Wake } from '../events/outbox.js';
import type { Archive, Prisma } from '../generated/prisma/client.js';
import { expectedBytes } from '../jobs/bitrate.js';
import type { PageSource } from '../jobs/capture.js';
import type { Engine } from '../temporal/client.js';
import type { CallbackUrlCheck } from '../webhooks/callback-url.js';
import { ValidationError } from './errors.js';
import { jobInput } from './job-input.js';
import { createdWithin, idsWithin, type JobFilter, jobIdsOfPage, type PageQuery, withoutCursor } from './job-pages.js';
import type { UrlCheck } from './page-urls.js';
import { keepResult, plainText, requestIdRule } from './requests.js';
import { visibleJobs } from './visibility.js';

/** Even, because the video format halves the picture for colour. */
const side = (least: number, most: number, usual: number) =>
  z
    .int(`must be a whole number of pixels from ${least} to ${most}`)
    .min(least, `must be at least ${least} pixels`)
    .max(most, `must be at most ${most} pixels`)
    .nullish()
    .transform((pixels) => {
      const wanted = pixels ?? usual;
      return wanted + (wanted % 2);
    });

const longestWaitMs = 366 * 24 * 3_600_000;

const startInput = z.object({
  url: z.string().min(1, 'is empty').max(2048, 'is longer than 2,048 characters'),
  width: side(320, 1920, 640),
  height: side(240, 1080, 480),
  maxDuration: z
    .int('must be a whole number of seconds')
    .min(1, 'must be at least 1 second')
    .max(21_600, 'must be at most 21,600 seconds')
    .nullish()
    .transform((seconds) => seconds ?? 300),
  name: plainText
    .max(200, 'is longer than 200 characters')
    .nullish()
    .transform((name) => name?.trim() || 'Archive'),
  autostart: z
    .boolean()
    .nullish()
    .transform((given) => given ?? true),
  launchTime: z
    .date()
    .refine((time) => time.getTime() <= Date.now() + longestWaitMs, 'is more than a year from now')
    .nullish(),
  callbackUrl: z.string().nullish(),
  requestId: requestIdRule.nullish(),
});
export type StartArchive = z.input<typeof startInput>;

export type ArchiveFilter = Omit<JobFilter, 'kinds'>;

const framesPerSecond = 30;

export function createArchives(deps: {
  db: Database;
  wake: Wake;
  config: Config;
  engine: Engine;
  checkUrl: UrlCheck;
  checkCallbackUrl: CallbackUrlCheck;
}) {
  const { db, wake, config, engine, checkUrl, checkCallbackUrl } = deps;

  // Only states are asked of jobs: a join for the project walked half a million of them for a page from the middle.
  const where = (filter: ArchiveFilter, viewer: Viewer, id = idsWithin(filter)): Prisma.ArchiveWhereInput => ({
    ...visibleJobs(viewer),
    AND: { id },
    createdAt: createdWithin(filter),
    ...(filter.states ? { job: { state: { in: [...new Set(filter.states)] } } } : {}),
  });

  return {
    /**
     * Starts an archive. The job's access token is answered once: null when the same request id had started it before.
     * Throws ValidationError, UrlRefusedError, ConflictError.
     */
    async start(
      request: StartArchive,
      viewer: Viewer,
    ): Promise<{ archiveId: string; accessToken: string | null; sequence: number }> {
      const parsed = startInput.safeParse(request);
      if (!parsed.success) {
        throw new ValidationError(parsed.error.issues.map(({ path, message }) => ({ field: path.join('.'), message })));
      }
      const { requestId, ...input } = parsed.data;
      const { projectId } = viewer;
      const url = (await checkUrl(input.url)).href;
      const callbackUrl = input.callbackUrl == null ? null : (await checkCallbackUrl(input.callbackUrl)).href;
      const jobId = uuid();
      const token = createJobToken(jobId);
      const source: PageSource = {
        kind: 'page',
        url,
        width: input.width,
        height: input.height,
        fps: framesPerSecond,
        loadTimeoutMs: config.pageLoadTimeoutMs,
      };
      const maxDurationMs = input.maxDuration * 1000;
      // A time that has passed is now.
      const launchAt = input.launchTime && input.launchTime.getTime() > Date.now() ? input.launchTime : null;
      const state = launchAt ? 'SCHEDULED' : 'QUEUED';
      const started = await db.$transaction(async (transaction) => {
        if (requestId) {
          const claim = { projectId, operation: 'startArchive', requestId, payload: { ...input, url, callbackUrl } };
          const { resultId } = await keepResult(transaction, claim, { resultId: jobId, sequence: 1 });
          if (resultId !== jobId) {
            const job = await transaction.job.findUniqueOrThrow({ where: { id: resultId } });
            return { job, accessToken: null };
          }
        }
        const job = await transaction.job.create({
          data: {
            id: jobId,
            projectId,
            kind: 'ARCHIVE',
            state,
            source: source as unknown as Prisma.InputJsonObject,
            ...{ maxDurationMs, launchAt, callbackUrl, autostart: input.autostart },
            expectedBytes: expectedBytes({ ...source, maxDurationMs }),
            accessTokenHash: token.hash,
            eventSequence: 1,
            deadlineAt: launchAt ?? new Date(Date.now() + config.queueTimeoutMs),
            archive: { create: { projectId, name: input.name, url, width: input.width, height: input.height } },
            ...(launchAt ? {} : { placement: { create: {} } }),
          },
        });
        await appendJobEvent(transaction, job, {
          type: 'JobStateChanged',
          state,
          previousState: null,
          reason: null,
          message: null,
          actor: null,
        });
        return { job, accessToken: token.token };
      });
      const { job, accessToken } = started;
      if (accessToken) {
        wake(eventsChannel);
        // The row is its own outbox: nobody waits for the engine, and should this fail, the reconciler starts the workflow.
        void engine.startJob(jobInput(job, config)).catch(() => {});
        wake(placementChannel);
      }
      return { archiveId: job.id, accessToken, sequence: 1 };
    },

    find: (query: object, id: string, viewer: Viewer): Promise<Archive | null> =>
      db.archive.findFirst({ ...query, where: { id, job: visibleJobs(viewer) } }),

    /** Newest first. */
    async list(page: PageQuery, filter: ArchiveFilter, viewer: Viewer): Promise<Archive[]> {
      const { query, ids } = withoutCursor(page, filter);
      const ofState = filter.states && viewer.kind !== 'job';
      const kinds = ['ARCHIVE' as const];
      const found = ofState ? await jobIdsOfPage(db, viewer, { ...filter, kinds }, { ids, take: query.take }) : null;
      return db.archive.findMany({
        ...query,
        where: found ? { id: { in: found } } : where(filter, viewer, ids),
        orderBy: { id: 'desc' },
      });
    },

    count: (filter: ArchiveFilter, viewer: Viewer): Promise<number> =>
      db.archive.count({ where: where(filter, viewer) }),
  };
}
