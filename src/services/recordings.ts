/** Recordings: what is to be recorded of which live input and how, kept, and run again and again. */
import { isDeepStrictEqual } from 'node:util';
import { v7 as uuid } from 'uuid';
import type { Viewer } from '../auth/viewer.js';
import type { Database, Transaction } from '../db.js';
import type { Prisma, Recording } from '../generated/prisma/client.js';
import { isListening, type RecordingConfig, type RecordingInput } from '../recordings/config.js';
import type { CallbackUrlCheck } from '../webhooks/callback-url.js';
import { CapacityError, NotFoundError } from './errors.js';
import {
  type CreateRecording,
  createRule,
  type SettingsWish,
  type UpdateRecording,
  updateRule,
} from './recording-input.js';
import type { InputPorts } from './recording-ports.js';
import type { RecordingRemoval } from './recording-removal.js';
import { configOf, liveRuns, lockRecording, noSuchRecording, type RecordingRuns } from './recording-runs.js';
import { settingsFrom } from './recording-settings.js';
import type { RecordingSources } from './recording-sources.js';
import { type ClientRequest, checkRequestId, earlierResult, keepResult, named } from './requests.js';
import { alignExpiry } from './retention.js';
import { parsed } from './sources.js';
import { visibleRecordings } from './visibility.js';

/** How long an answer waits for the engine to have ended a run; the upkeep ends it if it takes longer. */
const patienceMs = 3_000;
/** Somebody else was given the same ports at the same time, or changed the same recording. */
const attempts = 20;

export interface RecordingAnswer {
  recordingId: string;
  /** The run that was begun; null where none was. */
  jobId: string | null;
  /** Of that run: shown once, null when the same request had been carried out before. */
  accessToken: string | null;
  /** Number of the event of that run; 0 where none was begun. */
  sequence: number;
}

export type Recordings = ReturnType<typeof createRecordings>;

export function createRecordings(deps: {
  db: Database;
  sources: RecordingSources;
  ports: InputPorts;
  runs: RecordingRuns;
  removal: RecordingRemoval;
  checkCallbackUrl: CallbackUrlCheck;
}) {
  const { db, sources, ports, runs, removal, checkCallbackUrl } = deps;

  const answer = (recordingId: string, jobId: string | null = null): RecordingAnswer => ({
    ...{ recordingId, jobId, accessToken: null, sequence: 0 },
  });

  async function visible(id: string, viewer: Viewer): Promise<Recording> {
    const recording = await db.recording.findFirst({ where: { AND: [visibleRecordings(viewer), { id }] } });
    if (!recording) throw new NotFoundError(noSuchRecording);
    return recording;
  }

  async function configFrom(wish: SettingsWish, viewer: Viewer, before?: RecordingConfig): Promise<RecordingConfig> {
    const input = wish.input || !before ? await sources.input(wish.input ?? {}, viewer, before?.input) : before.input;
    const settings = settingsFrom(wish, input, before);
    const listenPort = isListening(input.type) ? await portOf(input, before?.input) : null;
    return { ...settings, input: { ...input, listenPort } };
  }

  /** One of ours, unless it is received from a group, which has its own. */
  async function portOf(input: RecordingInput, before: RecordingInput | undefined): Promise<number> {
    if (input.url !== null) return Number(new URL(input.url).port);
    return (before?.url === null ? before.listenPort : null) ?? ports.pick();
  }

  /** What is written of a configuration besides it. */
  const columns = (config: RecordingConfig) => ({
    config: config as unknown as Prisma.InputJsonObject,
    inputType: config.input.type,
    format: config.output.format,
    listenPort: config.input.url === null ? config.input.listenPort : null,
  });

  /** What the same request brought about before. Throws ConflictError. */
  async function earlier(claim: ClientRequest | null, database: Transaction = db): Promise<RecordingAnswer | null> {
    const result = claim && (await earlierResult(database, claim));
    if (!result) return null;
    const run = await database.job.findFirst({
      where: { recordingId: result.resultId },
      orderBy: { id: 'desc' },
      select: { id: true },
    });
    return answer(result.resultId, run?.id);
  }

  const callback = async (url: string | null | undefined): Promise<string | null> =>
    url == null ? null : (await checkCallbackUrl(url)).href;

  async function begin(recordingId: string, request: ClientRequest | null): Promise<RecordingAnswer> {
    const { jobId, accessToken, sequence } = await runs.start(recordingId, request);
    const others = (await liveRuns(db, recordingId)).filter(({ id }) => id < jobId);
    await ended(others, 'REPLACED');
    return { recordingId, jobId, accessToken, sequence };
  }

  async function ended(jobs: readonly { id: string }[], reason: 'REPLACED' | 'USER_INITIATED'): Promise<void> {
    const all = runs.endAll(
      jobs.map(({ id }) => id),
      reason,
    );
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([all, new Promise((resolve) => (timer = setTimeout(resolve, patienceMs)))]);
    clearTimeout(timer);
  }

  /** Tries again with other ports when somebody else was given the same at the same time. */
  async function withFreePorts<Answer>(task: () => Promise<Answer>): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await task();
      } catch (error) {
        if ((error as { code?: string }).code !== 'P2002') throw error;
        if (attempt === attempts) throw new CapacityError('No port could be had for the input. Ask again.');
      }
    }
  }

  return {
    /**
     * Makes a recording, and runs it unless told not to. The same request id makes one. Throws ValidationError,
     * UrlRefusedError, NotFoundError (room, participant), ConflictError, CapacityError.
     */
    async create(request: CreateRecording, viewer: Viewer): Promise<RecordingAnswer> {
      const { requestId, ...input } = parsed(createRule, request);
      const claim = named(viewer, 'createRecording', requestId ?? undefined, plain(input));
      const before = await earlier(claim);
      if (before) return before;
      const callbackUrl = await callback(input.callbackUrl);
      return withFreePorts(async () => {
        const id = uuid();
        const now = new Date();
        const { projectId } = viewer;
        const config = await configFrom(input, viewer);
        const { name, deleteAfter, active } = input;
        const row = {
          ...{ id, projectId, name, callbackUrl, deleteAfterDays: deleteAfter ?? 0, active: active ?? true },
          ...columns(config),
        };
        const write = async (transaction: Transaction): Promise<boolean> => {
          if (claim) {
            const { resultId } = await keepResult(transaction, claim, { resultId: id, sequence: 1 });
            if (resultId !== id) return false;
          }
          await transaction.recording.create({ data: row });
          return true;
        };
        if (!row.active) {
          const isOurs = await db.$transaction(write);
          return isOurs ? answer(id) : ((await earlier(claim)) ?? answer(id));
        }
        const recording = { ...row, createdAt: now, updatedAt: now, deletedAt: null } as unknown as Recording;
        const started = await runs.begin(recording, write);
        return started ? { recordingId: id, ...started } : ((await earlier(claim)) ?? answer(id));
      });
    },

    /** Begins a run; one that goes on ends as soon as that is written. Throws ValidationError, NotFoundError, ConflictError. */
    async start(id: string, viewer: Viewer, requestId?: string): Promise<RecordingAnswer> {
      checkRequestId(requestId);
      await visible(id, viewer);
      const claim = named(viewer, 'startRecording', requestId, { recordingId: id });
      const before = claim && (await earlierResult(db, claim));
      if (before) return { ...answer(id, before.resultId), sequence: before.sequence };
      return begin(id, claim);
    },

    /** Ends its run, if one goes on; it is not to be running then. Throws ValidationError, NotFoundError, ConflictError. */
    async stop(id: string, viewer: Viewer, requestId?: string): Promise<RecordingAnswer> {
      checkRequestId(requestId);
      await visible(id, viewer);
      const claim = named(viewer, 'stopRecording', requestId, { recordingId: id });
      const { running, jobId } = await db.$transaction(async (transaction) => {
        if (!(await lockRecording(transaction, id))) throw new NotFoundError(noSuchRecording);
        const before = claim && (await earlierResult(transaction, claim));
        // What was stopped then; the recording itself where there was nothing to stop.
        if (before) return { running: [], jobId: before.resultId === id ? null : before.resultId };
        await transaction.recording.update({ where: { id }, data: { active: false } });
        const live = await liveRuns(transaction, id);
        const stopped = live[0]?.id ?? null;
        if (claim) await keepResult(transaction, claim, { resultId: stopped ?? id, sequence: 0 });
        return { running: live, jobId: stopped };
      });
      await ended(running, 'USER_INITIATED');
      return answer(id, jobId);
    },

    /**
     * Changes a recording. What goes on follows at once as its next part, unless it is to be so from the next run on; where
     * that cannot be, because a page is involved, another run takes its place. Throws as `create`.
     */
    async update(id: string, request: UpdateRecording, viewer: Viewer): Promise<RecordingAnswer> {
      const { requestId, takesEffect, ...input } = parsed(updateRule, request);
      await visible(id, viewer);
      const claim = named(viewer, 'updateRecording', requestId ?? undefined, { id, takesEffect, ...plain(input) });
      const before = await earlier(claim);
      if (before) return before;
      const callbackUrl = input.callbackUrl === undefined ? undefined : await callback(input.callbackUrl);
      const change = await withFreePorts(async () => {
        for (;;) {
          const read = await visible(id, viewer);
          const config = await configFrom(input, viewer, configOf(read));
          const changed = await db.$transaction(async (transaction) => {
            const row = await lockRecording(transaction, id);
            if (!row) throw new NotFoundError(noSuchRecording);
            // Somebody else was quicker: what is left out here is as they left it.
            if (!isDeepStrictEqual(row.config, read.config)) return null;
            if (claim) await keepResult(transaction, claim, { resultId: id, sequence: 0 });
            return write(transaction, row, config, { ...input, callbackUrl, isNow: takesEffect === 'NOW' });
          });
          if (changed) return changed;
        }
      });
      if (input.active === false) {
        await ended(change.running, 'USER_INITIATED');
        return answer(id, change.running[0]?.id);
      }
      const isToBegin = change.isToBeReplaced || (input.active === true && change.running.length === 0);
      return isToBegin ? begin(id, null) : answer(id, change.running[0]?.id);
    },

    /**
     * Deletes a recording with its runs and files: nobody sees it any more, and they go as soon as its run has ended. Throws
     * ValidationError, NotFoundError, ConflictError, HeldError.
     */
    async remove(id: string, viewer: Viewer, requestId?: string): Promise<RecordingAnswer> {
      checkRequestId(requestId);
      const claim = named(viewer, 'deleteRecording', requestId, { recordingId: id });
      if (claim && (await earlierResult(db, claim))) return answer(id);
      await visible(id, viewer);
      const running = await removal.hide(id, claim);
      await ended(running, 'USER_INITIATED');
      await removal.removeFilesOf(id);
      return answer(id);
    },
  };

  async function write(
    transaction: Transaction,
    before: Recording,
    config: RecordingConfig,
    { name, deleteAfter, active, callbackUrl, isNow }: RowChange,
  ): Promise<{ running: { id: string }[]; isToBeReplaced: boolean }> {
    const { id } = before;
    const days = deleteAfter === undefined ? before.deleteAfterDays : (deleteAfter ?? 0);
    // Its run first, as all lock who write of a run: its row refers to the recording's.
    const running = await liveRuns(transaction, id);
    const [newest] = running;
    const isChanged = !isDeepStrictEqual(JSON.parse(JSON.stringify(config)), before.config);
    const isToBeReplaced =
      isNow && isChanged && newest !== undefined && !(await runs.follow(transaction, newest, config));
    await transaction.recording.update({
      where: { id },
      data: {
        ...columns(config),
        ...{ name: name ?? undefined, callbackUrl, deleteAfterDays: days },
        ...(active === undefined || active === null ? {} : { active }),
      },
    });
    if (days !== before.deleteAfterDays) await alignExpiry(transaction, id);
    return { running, isToBeReplaced };
  }
}

interface RowChange {
  name?: string | null | undefined;
  deleteAfter?: number | null | undefined;
  active?: boolean | null | undefined;
  callbackUrl?: string | null | undefined;
  isNow: boolean;
}

/** An input as it can be told from another: bytes of a picture as text. */
function plain(input: object): object {
  return JSON.parse(
    JSON.stringify(input, (_name, value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
    ),
  );
}
