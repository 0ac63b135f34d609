/** Faults in what is asked of jobs: storms of requests, requests to what is dead, faults while a job is paused. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminal, type JobState } from '../../src/jobs/states.js';
import type { TestArchive } from '../../test/testkit/archives.js';
import { readStatus } from '../../worker/host/client.js';
import type { Bed } from '../bed.js';
import { eventually } from '../patience.js';
import { signalAll } from '../processes.js';
import {
  type Recording,
  recordedOn,
  resultsOf,
  startRecording,
  stopAndWait,
  untilEnd,
  untilState,
} from '../recording.js';
import type { Account, Row, Trial } from '../row.js';
import { subscribe } from '../subscriber.js';
import { keepDown } from './services.js';

const recoveryLimitMs = 60_000;

export const requestRows: Row[] = [
  {
    name: 'stop-on-dead-worker',
    about:
      'the recorder worker is down when a recording is stopped: the stop is accepted, and the job ends when a worker is back',
    // Down for 5 s, started again at most 8 s later, then the end of a recording as ever.
    promise: () => ({ lostMs: 0, recoveryMs: 40_000 }),
    run: stopOnDeadWorker,
  },
  {
    name: 'pause-kill',
    about:
      'kill -9 of the recorder host of a paused job: another one waits in its place, and goes on when the job is resumed',
    promise: () => ({ lostMs: 0, recoveryMs: 10_000 }),
    run: pauseKill,
  },
  {
    name: 'stop-start-storm',
    about:
      'many starts, begins, pauses, resumes, stops and cancels of many jobs in random order, each sent twice with the same request id',
    promise: () => ({ lostMs: 0, recoveryMs: 60_000 }),
    run: storm,
  },
];

async function stopOnDeadWorker({ bed, chance }: Trial): Promise<Account> {
  const recording = await startRecording(bed);
  await untilState(recording, 'RECORDING');
  await recordedOn(recording, chance.between(1_000, 3_000));
  const faultAt = Date.now();
  const down = keepDown(bed, 'recorder', 5_000);
  // By then the first kill has been sent.
  await sleep(200);
  recording.stopAskedAt = Date.now();
  const answer = await recording.archive.stop(`stop-${recording.jobId}`);
  const complaints = answer === 'STOPPED' ? [] : [`A stop while the worker was down was answered ${answer}.`];
  await down;
  await untilEnd(recording);
  return { jobs: [recording], recoveryMs: Date.now() - faultAt, complaints };
}

async function pauseKill({ bed, chance }: Trial): Promise<Account> {
  const recording = await startRecording(bed);
  await untilState(recording, 'RECORDING');
  await recordedOn(recording, chance.between(1_000, 3_000));
  const answer = await recording.archive.pause(`pause-${recording.jobId}`);
  const complaints = answer === 'PAUSED' ? [] : [`A pause of a recording was answered ${answer}.`];
  await untilState(recording, 'PAUSED');
  await sleep(chance.between(200, 2_000));
  const host = bed.traces.hostOf(recording.jobId);
  const faultAt = Date.now();
  signalAll([host.pid], 'SIGKILL');
  await eventually('another host that waits', recoveryLimitMs, async () => {
    const next = bed.traces.hostOf(recording.jobId);
    const { state } = await recording.archive.facts();
    return next.pid !== host.pid && readStatus(next.folder)?.phase === 'PAUSED' && state === 'PAUSED';
  });
  const recoveredAt = Date.now();
  const resumed = await recording.archive.resume(`resume-${recording.jobId}`);
  if (resumed !== 'RECONNECTING' && resumed !== 'RECORDING') complaints.push(`A resume was answered ${resumed}.`);
  await untilState(recording, 'RECORDING');
  await recordedOn(recording, 2_000);
  await stopAndWait(recording);
  return { jobs: [recording], recoveryMs: recoveredAt - faultAt, complaints };
}

type Ask = 'begin' | 'pause' | 'resume' | 'stop' | 'cancel';
const asks: readonly Ask[] = ['begin', 'pause', 'resume', 'stop', 'cancel'];
const refusals = ['INVALID_STATE', 'UNAVAILABLE'];
const sizes = { quick: { cheap: 12, asks: 40 }, full: { cheap: 40, asks: 200 } };
const askPauseMs = 100;

/** Two recordings hold what places there are; all other jobs wait in the queue, or for a launch that never comes. */
async function storm({ bed, chance, quick }: Trial): Promise<Account> {
  const size = quick ? sizes.quick : sizes.full;
  const complaints: string[] = [];
  const recordings = [await startRecording(bed), await startRecording(bed, { autostart: false })];
  const cheap = await Promise.all(
    Array.from({ length: size.cheap }, (_, number) => startCheap(bed, number, complaints)),
  );
  const jobs = [
    ...recordings.map(({ archive }) => ({ archive, asks: ['begin', 'pause', 'resume'] as const })),
    ...cheap.map(({ archive }) => ({ archive, asks })),
  ];
  const [first] = recordings;
  await untilState(first as Recording, 'RECORDING');

  for (let number = 0; number < size.asks; number++) {
    const { archive, asks: possible } = chance.pick(jobs);
    const ask = chance.pick<Ask>(possible);
    // The same request twice at once, as a client does that got no answer in time.
    const requestId = `${ask}-${number}-${archive.jobId}`;
    const answers = await Promise.all([archive[ask](requestId), archive[ask](requestId)]);
    if (answers.some((answer) => answer === 'CONFLICT' || answer === 'NOT_FOUND'))
      complaints.push(`${ask} of ${archive.jobId}, sent twice, was answered ${answers.join(' and ')}.`);
    await sleep(chance.between(0, askPauseMs));
  }

  const overAt = Date.now();
  await Promise.all(cheap.map(({ archive }) => endSomehow(archive)));
  for (const { archive } of recordings) await endSomehow(archive);
  return { jobs: [...recordings, ...cheap], recoveryMs: Date.now() - overAt, complaints };
}

/** A job that is sent for twice with the same request id; it waits for a place, or for a launch in an hour. */
async function startCheap(bed: Bed, number: number, complaints: string[]) {
  const input = {
    url: bed.pageUrl,
    requestId: `start-${number}-${Date.now()}`,
    ...(number % 2 ? { launchTime: new Date(Date.now() + 3_600_000).toISOString() } : {}),
    callbackUrl: bed.receiver.url,
  };
  const [one, other] = await Promise.all([bed.kit.start(input), bed.kit.start(input)]);
  if (one.id !== other.id) complaints.push(`One start, sent twice, started both ${one.jobId} and ${other.jobId}.`);
  return {
    ...{ archive: one, jobId: one.jobId, results: resultsOf(one) },
    subscriber: subscribe(bed.kit.tapedeck, one.id),
  };
}

/** Stops what records and cancels what does not, until the job has ended. */
async function endSomehow(archive: TestArchive): Promise<void> {
  await eventually('the job to end', recoveryLimitMs, async () => {
    const { state } = await archive.facts();
    if (isTerminal(state as JobState)) return true;
    if (refusals.includes(await archive.cancel())) await archive.stop();
    return false;
  });
}
