/** What this process holds, for tests of what must not grow. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes on the heap and beside it, once everything that nobody can reach is collected. */
export async function heldBytes(): Promise<number> {
  // What one collection finds to be finished, the next can remove.
  for (let round = 0; round < 5; round++) {
    collect();
    await nextTurn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
