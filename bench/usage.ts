/** What processes cost while something goes on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { machineSeconds, processorSeconds } from './process-tree.js';

export interface Usage {
  /** Processor seconds a second of these processes and all they started. */
  cores: number;
  /** The same of everything else on the machine. */
  others: number;
}

/** Measures for `windowMs`, once `settleMs` have gone by: what programs do in their first moments is over by then. */
export async function measureUsage(pids: readonly number[], windowMs: number, settleMs: number): Promise<Usage> {
  await sleep(settleMs);
  const [before, allBefore, startedAt] = [processorSeconds(pids), machineSeconds(), performance.now()];
  await sleep(windowMs);
  const seconds = (performance.now() - startedAt) / 1000;
  const cores = (processorSeconds(pids) - before) / seconds;
  return { cores, others: Math.max(0, (machineSeconds() - allBefore) / seconds - cores) };
}
