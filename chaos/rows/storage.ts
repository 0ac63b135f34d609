/** Faults of where recordings are kept: a full disk, a storage that does not answer, a machine that is lost with its disk. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bed } from '../bed.js';
import { recordedOn, startRecording, stopAndWait, untilEnd, untilState } from '../recording.js';
import type { Account, Row, Trial } from '../row.js';
import { nextPart } from './trial.js';

const megabyte = 1_048_576;
const smallDiskMb = 128;
/** Less than what is kept free, so that recording must end. */
const leftBytes = 8 * megabyte;
/** A job that lasts longer would not be admitted to the small disk. */
const smallDiskSeconds = 60;
const stallsMs = { quick: 6_000, full: 20_000 };
/** What one second of shipping, and the way of what is on its way, may cost. */
const unshippedMs = 1_500;

export const diskRows: Row[] = [
  {
    name: 'disk-full',
    about:
      'the disk that parts are written to is filled up: the recording ends by itself as DISK_FULL, with all that was recorded',
    promise: () => ({ lostMs: 0, recoveryMs: 20_000 }),
    obstacle: () => (process.getuid?.() === 0 ? null : 'Only root can mount the small disk that it fills.'),
    run: diskFull,
  },
];

export const storageRows: Row[] = [
  {
    name: 'storage-stall',
    bed: 'cluster',
    about: 'the S3 storage does not answer while a job records and is stopped: the result is there when the storage is',
    // The upload that was given up after 25 s is tried again.
    promise: () => ({ lostMs: 0, recoveryMs: stallsMs.full + 60_000 }),
    run: storageStall,
  },
  {
    // The last one: it leaves a cluster with one machine.
    name: 'machine-loss',
    bed: 'cluster',
    about:
      'a machine with its recorder, all its processes and its whole data directory is lost: another machine goes on with the job',
    // Its silence must last for the machine timeout, then a browser is launched on another one.
    promise: ({ machineTimeoutMs }) => ({
      lostMs: unshippedMs + machineTimeoutMs + 10_000,
      recoveryMs: machineTimeoutMs + 10_000,
    }),
    run: machineLoss,
  },
];

async function diskFull({ bed, chance }: Trial): Promise<Account> {
  const folder = join(bed.stack.dataDir, 'jobs');
  const options = `size=${smallDiskMb}m,mode=0700`;
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tapedeck-chaos', folder]);
  bed.onClose(() => execFileSync('umount', ['-l', folder]));
  const recording = await startRecording(bed, { maxDuration: smallDiskSeconds });
  await untilState(recording, 'RECORDING');
  await recordedOn(recording, chance.between(2_000, 4_000));
  const faultAt = Date.now();
  fillUp(folder);
  const { state, reason } = await untilEnd(recording);
  const recoveryMs = Date.now() - faultAt;
  const complaints =
    state === 'PARTIAL' && reason === 'DISK_FULL'
      ? []
      : [`It ended as ${state} with ${reason}, not as PARTIAL with DISK_FULL.`];
  await bed.runOnClose();
  return {
    ...{ jobs: [recording], recoveryMs, complaints },
    judge: ([found]) => {
      const last = found?.pictures?.seen.at(-1) ?? 0;
      return last > faultAt - 1_000 ? [] : ['What was recorded right before the disk was full is missing.'];
    },
  };
}

/** Leaves a few megabytes of the disk free. */
function fillUp(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  const block = Buffer.alloc(megabyte);
  const file = openSync(join(folder, 'filler'), 'w');
  try {
    for (let left = bavail * bsize - leftBytes; left > 0; left -= megabyte) writeSync(file, block);
  } finally {
    closeSync(file);
  }
}

async function storageStall({ bed, chance, quick }: Trial): Promise<Account> {
  const { line } = clusterOf(bed);
  const stallMs = quick ? stallsMs.quick : stallsMs.full;
  const recording = await startRecording(bed);
  await untilState(recording, 'RECORDING');
  await recordedOn(recording, chance.between(1_000, 3_000));
  const faultAt = Date.now();
  await line.stall();
  const released = sleep(stallMs).then(() => line.release());
  await recordedOn(recording, 2_000);
  await stopAndWait(recording);
  await released;
  return { jobs: [recording], recoveryMs: Date.now() - faultAt };
}

async function machineLoss(trial: Trial): Promise<Account> {
  const { bed, chance } = trial;
  const { recorders } = clusterOf(bed);
  const recording = await startRecording(bed);
  await untilState(recording, 'RECORDING');
  await recordedOn(recording, chance.between(3_000, 6_000));
  const host = bed.traces.hostOf(recording.jobId);
  const lost = recorders.find(({ dataDir }) => host.folder.startsWith(dataDir));
  if (!lost) throw new Error(`${host.folder} is on no machine of the cluster.`);
  const faultAt = Date.now();
  lost.abort();
  bed.traces.forget(lost.dataDir);
  rmSync(lost.dataDir, { recursive: true, force: true, maxRetries: 5 });
  const recoveredAt = await nextPart(trial, 180_000)(recording, faultAt);
  // What a machine kept below /tmp is lost with it.
  rmSync(dirname(host.socket), { recursive: true, force: true, maxRetries: 5 });
  await recordedOn(recording, 3_000);
  await stopAndWait(recording);
  return {
    ...{ jobs: [recording], recoveryMs: recoveredAt - faultAt },
    judge: ([found]) => {
      const kept = found?.pictures?.seen.filter((at) => at <= faultAt).at(-1);
      const before = kept === undefined ? Number.POSITIVE_INFINITY : faultAt - kept;
      return before <= unshippedMs
        ? []
        : [
            `${Math.round(before)} ms before the loss of the machine are missing, promised are at most ${unshippedMs} ms.`,
          ];
    },
  };
}

function clusterOf(bed: Bed) {
  if (!bed.cluster) throw new Error('This row needs a cluster.');
  return bed.cluster;
}
