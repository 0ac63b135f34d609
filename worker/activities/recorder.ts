/** Activities of one machine's recorder worker: start or adopt a job's host and watch it, stop it, finalize what it left. */
import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import type { Logger } from 'pino';
import type { Config } from '../../src/config.js';
import type { Database } from '../../src/db.js';
import type { HostSpec, PageSource } from '../../src/jobs/capture.js';
import { hostSuspendedFailure, type RecorderActivities, type RecordResult } from '../../src/jobs/messages.js';
import { failure, type JobReason } from '../../src/jobs/reasons.js';
import { stateLimitsMs } from '../../src/jobs/states.js';
import type { Captures } from '../../src/services/captures.js';
import { egressPolicy } from '../../src/services/page-urls.js';
import type { Transitions } from '../../src/services/transitions.js';
import type { Storage } from '../../src/storage/storage.js';
import type { Engine } from '../../src/temporal/client.js';
import { finalizeJob, removeParts } from '../finalize/finalize.js';
import { clearAfterHost, findHost, killHost, renewLease, sendCommand, startHost } from '../host/client.js';
import { incarnationFolder, jobFolder } from '../machine.js';
import type { StatsWriter } from '../stats.js';
import { type Baseline, watchHost } from './watch.js';

/** A host ends itself when its worker has been gone for this long: nobody would ever collect what it records. */
const leaseTimeoutMs = 300_000;
const leaseIntervalMs = 10_000;
/** Hosts that die one after the other without recording anything: something is wrong with the machine, not the page. */
const fruitlessHostsLimit = 3;
/** How often a page that was recorded before, and cannot be loaded now, is tried again. */
const pageRetryMs = 2_000;
/** ffmpeg is killed by its host 10 s after it was asked to end. */
const stopLimitMs = 20_000;

export interface RecorderDeps {
  config: Config;
  db: Database;
  machineId: string;
  engine: Engine;
  captures: Captures;
  transitions: Transitions;
  storage: Storage;
  stats: StatsWriter;
  log: Logger;
}

export interface RecorderWorkerActivities {
  activities: RecorderActivities;
  /** The service is being shut down: every host closes its part and ends; the jobs go on at the next start. */
  suspend(): Promise<void>;
}

export function createRecorderActivities(deps: RecorderDeps): RecorderWorkerActivities {
  const { config, db, machineId, engine, captures, transitions, storage, log } = deps;
  const watched = new Map<string, { stopAsked: boolean; done: Promise<unknown> }>();
  let suspending = false;

  // Tried again by the worker of the next start.
  const suspended = () =>
    ApplicationFailure.create({ message: 'the service was stopped', type: hostSuspendedFailure, nextRetryDelay: '2s' });

  async function record(jobId: string): Promise<RecordResult> {
    if (suspending) throw suspended();
    const context = Context.current();
    const lease = { taskToken: Buffer.from(context.info.taskToken).toString('base64'), attempt: context.info.attempt };
    const job = await db.job.findUniqueOrThrow({ where: { id: jobId } });
    const watching = watched.get(jobId);
    let incarnation = newestIncarnation(config, jobId);
    let fruitless = 0;
    for (;;) {
      if (incarnation === null) {
        if (watching?.stopAsked) return { outcome: { kind: 'stopped' } };
        const begun = await captures.beginIncarnation(jobId, machineId);
        if (!begun) return { outcome: { kind: 'stopped' } };
        if (begun.remainingMs <= 0) return { outcome: { kind: 'max-duration' } };
        incarnation = begun.incarnation;
        const spec = hostSpec(jobId, begun);
        await startHost(incarnationFolder(config, jobId, incarnation), spec, { ...lease, renewedAt: Date.now() });
      }
      const folder = incarnationFolder(config, jobId, incarnation);
      const baseline = await recordedBefore(db, jobId, incarnation);
      const outcome = await attended(context, jobId, folder, lease, (detached) =>
        watchHost(
          { captures, transitions, stats: deps.stats, log },
          {
            jobId,
            incarnation: incarnation as number,
            folder,
            maxDurationMs: job.maxDurationMs,
            baseline,
            tellRecording: () => engine.tellRecording(jobId),
            beat: () => context.heartbeat({ incarnation }),
            detached,
          },
        ),
      );
      if (outcome.kind === 'failed' && (await mayComeBack(db, jobId, outcome.failure.reason))) {
        log.warn({ jobId, incarnation, why: outcome.failure.message }, 'the page cannot be loaded again yet');
        await Promise.race([pause(pageRetryMs), context.cancelled]);
        incarnation = null;
        continue;
      }
      if (outcome.kind !== 'lost' && outcome.kind !== 'suspended' && outcome.kind !== 'lease-expired') {
        return { outcome };
      }
      if (suspending) {
        await transitions.transition({ jobId, to: 'RECONNECTING', reason: 'SERVICE_STOPPED' });
        throw suspended();
      }
      const recorded = await recordedBefore(db, jobId, incarnation + 1);
      fruitless = recorded.positionMs > baseline.positionMs ? 0 : fruitless + 1;
      if (fruitless >= fruitlessHostsLimit) {
        const detail = `The recorder ended ${fruitless} times without recording anything.`;
        return { outcome: { kind: 'failed', failure: failure('CAPTURE_FAILED', detail) } };
      }
      log.warn({ jobId, incarnation, how: outcome.kind }, 'the recorder host is gone, starting another');
      await clearAfterHost(folder);
      incarnation = null;
    }
  }

  /**
   * Does the watching while keeping the lease and passing a stop on to the host. Only a requested cancellation stops the
   * host; a shutdown, a time-out or a lost attempt detaches and leaves it recording for the next attempt.
   */
  async function attended<T>(
    context: Context,
    jobId: string,
    folder: string,
    lease: { taskToken: string; attempt: number },
    watch: (detached: Promise<never>) => Promise<T>,
  ): Promise<T> {
    const timer = setInterval(() => {
      try {
        renewLease(folder, { ...lease, renewedAt: Date.now() });
      } catch (error) {
        log.warn({ jobId, err: error }, 'the lease of a recording could not be renewed');
      }
    }, leaseIntervalMs);
    renewLease(folder, { ...lease, renewedAt: Date.now() });
    const detached = context.cancelled.catch((error) => {
      if (error instanceof CancelledFailure && context.cancellationDetails?.cancelRequested) {
        void askToStop(jobId, folder);
        return new Promise<never>(() => {});
      }
      throw error;
    });
    // Without a listener of its own a rejection would end the process.
    detached.catch(() => {});
    try {
      if (watched.get(jobId)?.stopAsked) await askToStop(jobId, folder);
      if (suspending) await command(folder, 'suspend');
      return await watch(detached);
    } finally {
      clearInterval(timer);
    }
  }

  async function askToStop(jobId: string, folder: string): Promise<void> {
    const watching = watched.get(jobId);
    if (watching) watching.stopAsked = true;
    await command(folder, 'stop').catch((error) =>
      log.warn({ jobId, err: error }, 'a recorder host could not be told to stop'),
    );
  }

  async function command(folder: string, name: 'stop' | 'suspend'): Promise<boolean> {
    const host = findHost(folder);
    if (!host) return false;
    await sendCommand(host, { command: name });
    return true;
  }

  function hostSpec(jobId: string, begun: { incarnation: number; source: PageSource; remainingMs: number }): HostSpec {
    const { ffmpeg, ffprobe, chromium, browserUser } = config.recorder;
    return {
      jobId,
      incarnation: begun.incarnation,
      source: begun.source,
      egress: egressPolicy(config, begun.source.url),
      maxDurationMs: begun.remainingMs,
      leaseTimeoutMs,
      tools: { ffmpeg, ffprobe, chromium, browserUser },
    };
  }

  /** Parts are only touched when nobody writes them any more. */
  async function endHost(jobId: string): Promise<void> {
    const incarnation = newestIncarnation(config, jobId);
    if (incarnation === null) return;
    const folder = incarnationFolder(config, jobId, incarnation);
    const host = findHost(folder);
    if (!host) return;
    await command(folder, 'stop').catch(() => {});
    if (!(await gone(folder, stopLimitMs))) await killHost(host);
  }

  const activities: RecorderActivities = {
    async record({ jobId }) {
      const done = record(jobId);
      const entry = { stopAsked: false, done: done.catch(() => {}) };
      watched.set(jobId, entry);
      try {
        return await done;
      } finally {
        if (watched.get(jobId) === entry) watched.delete(jobId);
      }
    },

    async stopRecording({ jobId }) {
      const watching = watched.get(jobId);
      if (watching) watching.stopAsked = true;
      const incarnation = newestIncarnation(config, jobId);
      const reached = incarnation !== null && (await command(incarnationFolder(config, jobId, incarnation), 'stop'));
      if (!reached && !watching) throw new Error('nobody records this job on this machine at the moment');
    },

    async finalize({ jobId }) {
      const context = Context.current();
      const folder = jobFolder(config, jobId);
      const job = await db.job.findUniqueOrThrow({ where: { id: jobId }, include: { archive: true, stats: true } });
      if (job.recordedMs !== null) {
        await removeParts(folder);
        return { recordedMs: job.recordedMs };
      }
      await endHost(jobId);
      const base = Math.max(job.progress, job.stats?.progress ?? 0);
      const result = await finalizeJob({
        jobFolder: folder,
        jobId,
        name: job.archive?.name ?? 'Recording',
        storage,
        tools: config.recorder,
        signal: context.cancellationSignal,
        onProgress: (fraction) => {
          context.heartbeat();
          deps.stats.setProgress(jobId, base + (99 - base) * fraction);
        },
      });
      await captures.delivered(jobId, result);
      await removeParts(folder);
      return { recordedMs: result.recordedMs };
    },

    async discard({ jobId }) {
      await endHost(jobId);
      await rm(jobFolder(config, jobId), { recursive: true, force: true });
    },
  };

  return {
    activities,
    async suspend() {
      suspending = true;
      const jobs = [...watched.entries()];
      for (const [jobId] of jobs) {
        const incarnation = newestIncarnation(config, jobId);
        if (incarnation === null) continue;
        await command(incarnationFolder(config, jobId, incarnation), 'suspend').catch((error) =>
          log.warn({ jobId, err: error }, 'a recorder host could not be suspended'),
        );
      }
      await Promise.race([Promise.all(jobs.map(([, { done }]) => done)), pause(stopLimitMs)]);
    },
  };
}

function newestIncarnation(config: Config, jobId: string): number | null {
  const folder = jobFolder(config, jobId);
  if (!existsSync(folder)) return null;
  const numbers = readdirSync(folder).map((name) => Number(/^i(\d+)$/.exec(name)?.[1] ?? Number.NaN));
  const newest = Math.max(...numbers.filter((number) => !Number.isNaN(number)));
  return Number.isFinite(newest) ? newest : null;
}

/**
 * Whether a page that could not be loaded again is worth another try: it was recorded before, and not too long ago. Its
 * server may be restarting just like what made us load it again.
 */
async function mayComeBack(db: Database, jobId: string, reason: JobReason): Promise<boolean> {
  if (!['PAGE_UNREACHABLE', 'PAGE_HTTP_ERROR', 'PAGE_LOAD_TIMEOUT'].includes(reason)) return false;
  const job = await db.job.findUniqueOrThrow({ where: { id: jobId }, select: { state: true, stateSince: true } });
  return job.state === 'RECONNECTING' && Date.now() - job.stateSince.getTime() < stateLimitsMs.RECONNECTING;
}

/** Media recorded by the incarnations before this one. */
async function recordedBefore(db: Database, jobId: string, incarnation: number): Promise<Baseline> {
  const sum = await db.part.aggregate({
    where: { jobId, incarnation: { lt: incarnation } },
    _sum: { durationMs: true, bytes: true },
  });
  return { positionMs: sum._sum.durationMs ?? 0, bytes: Number(sum._sum.bytes ?? 0) };
}

async function gone(folder: string, limitMs: number): Promise<boolean> {
  const until = Date.now() + limitMs;
  while (findHost(folder)) {
    if (Date.now() > until) return false;
    await pause(100);
  }
  return true;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
