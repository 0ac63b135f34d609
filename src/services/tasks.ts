/** Tasks: people of a room each recorded to files of their own, or a page, as an egress manager asks for it. */
import type { RoomTokens } from '../auth/room-tokens.js';
import type { Tenant, Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { Machine, Prisma, Task } from '../generated/prisma/client.js';
import type { PageSource, PeopleSource, Source } from '../jobs/capture.js';
import { encodingAt, usualPage } from '../jobs/page-picture.js';
import { isTerminal } from '../jobs/states.js';
import type { RecordingOutput } from '../recordings/config.js';
import { formats } from '../recordings/formats.js';
import type { FileNaming } from '../tasks/file-names.js';
import type { TaskPayload } from '../tasks/payload.js';
import type { CallbackUrlCheck } from '../webhooks/callback-url.js';
import { NotFoundError, ValidationError } from './errors.js';
import type { JobEnds } from './job-ends.js';
import { type PageQuery, pageOfRows, type RowFilter, rowsWithin } from './job-pages.js';
import { type ClientRequest, checkRequestId, isFirst, named } from './requests.js';
import type { Sources } from './sources.js';
import type { JobStarter, PreparedJob, StartedJob } from './start-job.js';
import { type StartTask, type TaskRequest, taskRequestFrom } from './task-input.js';
import { visibleJobs } from './visibility.js';

export type TaskFilter = RowFilter;

/** A recorder takes seconds to be there, on a busy machine some more: whoever publishes all the while is not to be missed by then. */
const leastConnectMs = 30_000;

export interface StoppedTask {
  taskId: string;
  requestId: string;
  /** Whether it had ended before: then there was nothing to stop. */
  hadEnded: boolean;
}

export type Tasks = ReturnType<typeof createTasks>;

export function createTasks(deps: {
  db: Database;
  config: Config;
  starter: JobStarter;
  ends: JobEnds;
  sources: Sources;
  tokens: RoomTokens;
  checkCallbackUrl: CallbackUrlCheck;
}) {
  const { db, config, starter, ends, sources, tokens, checkCallbackUrl } = deps;

  /** Throws ValidationError for a token that does not open the room. */
  async function checkToken(token: string | null, roomId: string): Promise<void> {
    if (token === null) return;
    const claims = await tokens.verify(token);
    const refuse = (message: string) => {
      throw new ValidationError([{ field: 'payload.accessToken', message }]);
    };
    if (claims === 'expired') refuse('has expired: make another with createRoomToken');
    else if (claims?.roomId !== roomId) refuse('is no token of this room: make one with createRoomToken');
  }

  /** What is captured, with the addresses in it checked. Throws ValidationError, UrlRefusedError, NotFoundError. */
  async function sourceOf(
    { payload, accessToken, workerUid }: TaskRequest,
    viewer: Tenant,
  ): Promise<{ source: Source; roomId: string | null; sessionId: string | null; url: string | null }> {
    const { layout, url, channel } = payload;
    const found = await sources.find(layout === 'FLAT' ? { roomName: channel } : { url }, viewer);
    const roomId = found.room?.roomId ?? null;
    if (roomId === null) return { source: pageOf(payload, found.url, config), roomId, sessionId: null, url: found.url };
    await checkToken(accessToken, roomId);
    const joinAs = workerUid === null ? null : `${workerUid}`;
    return {
      source: { ...peopleOf(payload, config), roomId, joinAs },
      ...{ roomId, sessionId: found.sessionId, url: null },
    };
  }

  /** The job that is asked for, with all that is checked of it. Throws ValidationError, UrlRefusedError, NotFoundError. */
  async function prepare(input: StartTask, viewer: Tenant): Promise<PreparedJob> {
    const request = taskRequestFrom(input);
    const { requestId, workerUid, priority } = request;
    const { projectId } = viewer;
    const { source, roomId, sessionId, url } = await sourceOf(request, viewer);
    const callbackUrl = request.callbackUrl === null ? null : (await checkCallbackUrl(request.callbackUrl)).href;
    const payload: TaskPayload = { ...request.payload, url };
    const claim: ClientRequest = {
      ...{ projectId, operation: 'startTask', requestId },
      // A token is another one each time it is made.
      payload: { ...payload, workerUid, priority, callbackUrl },
    };
    const people = source.kind === 'people' ? source : null;
    return {
      job: {
        ...{ projectId, kind: 'TASK', source, callbackUrl, roomId, sessionId, priority },
        ...{ autostart: true, automatic: false, launchAt: null, idleTimeoutMs: null },
        maxDurationMs: payload.maxDuration * 1000,
        startTimeoutMs: people?.connectTimeoutMs ?? null,
        reconnectTimeoutMs: people?.idleTimeoutMs ?? null,
        detail: {
          task: {
            create: {
              ...{ projectId, requestId, layout: payload.layout },
              payload: payload as unknown as Prisma.InputJsonObject,
            },
          },
        },
      },
      claim,
    };
  }

  return {
    prepare,

    /**
     * Starts a task; the same request id starts one once. The job's access token is answered the first time alone. Throws
     * ValidationError, UrlRefusedError, NotFoundError, ConflictError.
     */
    async start(input: StartTask, viewer: Viewer): Promise<StartedJob> {
      const { job, claim } = await prepare(input, viewer);
      return starter.start(job, claim);
    },

    /**
     * Accepts at once that a task is to stop, whatever it is at; should the engine be away, it is stopped as soon as that is back.
     * Throws ValidationError, NotFoundError, ConflictError.
     */
    async stop(taskId: string, requestId: string, viewer: Viewer): Promise<StoppedTask> {
      checkRequestId(requestId);
      const claim = named(viewer, 'stopTask', requestId, { taskId }) as ClientRequest;
      const stopped = await db.$transaction(async (transaction) => {
        const task = await transaction.task.findFirst({
          where: { id: taskId, job: visibleJobs(viewer) },
          select: { stopRequestedAt: true, job: { select: { state: true } } },
        });
        if (!task) throw new NotFoundError('There is no such task.');
        await isFirst(transaction, claim);
        // Asked again it is answered as it was: whoever stopped it hears of no other end.
        const hadEnded = isTerminal(task.job.state) && task.stopRequestedAt === null;
        if (!hadEnded)
          await transaction.task.updateMany({
            where: { id: taskId, stopRequestedAt: null },
            data: { stopRequestedAt: new Date() },
          });
        return { taskId, requestId, hadEnded };
      });
      // Nobody waits for the engine; what fails is done by the upkeep.
      if (!stopped.hadEnded) void ends.endAll([taskId], 'USER_INITIATED').catch(() => {});
      return stopped;
    },

    /** How long the recorder of a task has it: it is given up when its machine was silent for so long. */
    leaseOf: ({ id, lastSeenAt }: Pick<Machine, 'id' | 'lastSeenAt'>) => ({
      ...{ workerId: id, renewedAt: lastSeenAt },
      expiresAt: new Date(lastSeenAt.getTime() + config.machineTimeoutMs),
    }),

    find: (query: object, id: string, viewer: Viewer): Promise<Task | null> =>
      db.task.findFirst({ ...query, where: { id, job: visibleJobs(viewer) } }),

    /** Newest first. */
    list: async (page: PageQuery, filter: TaskFilter, viewer: Viewer): Promise<Task[]> =>
      db.task.findMany(await pageOfRows(db, viewer, 'TASK', page, filter)),

    count: (filter: TaskFilter, viewer: Viewer): Promise<number> =>
      db.task.count({ where: rowsWithin(filter, viewer) }),
  };
}

const outputOf = ({ format }: TaskPayload): RecordingOutput => {
  const hasVideo = formats[format].video?.length !== 0;
  return { format, splitMs: null, fillGaps: false, hasVideo, hasAudio: true };
};

const namingOf = ({ filenamePattern, channel }: TaskPayload, { region }: Config): FileNaming => ({
  ...{ pattern: filenamePattern, region, room: channel },
});

function peopleOf(payload: TaskPayload, config: Config): Omit<PeopleSource, 'roomId' | 'joinAs'> {
  const { users, video, audio, maxDuration, idleTimeout } = payload;
  return {
    ...{ kind: 'people', users, output: outputOf(payload), naming: namingOf(payload, config) },
    picture: video && { width: video.width, height: video.height, fps: video.frameRate, bitrate: video.bitrate },
    sound: audio,
    connectTimeoutMs: Math.max(leastConnectMs, maxDuration * 1000),
    idleTimeoutMs: (idleTimeout ?? 0) * 1000,
  };
}

function pageOf(payload: TaskPayload, url: string | null, config: Config): PageSource {
  const { video, audio, webGL } = payload;
  const { width, height } = video ?? usualPage;
  const fps = video?.frameRate ?? usualPage.fps;
  return {
    ...{ kind: 'page', url, width, height, fps, loadTimeoutMs: config.pageLoadTimeoutMs },
    ...(video ? { encoding: encodingAt(video.bitrate) } : {}),
    task: { output: outputOf(payload), naming: namingOf(payload, config), sound: audio, webGL },
  };
}
