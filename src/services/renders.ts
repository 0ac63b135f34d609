/** Renders: pages that are published back into a room, as a stream that others see and archives record. */
import * as z from 'zod';
import type { Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { Prisma, Render } from '../generated/prisma/client.js';
import type { PageSource } from '../jobs/capture.js';
import type { CallbackUrlCheck } from '../webhooks/callback-url.js';
import { ValidationError } from './errors.js';
import { idsWithin, type PageQuery, rowsWithin, withoutCursor } from './job-pages.js';
import { requestIdRule } from './requests.js';
import { jobName, parsed, priorityRule, type Sources, sourceFields, wholeSeconds } from './sources.js';
import type { JobStarter, StartedJob } from './start-job.js';
import { visibleJobs } from './visibility.js';

/** Width and height, as the peers have them. */
export const renderResolutions = ['640x480', '480x640', '1280x720', '720x1280', '1920x1080', '1080x1920'] as const;
export type RenderResolution = (typeof renderResolutions)[number];

const startInput = z.object({
  ...sourceFields,
  name: jobName('Render'),
  resolution: z
    .enum(renderResolutions)
    .nullish()
    .transform((given) => given ?? '1280x720'),
  maxDuration: wholeSeconds(60, 36_000)
    .nullish()
    .transform((seconds) => seconds ?? 7_200),
  priority: priorityRule,
  callbackUrl: z.string().nullish(),
  requestId: requestIdRule.nullish(),
});
export type StartRender = z.input<typeof startInput>;

export interface RenderFilter {
  roomId?: string | null | undefined;
  createdAfter?: Date | null | undefined;
  createdBefore?: Date | null | undefined;
}

const framesPerSecond = 30;
const viewerIdleMs = 60_000;

export function createRenders(deps: {
  db: Database;
  config: Config;
  starter: JobStarter;
  sources: Sources;
  checkCallbackUrl: CallbackUrlCheck;
}) {
  const { db, config, starter, sources, checkCallbackUrl } = deps;

  const where = (filter: RenderFilter, viewer: Viewer, id = idsWithin(filter)): Prisma.RenderWhereInput => ({
    ...rowsWithin(filter, viewer, id),
    ...(filter.roomId === undefined ? {} : { job: { roomId: { in: filter.roomId ? [filter.roomId] : [] } } }),
  });

  return {
    /**
     * Starts a render. The job's access token is answered once: null when the same request id had started it before.
     * Throws ValidationError, UrlRefusedError, NotFoundError, ConflictError.
     */
    async start(request: StartRender, viewer: Viewer): Promise<StartedJob> {
      const { requestId, ...input } = parsed(startInput, request);
      const { projectId } = viewer;
      const found = await sources.find(input, viewer);
      const { room } = found;
      if (!room) throw new ValidationError([{ field: 'roomName', message: 'is missing: a render goes into a room' }]);
      const callbackUrl = input.callbackUrl == null ? null : (await checkCallbackUrl(input.callbackUrl)).href;
      const [width, height] = input.resolution.split('x').map(Number) as [number, number];
      const source: PageSource = {
        ...{ kind: 'page', url: found.url, width, height, fps: framesPerSecond, keep: false, room },
        loadTimeoutMs: config.pageLoadTimeoutMs,
      };
      const claim = requestId && {
        ...{ projectId, operation: 'startRender', requestId },
        payload: { ...input, url: found.url, callbackUrl },
      };
      return starter.start(
        {
          ...{ projectId, kind: 'RENDER', source, callbackUrl, autostart: true, automatic: false, launchAt: null },
          ...{
            maxDurationMs: input.maxDuration * 1000,
            roomId: room.roomId,
            sessionId: found.sessionId,
            priority: input.priority,
          },
          // A picture of a room that everybody has left would keep the room live by itself.
          idleTimeoutMs: found.url === null ? viewerIdleMs : null,
          detail: { render: { create: { projectId, name: input.name, url: found.url, width, height } } },
        },
        claim || null,
      );
    },

    find: (query: object, id: string, viewer: Viewer): Promise<Render | null> =>
      db.render.findFirst({ ...query, where: { id, job: visibleJobs(viewer) } }),

    /** Newest first. */
    list(page: PageQuery, filter: RenderFilter, viewer: Viewer): Promise<Render[]> {
      const { query, ids } = withoutCursor(page, filter);
      return db.render.findMany({ ...query, where: where(filter, viewer, ids), orderBy: { id: 'desc' } });
    },

    count: (filter: RenderFilter, viewer: Viewer): Promise<number> => db.render.count({ where: where(filter, viewer) }),
  };
}
