/** Whether a job costs the same however many there were before it: runs that grow, one after the other, on one database. */
import { openJobsBed, slots } from './jobs-bed.js';
import { type BenchResult, table } from './result.js';

const runs = { quick: [40, 80], usual: [100, 1_000, 10_000], full: [100, 1_000, 10_000, 100_000] };
const goal = 1.2;
const endLimitMs = 8 * 3_600_000;
const warmUps = 10;

/** About 25 minutes; 4 hours when full, less than 50 s when quick. */
export async function benchScale(quick: boolean, full: boolean): Promise<BenchResult> {
  const counts = runs[quick ? 'quick' : full ? 'full' : 'usual'];
  const bed = await openJobsBed(endLimitMs);
  try {
    await bed.recorder.ask('offer', slots);
    await bed.run(warmUps);
    const rows: (string | number)[][] = [];
    const costs: number[] = [];
    let before = warmUps;
    for (const count of counts) {
      const { seconds, requestMs, endMs, cpuMs } = await bed.run(count);
      costs.push(Object.values(cpuMs).reduce((sum, ms) => sum + ms, 0));
      const figures = [...requestMs, ...endMs, ...Object.values(cpuMs), costs.at(-1) as number].map(Math.round);
      rows.push([before, count, (count / seconds).toFixed(1), ...figures]);
      before += count;
    }
    const processes = ['api', 'jobs', 'postgres', 'temporal', 'null recorder', 'all'].map((name) => `${name} ms`);
    const times = ['startTask p50 ms', 'p99 ms', 'to its end p50 ms', 'p99 ms'];
    console.log(table(['jobs before', 'jobs', 'jobs/s', ...times, ...processes], rows));
    const [floor, value] = [costs[0] as number, costs.at(-1) as number];
    return {
      ...{ name: 'scale', value, floor, unit: 'ms of a processor for a job', ratio: value / floor, goal },
      ok: value / floor <= goal,
      details: { counts, costs },
    };
  } finally {
    await bed.close();
  }
}
