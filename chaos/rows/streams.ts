/** Faults under a recording of a live stream that is copied: what records it, and whoever sends it. */
import { type LiveCard, startLiveCard } from '../live-card.js';
import { signalAll } from '../processes.js';
import { type Recording, startStreamRecording } from '../recording.js';
import type { Account, Promised, Row, Trial } from '../row.js';
import { kill } from './capture.js';
import { killAndWait, restartMs } from './services.js';
import { breakWhileRecording, childOf, goesOn, nextPart } from './trial.js';

const limitMs = 60_000;
const outageMs = 3_000;
/** From one key frame of the stream to the next, with which a recording begins. */
const keyFrameMs = 1_000;

const cutOff = (reconnectMs: number): Promised => kill(reconnectMs + keyFrameMs);

async function breakStream(
  trial: Trial,
  fault: (recording: Recording, card: LiveCard) => Promise<void> | void,
  recovered = nextPart(trial, limitMs),
): Promise<Account> {
  const card = await startLiveCard();
  try {
    return await breakWhileRecording(
      trial,
      (recording) => fault(recording, card),
      recovered,
      () => startStreamRecording(trial.bed, card),
    );
  } finally {
    await card.close();
  }
}

export const streamRows: Row[] = [
  {
    name: 'stream-ffmpeg-kill',
    about: 'kill -9 of the ffmpeg that copies a live stream; the same run goes on as its next part',
    promise: () => cutOff(2_000),
    run: (trial) => breakStream(trial, (recording) => signalAll([childOf(trial, recording, 'ffmpeg')], 'SIGKILL')),
  },
  {
    name: 'stream-host-kill',
    about: 'kill -9 of the recorder host of a live stream; another host goes on with the run',
    promise: () => cutOff(4_000),
    run: (trial) => breakStream(trial, ({ jobId }) => signalAll([trial.bed.traces.hostOf(jobId).pid], 'SIGKILL')),
  },
  {
    name: 'stream-worker-kill',
    about: 'kill -9 of the recorder worker while a live stream is recorded: its host records on',
    promise: () => ({ lostMs: 0, recoveryMs: restartMs }),
    run: (trial) => breakStream(trial, () => killAndWait(trial.bed, 'recorder'), goesOn(trial, limitMs)),
  },
  {
    name: 'stream-source-kill',
    about: `kill -9 of whoever sends a live stream, and ${outageMs / 1_000} s later another: the run waits, and goes on with it`,
    // Its stream goes on at a whole second, and so does whoever sends the next one.
    promise: () => cutOff(outageMs + 1_000 + 2_000),
    run: (trial) => breakStream(trial, (_, card) => card.interrupt(outageMs)),
  },
];
