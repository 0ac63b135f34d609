/** Faults of the way to the page that is recorded. */
import { setTimeout as sleep } from 'node:timers/promises';
import { signalAll } from '../processes.js';
import { recordedOn, startRecording, stopAndWait, untilState } from '../recording.js';
import type { Account, Row, Trial } from '../row.js';
import { startNetwork } from '../toxiproxy.js';
import { childOf, nextPart } from './trial.js';

const stallsMs = { quick: 5_000, full: 20_000 };

export const networkRows: Row[] = [
  {
    name: 'page-stall',
    about:
      "the page's server does not answer for 20 s (5 s in quick runs), and Chromium is killed meanwhile: the job goes on when it answers",
    // What was on its way arrives at the end of the stall, and the page that was being loaded with it.
    promise: () => ({ lostMs: stallsMs.full + 5_000, recoveryMs: stallsMs.full + 4_000 }),
    run: pageStall,
  },
];

async function pageStall(trial: Trial): Promise<Account> {
  const { bed, chance, quick } = trial;
  const network = await startNetwork();
  try {
    const page = new URL(bed.pageUrl);
    const line = await network.through(page.host);
    const recording = await startRecording(bed, { pageUrl: `http://${line.address}${page.pathname}` });
    await untilState(recording, 'RECORDING');
    await recordedOn(recording, chance.between(1_000, 3_000));
    const faultAt = Date.now();
    await line.stall();
    signalAll([childOf(trial, recording, 'chromium')], 'SIGKILL');
    await sleep(quick ? stallsMs.quick : stallsMs.full);
    await line.release();
    const recoveredAt = await nextPart(trial, 90_000)(recording, faultAt);
    await recordedOn(recording, 2_000);
    await stopAndWait(recording);
    return { jobs: [recording], recoveryMs: recoveredAt - faultAt };
  } finally {
    await network.close();
  }
}
