/** The runs of recordings: how a job of one begins, and how it is ended whatever it is at. */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config.js';
import type { Database, Transaction } from '../db.js';
import type { Prisma, Recording } from '../generated/prisma/client.js';
import type { PageSource, Source } from '../jobs/capture.js';
import { encodingAt, usualPage } from '../jobs/page-picture.js';
import { liveStates } from '../jobs/states.js';
import type { RecordingConfig } from '../recordings/config.js';
import { NotFoundError } from './errors.js';
import type { JobEnds } from './job-ends.js';
import type { ClientRequest } from './requests.js';
import type { JobStarter, NewJob, StartedJob } from './start-job.js';

export const noSuchRecording = 'There is no such recording in this project.';
export const configOf = (recording: Pick<Recording, 'config'>): RecordingConfig =>
  recording.config as unknown as RecordingConfig;
/** A room is recorded as a page; everything else as the stream that it is. */
export const isPage = ({ input }: RecordingConfig): boolean => input.type === 'ROOM';

/** Locks a recording until the end of the transaction, and answers it; null when it is deleted. To be called first of all. */
export async function lockRecording(transaction: Transaction, id: string): Promise<Recording | null> {
  // Not against those who write of its runs, whose rows refer to it: they have locked their own already.
  await transaction.$queryRaw`SELECT id FROM recording WHERE id = ${id}::uuid FOR NO KEY UPDATE`;
  return transaction.recording.findUnique({ where: { id, deletedAt: null } });
}

/** Its runs that are to be recorded, or are being so, the newest first. */
export const liveRuns = (database: Transaction, recordingId: string) =>
  database.job.findMany({
    where: { recordingId, state: { in: liveStates } },
    orderBy: { id: 'desc' },
    select: { id: true, source: true, scheduleId: true },
  });

export type RecordingRuns = ReturnType<typeof createRecordingRuns>;

export function createRecordingRuns(deps: { db: Database; config: Config; starter: JobStarter; ends: JobEnds }) {
  const { db, config, starter, ends } = deps;

  /** What is captured for a recording. */
  function sourceOf(recording: RecordingConfig): Source {
    const { input, video, output } = recording;
    if (!isPage(recording)) return { kind: 'stream', recording };
    const encoding = video.mode === 'TRANSCODE' ? video : null;
    return {
      ...{ kind: 'page', url: null, room: { roomId: input.roomId as string, layout: input.layout ?? 'grid' } },
      width: encoding?.width ?? usualPage.width,
      height: encoding?.height ?? usualPage.height,
      fps: Math.round(encoding?.filterFps ?? encoding?.encodingRate ?? usualPage.fps),
      loadTimeoutMs: config.pageLoadTimeoutMs,
      ...(encoding
        ? { encoding: encodingAt(encoding.bitrate, { quality: encoding.crf, gop: encoding.forceKeyFrames }) }
        : {}),
      ...(output.hasAudio ? {} : { hasAudio: false }),
      ...(output.hasVideo ? {} : { hasVideo: false }),
      recording,
    };
  }

  async function newJob({ id, projectId, callbackUrl, ...row }: Recording): Promise<NewJob> {
    const recording = configOf(row);
    const { roomId, connectTimeoutMs, reconnectTimeoutMs } = recording.input;
    const session = roomId && (await db.session.findFirst({ where: { roomId, endedAt: null }, select: { id: true } }));
    const page = isPage(recording);
    return {
      ...{ projectId, kind: 'RECORDING', recordingId: id, callbackUrl, source: sourceOf(recording) },
      ...{ autostart: true, automatic: false, launchAt: null, maxDurationMs: recording.maxDurationMs },
      ...{ roomId, sessionId: session ? session.id : null },
      // A room that nobody is in any more is a source that is gone.
      idleTimeoutMs: page ? reconnectTimeoutMs : null,
      startTimeoutMs: page ? null : connectTimeoutMs,
      reconnectTimeoutMs: page ? null : reconnectTimeoutMs,
      detail: {},
    };
  }

  /** Says that a recording is to be running; false, and nothing, when it is not as it was read any more. To be called in the transaction that begins a run. */
  async function activate(transaction: Transaction, { id, config: read }: Recording): Promise<boolean> {
    const now = await lockRecording(transaction, id);
    // What was read before it was locked may be old.
    if (!now || !isDeepStrictEqual(now.config, read)) return false;
    await transaction.recording.update({ where: { id }, data: { active: true } });
    return true;
  }

  return {
    sourceOf,
    newJob,
    activate,

    /** Begins the first run of a recording that `write` writes in the same transaction; null, and nothing, if it does not. */
    begin: async (
      recording: Recording,
      write: (transaction: Transaction) => Promise<boolean>,
    ): Promise<StartedJob | null> => starter.start<true>(await newJob(recording), null, write),

    /**
     * Begins a run, and says that the recording is to be running: both or neither. Earlier runs are to be ended then. Throws
     * NotFoundError, ConflictError.
     */
    async start(recordingId: string, request: ClientRequest | null): Promise<StartedJob> {
      for (;;) {
        const recording = await db.recording.findUnique({ where: { id: recordingId, deletedAt: null } });
        if (!recording) throw new NotFoundError(noSuchRecording);
        const started = await starter.start<true>(await newJob(recording), request, (transaction) =>
          activate(transaction, recording),
        );
        if (started) return started;
      }
    },

    /**
     * Has a run record by another configuration from now on, as its recorder will see within 2 s. False, and nothing, where
     * another run must take its place: a page is opened as it was when it began, but for its layout.
     */
    async follow(
      transaction: Transaction,
      { id, source: before }: { id: string; source: unknown },
      recording: RecordingConfig,
    ): Promise<boolean> {
      const source = sourceOf(recording);
      const was = before as Source;
      if (was.kind !== source.kind) return false;
      if (source.kind === 'page' && !isDeepStrictEqual(fixed(was), fixed(source))) return false;
      const { connectTimeoutMs, reconnectTimeoutMs } = recording.input;
      await transaction.job.update({
        where: { id },
        data: {
          source: source as unknown as Prisma.InputJsonObject,
          ...(source.kind === 'page'
            ? { idleTimeoutMs: reconnectTimeoutMs }
            : { startTimeoutMs: connectTimeoutMs, reconnectTimeoutMs }),
        },
      });
      return true;
    },

    /**
     * Has runs end: what was recorded is kept, and what has not begun is given up. Whom the engine does not answer for now is
     * ended by the upkeep, from what the rows say.
     */
    endAll: ends.endAll,
  };
}

/** What cannot change of a page that is recorded: not how its room is arranged, nor how long it is waited for. */
function fixed(source: Source): object {
  const { room, recording, ...page } = source as PageSource;
  const { input, maxDurationMs: _, ...treated } = recording as RecordingConfig;
  const { layout: _layout, connectTimeoutMs: _connect, reconnectTimeoutMs: _reconnect, ...opened } = input;
  return { ...page, roomId: room?.roomId, recording: { ...treated, input: opened } };
}
