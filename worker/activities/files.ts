/** Activities that make a job's files of its parts: once when it ends, and again when somebody asks for that. */
import { ApplicationFailure, Context } from '@temporalio/activity';
import { outputOf, type Source } from '../../src/jobs/capture.js';
import type { FinalizeResult, RecorderActivities } from '../../src/jobs/messages.js';
import { shownProgress, unfinishedProgress } from '../../src/jobs/progress.js';
import { isTerminal } from '../../src/jobs/states.js';
import type { PlaybackProfile } from '../../src/rooms/profiles.js';
import type { Delivered } from '../../src/services/deliverables.js';
import { type FileNaming, fileName, uniqueNames } from '../../src/tasks/file-names.js';
import { finalizeJob } from '../finalize/finalize.js';
import { LengthMismatchError, LessFoundError, PartsGoneError } from '../finalize/finalize-errors.js';
import type { FinalizeOptions } from '../finalize/finalize-options.js';
import { measureJob } from '../finalize/measure.js';
import { readOutcome } from '../finalize/outcome.js';
import { findRecorded } from '../finalize/recorded.js';
import { removeOtherKeys } from '../finalize/stored-keys.js';
import { endHosts } from '../host/folders.js';
import { jobFolder } from '../machine.js';
import { removeLive } from '../outlets/live-removal.js';
import { letPartsGo } from '../parts-removal.js';
import { fetchShippedParts } from '../shipping/fetch.js';
import type { RecorderDeps } from './recorder.js';

const beatIntervalMs = 5_000;
/** It would be the same again. */
const lasting = [LengthMismatchError, LessFoundError, PartsGoneError];

export function createFileActivities(
  deps: Omit<RecorderDeps, 'viewerPageUrl'>,
): Pick<RecorderActivities, 'finalize' | 'deliver'> {
  const { config, db, captures, storage, parts, work, log } = deps;

  /** Hashing and copying gigabytes report nothing for minutes; that they end is the business of the time limits. */
  async function beating<T>(jobId: string, task: () => Promise<T>): Promise<T> {
    const context = Context.current();
    const timer = setInterval(() => context.heartbeat(), beatIntervalMs);
    try {
      return await work.alone(jobId, task);
    } catch (error) {
      // Everything else may pass: a full disk, a database or storage that is away, a process that was killed.
      if (error instanceof Error && lasting.some((kind) => error instanceof kind))
        throw ApplicationFailure.nonRetryable(error.message, error.name);
      throw error;
    } finally {
      clearInterval(timer);
    }
  }

  async function make(jobId: string, version: number): Promise<Delivered> {
    const { cancellationSignal: signal, info } = Context.current();
    const folder = jobFolder(config, jobId);
    const job = await db.job.findUniqueOrThrow({
      where: { id: jobId },
      include: { archive: true, recording: true, stats: true, session: true },
    });
    const ended = isTerminal(job.state);
    // Parts are only touched when nobody writes them any more.
    await endHosts(folder);
    await captures.warned({ jobId, incarnation: job.incarnation }, []);
    const { diskReserveBytes } = config;
    const source = job.source as unknown as Source;
    const page = source.kind === 'page' ? source : null;
    const people = source.kind === 'people' ? source : null;
    const output = outputOf(source);
    const naming = people?.naming ?? page?.task?.naming;
    const profiles = job.automatic && job.session ? (job.session.profiles as unknown as PlaybackProfile[]) : [];
    const wanted = { ...page, renditions: profiles.length > 0 };
    if (parts) await fetchShippedParts({ store: parts, jobFolder: folder, jobId, diskReserveBytes, wanted, signal });
    if (ended && !(await isAnythingLeft(folder))) throw new PartsGoneError();
    const base = shownProgress(job);
    if (page?.keep === false)
      return captures.delivered(jobId, await measureJob(folder, config.recorder, signal), version);
    const result = await finalizeJob({
      jobFolder: folder,
      ...{ jobId, version, storage, signal },
      leastMs: job.recordedMs ?? 0,
      name: job.archive?.name ?? job.recording?.name ?? 'Recording',
      individual: job.archive?.individual ?? false,
      ...{ profiles, isRepeated: info.attempt > 1 },
      ...{ hasAudio: page?.hasAudio ?? true, hasVideo: page?.hasVideo ?? true },
      ...(people ? { people } : {}),
      ...(naming ? { fileName: namer(naming, jobId) } : {}),
      ...(output ? { output, deliveredPieces: await captures.deliveredPieces(jobId, version) } : {}),
      tools: config.recorder,
      onProgress(fraction) {
        if (!ended) deps.stats.setProgress(jobId, base + (unfinishedProgress - base) * fraction);
      },
      onUnplayable: (error) => log.warn({ jobId, version, err: error }, 'renditions could not be made as wanted'),
    });
    for (const { incarnation, number, problem } of result.parts)
      if (problem) log.warn({ jobId, version, incarnation, number, problem }, 'a part is in no file of its job');
    for (const problem of result.problems ?? [])
      log.warn({ jobId, version, problem }, 'a file is not as it was asked for');
    return captures.delivered(jobId, result, version);
  }

  /**
   * What fails here is done by the next sweep: the files are made, and that counts. Parts go only where the files of this
   * machine became the job's: another that was thought lost may be at it too. With some missing all of them stay, for the
   * time that a failed job's do: the machine that has the missing ones may come back, and make other files of all.
   */
  async function clearUp(jobId: string, version: number, delivered: Delivered): Promise<FinalizeResult> {
    const { recordedMs, missingParts, storageKeys } = delivered;
    const folder = jobFolder(config, jobId);
    try {
      const kept = await readOutcome(folder);
      const ours = kept?.outcome.files.map(({ storageKey }) => storageKey) ?? [];
      await removeOtherKeys(folder, storageKeys, storage, version);
      await removeLive(folder, jobId, parts);
      const isDue = version === 1 && config.partsRetentionMs === 0 && recordedMs > 0 && missingParts === 0;
      // A broadcast or a render has no files, here or anywhere.
      // Of a split recording all may have been delivered while it went on: that nothing is missing was seen here.
      const isNone = storageKeys.length === 0 || (kept?.outcome.deliveredBefore ?? 0) > 0;
      const areOurs = ours.length === 0 ? isNone : storageKeys.some((key) => ours.includes(key));
      if (isDue && kept && areOurs) await letPartsGo(deps, jobId);
    } catch (error) {
      log.warn({ jobId, err: error }, 'what is not needed any more of a finished job could not be removed yet');
    }
    return { recordedMs, missingParts };
  }

  return {
    finalize: ({ jobId }) =>
      beating(jobId, async () => {
        const delivered = (await captures.deliveredBefore(jobId)) ?? (await make(jobId, 1));
        return clearUp(jobId, 1, delivered);
      }),

    deliver: ({ jobId, version }) =>
      beating(jobId, async () => {
        const before = await captures.deliveredBefore(jobId, version);
        if (before) return clearUp(jobId, version, before);
        const { partsRemovedAt } = await db.job.findUniqueOrThrow({ where: { id: jobId } });
        if (partsRemovedAt) throw new PartsGoneError();
        const delivered = await make(jobId, version);
        if (delivered.storageKeys.length > 0) return clearUp(jobId, version, delivered);
        throw ApplicationFailure.nonRetryable('None of the parts could be read: no file was made of them.');
      }),
  };
}

async function isAnythingLeft(folder: string): Promise<boolean> {
  const { parts, tracks } = await findRecorded(folder);
  return parts.length + tracks.length > 0;
}

function namer(naming: FileNaming, taskId: string): FinalizeOptions['fileName'] {
  const unique = uniqueNames();
  return (file) => unique(fileName(naming, { ...file, taskId }));
}
