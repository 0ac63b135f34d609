/** Which jobs this process works on at the moment, and taking turns where two must not work on one job at once. */

export interface Work {
  /** Runs `task`, during which the job counts as worked on. */
  on<T>(jobId: string, task: () => Promise<T>): Promise<T>;
  /** The same, after whatever else was given here for the job has ended. */
  alone<T>(jobId: string, task: () => Promise<T>): Promise<T>;
  isOn(jobId: string): boolean;
  /** Whether there is no work at all. */
  isDone(): boolean;
}

export function createWork(): Work {
  const counts = new Map<string, number>();
  const turns = new Map<string, Promise<unknown>>();

  async function on<T>(jobId: string, task: () => Promise<T>): Promise<T> {
    counts.set(jobId, (counts.get(jobId) ?? 0) + 1);
    try {
      return await task();
    } finally {
      const left = (counts.get(jobId) ?? 1) - 1;
      if (left > 0) counts.set(jobId, left);
      else counts.delete(jobId);
    }
  }

  return {
    on,
    alone: (jobId, task) =>
      on(jobId, async () => {
        const before = turns.get(jobId);
        const turn = (async () => {
          await before?.catch(() => {});
          return task();
        })();
        turns.set(jobId, turn);
        try {
          return await turn;
        } finally {
          if (turns.get(jobId) === turn) turns.delete(jobId);
        }
      }),
    isOn: (jobId) => counts.has(jobId),
    isDone: () => counts.size === 0,
  };
}
