/** Who is served next of those that wait for a machine, and when that will be at the latest. */
import type { Pool } from './cost.js';

/** Of one project's jobs, which go first. */
export const priorities = ['LOW', 'NORMAL', 'HIGH'] as const;
export type Priority = (typeof priorities)[number];

export interface QueuedJob {
  jobId: string;
  projectId: string;
  pool: Pool;
  /** Something of it was recorded: its machine was lost. */
  isInterrupted: boolean;
  /** The greater goes first. */
  priority: number;
  /** Epoch milliseconds. */
  requestedAt: number;
}

/** How many places of a pool the jobs of each project take up now. */
export type Shares = ReadonlyMap<string, number>;
export const shareKey = (pool: Pool, projectId: string): string => `${pool}/${projectId}`;

/**
 * The order in which jobs of a pool are served: what was interrupted before all, since every second of it is lost for ever; then, turn
 * by turn, one of the project that has the fewest places, counting those it would have been given by then. Of one project the one of
 * the highest priority, and of these the one that was asked for first.
 */
export function fairOrder<Job extends QueuedJob>(waiting: readonly Job[], shares: Shares): Job[] {
  const first = waiting.filter(({ isInterrupted }) => isInterrupted).sort(byTime);
  const queues = new Map<string, { share: number; jobs: Job[]; next: number }>();
  for (const job of waiting) {
    if (job.isInterrupted) continue;
    const key = shareKey(job.pool, job.projectId);
    const queue = queues.get(key) ?? { share: shares.get(key) ?? 0, jobs: [], next: 0 };
    queue.jobs.push(job);
    queues.set(key, queue);
  }
  for (const { jobs } of queues.values()) jobs.sort((a, b) => b.priority - a.priority || byTime(a, b));
  const ordered = [...first];
  const open = [...queues.values()];
  while (ordered.length < waiting.length) {
    const queue = open.reduce((best, each) => (isBefore(each, best) ? each : best));
    ordered.push(queue.jobs[queue.next] as Job);
    queue.next += 1;
    queue.share += 1;
    if (queue.next === queue.jobs.length) open.splice(open.indexOf(queue), 1);
  }
  return ordered;
}

const byTime = (a: QueuedJob, b: QueuedJob): number =>
  a.requestedAt - b.requestedAt || (a.jobId < b.jobId ? -1 : a.jobId > b.jobId ? 1 : 0);

interface Turn {
  share: number;
  jobs: readonly QueuedJob[];
  next: number;
}

function isBefore(a: Turn, b: Turn): boolean {
  if (a.share !== b.share) return a.share < b.share;
  return byTime(a.jobs[a.next] as QueuedJob, b.jobs[b.next] as QueuedJob) < 0;
}

/**
 * When each of those that wait, in the order in which they are served, begins if nobody stops before their maximum duration: they begin
 * no later, unless somebody else goes first. Times are epoch milliseconds. Null where there is no place at all.
 */
export function expectedStarts(
  waiting: readonly { maxDurationMs: number }[],
  { free, ends, now }: { free: number; ends: readonly number[]; now: number },
): (number | null)[] {
  const places = [...Array.from({ length: free }, () => now), ...ends.map((end) => Math.max(now, end))];
  const heap = createHeap(places);
  return waiting.map(({ maxDurationMs }) => {
    const at = heap.least();
    if (at === null) return null;
    heap.replaceLeast(at + maxDurationMs);
    return at;
  });
}

/** Of numbers: what is least is known at once, whatever their number. */
function createHeap(numbers: number[]): { least(): number | null; replaceLeast(by: number): void } {
  const heap = [...numbers].sort((a, b) => a - b);
  return {
    least: () => heap[0] ?? null,
    replaceLeast(by) {
      let at = 0;
      for (;;) {
        const [left, right] = [2 * at + 1, 2 * at + 2];
        const child =
          (heap[right] ?? Number.POSITIVE_INFINITY) < (heap[left] ?? Number.POSITIVE_INFINITY) ? right : left;
        const value = heap[child];
        if (value === undefined || value >= by) break;
        heap[at] = value;
        at = child;
      }
      heap[at] = by;
    },
  };
}
