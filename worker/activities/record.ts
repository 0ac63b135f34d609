/** Recording one job on this machine, over as many hosts as it takes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { HostCommand, HostOutcome, HostSpec, Source } from '../../src/jobs/capture.js';
import { hostSuspendedFailure, type RecorderWish, type RecordResult } from '../../src/jobs/messages.js';
import { failure, type JobReason } from '../../src/jobs/reasons.js';
import { stateLimitsMs } from '../../src/jobs/states.js';
import type { Incarnation } from '../../src/services/captures.js';
import { egressPolicy } from '../../src/services/page-urls.js';
import { clearAfterHost, HostStartError, readStatus, startHost } from '../host/client.js';
import { commandHost, endHost, incarnationFolder, incarnationsIn } from '../host/folders.js';
import { jobFolder } from '../machine.js';
import { attend, leaseOf } from './attend.js';
import type { Baseline } from './bookkeeper.js';
import { createPieceDelivery } from './piece-delivery.js';
import type { RecorderDeps } from './recorder.js';
import { watchHost } from './watch.js';

/** A host ends itself when its worker has been gone for this long: nobody would ever collect what it records. */
const leaseTimeoutMs = 300_000;
/** How often the files of a host are looked at: there may be very many that record streams. */
const lookIntervalMs = { page: 200, stream: 500, people: 500 } as const;
/** Hosts that end one after the other without recording anything: something is wrong with the machine, not the page. */
const fruitlessHostsLimit = 3;
/** How often a page that was recorded before, and cannot be loaded now, is tried again. */
const pageRetryMs = 2_000;
/** So long the last pieces of a split recording may take; then they are made anew with what else the job lacks. */
const lastPiecesLimitMs = 10_000;
/** Failures that may be over soon, when it is the page's own server that is being restarted. */
const passingFailures: readonly JobReason[] = ['PAGE_UNREACHABLE', 'PAGE_HTTP_ERROR', 'PAGE_LOAD_TIMEOUT'];

/** What others in this process can tell a recording. */
export interface Attention {
  stopAsked: boolean;
  /** How often it was said that something else may be wished of the recorder than before; what, is in the job's row. */
  nudges: number;
}

interface RecordedBefore extends Baseline {
  parts: number;
}

/** Why what is recorded here is to be put aside. */
export interface Ends {
  /** The service is being stopped: the job goes on with its next start. */
  isSuspending(): boolean;
  /** This machine is being left: the job goes on on another one. */
  isHandingOver(): boolean;
}

/** Outcomes after which the same job is recorded on by another host. */
type Interruption = 'lost' | 'suspended' | 'lease-expired';

export async function recordJob(
  deps: RecorderDeps,
  jobId: string,
  attention: Attention,
  ends: Ends,
): Promise<RecordResult> {
  const { config, db, captures, transitions, log } = deps;
  const context = Context.current();
  const folder = jobFolder(config, jobId);
  let fruitless = 0;
  let failingSince: number | undefined;

  const job = await db.job.findUniqueOrThrow({ where: { id: jobId }, include: { recording: true } });
  const source = job.source as unknown as Source;

  // A host of this machine is adopted while it is the job's newest; what an older one still does is no longer wanted.
  let incarnation = incarnationsIn(folder).at(-1);
  if (incarnation !== undefined && incarnation !== job.incarnation) {
    await endHost(incarnationFolder(folder, incarnation));
    incarnation = undefined;
  }
  for (;;) {
    if (ends.isHandingOver()) return { outcome: { kind: 'handed-over' } };
    if (ends.isSuspending()) throw suspended();
    let begun: Incarnation | null = null;
    if (incarnation === undefined) {
      if (attention.stopAsked) return { outcome: { kind: 'stopped' } };
      begun = await captures.beginIncarnation(jobId, deps.machineId);
      if (!begun) return { outcome: { kind: 'stopped' } };
      if (begun.endsAt !== null && begun.endsAt <= Date.now()) return { outcome: { kind: 'max-duration' } };
      incarnation = begun.incarnation;
    }
    const before = await recordedBefore(incarnation);
    const outcome = await recordWith(incarnation, begun, before);
    if (!isInterruption(outcome) && !(await mayPass(outcome))) return { outcome };

    if (ends.isHandingOver()) return { outcome: { kind: 'handed-over' } };
    if (ends.isSuspending()) {
      await transitions.transition({ jobId, to: 'RECONNECTING', from: ['RECORDING'], reason: 'SERVICE_STOPPED' });
      throw suspended();
    }
    await transitions.transition({ jobId, to: 'RECONNECTING', from: ['RECORDING'], incarnation });
    log.warn({ jobId, incarnation, how: outcome }, 'the recorder host has ended, starting another');
    await clearAfterHost(incarnationFolder(folder, incarnation));
    const recorded = await recordedBefore(incarnation + 1);
    if (recorded.positionMs > before.positionMs || hasHeld(incarnationFolder(folder, incarnation))) {
      fruitless = 0;
      failingSince = undefined;
    } else if (isInterruption(outcome)) fruitless++;
    if (fruitless >= fruitlessHostsLimit) {
      const detail = `The recorder ended ${fruitless} times without recording anything.`;
      return { outcome: { kind: 'failed', failure: failure('CAPTURE_FAILED', detail) } };
    }
    if (outcome.kind === 'failed') await Promise.race([sleep(pageRetryMs), context.cancelled]);
    incarnation = undefined;
  }

  /** Starts the incarnation's host if it has just begun, and watches it to its end. */
  async function recordWith(
    current: number,
    begun: Incarnation | null,
    before: RecordedBefore,
  ): Promise<HostOutcome | { kind: 'lost' }> {
    const hostFolder = incarnationFolder(folder, current);
    if (begun) {
      try {
        await startHost(hostFolder, await specOf(begun, before), leaseOf(context));
      } catch (error) {
        if (!(error instanceof HostStartError)) throw error;
        log.error({ jobId, err: error }, 'a recorder host did not start');
        if (error.code === 'DISK_FULL') return { kind: 'failed', failure: failure('DISK_FULL', error.message) };
        return { kind: 'lost' };
      }
    }
    const give = (command: HostCommand) => commandHost(hostFolder, command);
    const tell = (command: 'stop' | 'suspend' | RecorderWish) =>
      give({ command }).catch((error) =>
        log.warn({ jobId, err: error, command }, 'a recorder host did not take a command'),
      );
    const pieces =
      job.recording &&
      createPieceDelivery({
        ...{ jobId, incarnation: current, folder: hostFolder, name: job.recording.name },
        ...{ captures, storage: deps.storage, tools: config.recorder, log },
      });
    return attend({
      context,
      folder: hostFolder,
      log,
      onStop() {
        attention.stopAsked = true;
        void tell('stop');
      },
      async watch(detached) {
        // Asked while there was no host yet.
        if (attention.stopAsked) await tell('stop');
        if (ends.isSuspending() || ends.isHandingOver()) await tell('suspend');
        const outcome = await watchHost(deps, {
          jobId,
          pieces,
          incarnation: current,
          folder: hostFolder,
          maxDurationMs: job.maxDurationMs,
          unwellLimitMs: config.machineTimeoutMs / 3,
          baseline: before,
          tellRecording: () => deps.engine.tellRecording(jobId),
          tellStandby: () => deps.engine.tellStandby(jobId),
          nudges: () => attention.nudges,
          mayBeQuiet: source.kind === 'people',
          lookIntervalMs: lookIntervalMs[source.kind],
          readWanted: () => captures.wantedOf(jobId),
          steer: (wish) => void tell(wish),
          arrange: (arrangement) => give({ command: 'arrange', arrangement }).catch(() => false),
          beat: () => context.heartbeat(),
          detached,
        });
        await pieces?.close(lastPiecesLimitMs);
        return outcome;
      },
    }).finally(() => pieces?.close(0));
  }

  async function specOf(begun: Incarnation, { bytes, parts }: RecordedBefore): Promise<HostSpec> {
    const { ffmpeg, ffprobe, chromium, browserUser } = config.recorder;
    const { incarnation, source, maxDurationMs, endsAt, hold } = begun;
    const publication = await captures.publicationOf(begun.job);
    const url =
      source.kind === 'page' ? (source.url ?? (await deps.viewerPageUrl(begun.job, source, publication))) : null;
    return {
      ...{ jobId, incarnation, maxDurationMs, endsAt, hold, publication },
      source: source.kind === 'page' ? { ...source, url: url as string } : source,
      arrangement: (await captures.wantedOf(jobId)).arrangement,
      live: begun.job.automatic,
      egress: egressPolicy(config, url),
      directMedia: source.kind === 'page' && source.url === null,
      diskReserveBytes: config.diskReserveBytes,
      recordedBefore: { bytes, parts },
      leaseTimeoutMs,
      listenAddress: config.inputs.address,
      tools: { ffmpeg, ffprobe, chromium, browserUser },
    };
  }

  /** Whether a failure to load a page that was recorded before is worth another try. */
  async function mayPass(outcome: HostOutcome): Promise<boolean> {
    if (outcome.kind !== 'failed' || !passingFailures.includes(outcome.failure.reason)) return false;
    const { startedAt } = await db.job.findUniqueOrThrow({ where: { id: jobId }, select: { startedAt: true } });
    failingSince ??= Date.now();
    return startedAt !== null && Date.now() - failingSince < stateLimitsMs.RECONNECTING;
  }

  /** Media recorded by the incarnations before this one. */
  async function recordedBefore(current: number): Promise<RecordedBefore> {
    const where = { jobId, incarnation: { lt: current } };
    const { _sum, _count } = await db.part.aggregate({ where, _sum: { durationMs: true, bytes: true }, _count: true });
    return { positionMs: _sum.durationMs ?? 0, bytes: Number(_sum.bytes ?? 0), parts: _count };
  }
}

/** Whether a host came to wait as it should: one that is not to record yet has done its part. */
const hasHeld = (hostFolder: string): boolean =>
  ['STANDBY', 'PAUSED'].includes(readStatus(hostFolder)?.phase ?? 'STARTING');

const isInterruption = (outcome: { kind: string }): outcome is { kind: Interruption } =>
  ['lost', 'suspended', 'lease-expired'].includes(outcome.kind);

/** Tried again by the worker of the next start. */
const suspended = () =>
  ApplicationFailure.create({
    message: 'the service was stopped',
    type: hostSuspendedFailure,
    nextRetryDelay: '2s',
  });
