/** A machine that records nothing: jobs go through all their states on it as fast as everything else lets them. */
import { pino } from 'pino';
import { loadConfig, requireDatabaseUrl } from '../src/config.js';
import { createDatabase } from '../src/db.js';
import { createWake } from '../src/events/outbox.js';
import { announcedStorage } from '../src/installation.js';
import { type RecorderActivities, recorderTaskQueue } from '../src/jobs/messages.js';
import { createCaptures } from '../src/services/captures.js';
import { createMachines } from '../src/services/machines.js';
import { createTransitions } from '../src/services/transitions.js';
import { createEngine, createTemporalClient } from '../src/temporal/client.js';
import { startTemporalWorker } from '../worker/temporal-worker.js';
import { answer } from './child.js';

const machineId = 'm-null';
const reportMs = 5_000;
const recordedMs = 1_000;

const config = loadConfig();
const log = pino({ level: 'silent' });
const db = createDatabase(requireDatabaseUrl(config));
const wake = createWake(db);
const engine = createEngine(createTemporalClient(config));
const captures = createCaptures({ db, wake, transitions: createTransitions({ db, wake, config }) });
const machines = createMachines({ db, wake });
let slots = 0;

const activities: RecorderActivities = {
  async record({ jobId }) {
    const begun = await captures.beginIncarnation(jobId, machineId);
    if (!begun) return { outcome: { kind: 'stopped' } };
    const part = { jobId, incarnation: begun.incarnation, number: 1 };
    await captures.partStarted(part, new Date());
    await engine.tellRecording(jobId);
    await captures.partEnded(part, { durationMs: recordedMs, bytes: 1, cause: 'STOPPED' });
    return { outcome: { kind: 'max-duration' } };
  },
  async finalize({ jobId }) {
    const before = await captures.deliveredBefore(jobId);
    if (before) return before;
    const { incarnation, startedAt } = await db.job.findUniqueOrThrow({ where: { id: jobId } });
    const part = { incarnation, number: 1, durationMs: recordedMs, bytes: 1, endCause: 'STOPPED' as const };
    const parts = incarnation > 0 ? [{ ...part, startedAt: startedAt ?? new Date() }] : [];
    return captures.delivered(jobId, { parts, files: [], recordedMs: parts.length * recordedMs });
  },
  async stopRecording() {},
  async steer() {},
  async discard({ jobId }) {
    await captures.partsRemoved(jobId);
  },
  deliver: () => Promise.reject(new Error('Nothing is made again here.')),
};

async function report(): Promise<void> {
  const storageId = (await announcedStorage(db)) ?? '';
  await machines.report({
    ...{ id: machineId, version: '0.0.0', slots, copySlots: 0, displays: slots, isDraining: false, storageId },
    // What its jobs would take does not limit who records nothing.
    ...{ inputHost: '127.0.0.1', freeBytes: null, cpus: 0, load: 0, memory: 0, freeMemory: 0 },
  });
}

answer({
  /** Takes jobs from now on, as many at once; 0: none. */
  async offer(count: number) {
    slots = count;
    await report();
  },
});
const offers = setInterval(() => void report().catch(() => {}), reportMs);
offers.unref();
const worker = await startTemporalWorker(config, log, {
  ...{ taskQueue: recorderTaskQueue(machineId), activities },
  maxConcurrentActivityTaskExecutions: 200,
});
await worker.done;

export type NullRecorder = { offer(count: number): Promise<void> };
