/** Faults of what captures: ffmpeg, Chromium, Xvfb, PulseAudio, and the recorder host that owns them. */
import { identify, isRunning } from '../../src/process-identity.js';
import type { Bed } from '../bed.js';
import { signalAll, treeOf } from '../processes.js';
import type { Promised, Row } from '../row.js';
import { breakWhileRecording, childOf, nextPart } from './trial.js';

/** What was captured but not yet written when a program was killed. */
const unwrittenMs = 1_000;
const nextPartLimitMs = 90_000;

/** At most a second before the kill, and so long to the next part. */
export const kill = (recoveryMs: number): Promised => ({ lostMs: unwrittenMs + recoveryMs, recoveryMs });
/** A hang has to be noticed first. */
const hang = (noticedMs: number, recoveryMs: number): Promised => kill(noticedMs + recoveryMs);

/**
 * What hangs is told from what is only busy within 5 s. A page may rightly stand still for long: a browser is replaced after 15 s without
 * a picture, looked at once a second; from 5 s on there is a warning.
 */
const programs = [
  { name: 'ffmpeg', program: 'ffmpeg', noticedMs: 6_000 },
  { name: 'chromium', program: 'chromium', noticedMs: 18_000 },
  { name: 'xvfb', program: 'Xvfb', noticedMs: 6_000 },
  { name: 'pulseaudio', program: 'pulseaudio', noticedMs: 6_000 },
] as const;

/** Stops processes, which nobody but the service will end; should it fail to, or be interrupted, we do. */
function hangForEver(bed: Bed, pids: readonly number[]): void {
  const stopped = pids.map(identify).filter((identity) => identity !== undefined);
  signalAll(pids, 'SIGSTOP');
  bed.onClose(() =>
    signalAll(
      stopped.filter(isRunning).map(({ pid }) => pid),
      'SIGKILL',
    ),
  );
}

export const captureRows: Row[] = [
  ...programs.flatMap(({ name, program, noticedMs }): Row[] => [
    {
      name: `${name}-kill`,
      about: `kill -9 of ${program}; the same job goes on as its next part`,
      promise: () => kill(2_000),
      run: (trial) =>
        breakWhileRecording(
          trial,
          (recording) => signalAll([childOf(trial, recording, program)], 'SIGKILL'),
          nextPart(trial, nextPartLimitMs),
        ),
    },
    {
      name: `${name}-hang`,
      about: `SIGSTOP of ${program} with all its processes, for ever: it is noticed, killed, and replaced`,
      promise: () => hang(noticedMs, 2_000),
      run: (trial) =>
        breakWhileRecording(
          trial,
          (recording) => hangForEver(trial.bed, treeOf(childOf(trial, recording, program))),
          nextPart(trial, nextPartLimitMs),
        ),
    },
  ]),
  {
    name: 'host-kill',
    about: 'kill -9 of the recorder host, with which all it owns dies; another host goes on with the job',
    promise: () => kill(4_000),
    run: (trial) =>
      breakWhileRecording(
        trial,
        ({ jobId }) => signalAll([trial.bed.traces.hostOf(jobId).pid], 'SIGKILL'),
        nextPart(trial, nextPartLimitMs),
      ),
  },
  {
    name: 'host-hang',
    about:
      'SIGSTOP of the recorder host alone: it says nothing for 10 s, is given a third of the machine timeout more, then killed and replaced',
    // What it owns records on meanwhile, so that only what follows the kill is lost.
    promise: ({ machineTimeoutMs }) => ({
      lostMs: unwrittenMs + 4_000,
      recoveryMs: 10_000 + machineTimeoutMs / 3 + 6_000,
    }),
    run: (trial) =>
      breakWhileRecording(
        trial,
        ({ jobId }) => hangForEver(trial.bed, [trial.bed.traces.hostOf(jobId).pid]),
        nextPart(trial, nextPartLimitMs),
      ),
  },
];
