/** Live statistics of jobs: the latest value wins, nothing is stored or replayed. */
import type { Database } from '../db.js';
import type { JobStats } from '../generated/prisma/client.js';
import { isTerminal } from '../jobs/states.js';
import { type EventBus, jobTopic } from './bus.js';

export interface StatsFeed {
  /** The job's statistics now, if it has any, then each newer value; ends when the job has ended. */
  follow(jobId: string, signal?: AbortSignal): AsyncGenerator<JobStats, void, undefined>;
  /** Look now: there are new statistics. */
  wake(): void;
}

interface Subscriber {
  jobId: string;
  latest: JobStats | undefined;
  awaken: () => void;
}

/** One read a wake-up serves every subscriber in this process, whatever their number. */
export function createStatsFeed(deps: { db: Database; bus: EventBus }): StatsFeed {
  const subscribers = new Set<Subscriber>();
  let reading = false;
  let again = false;

  async function read(): Promise<void> {
    if (subscribers.size === 0) return;
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    try {
      const ids = [...new Set([...subscribers].map((subscriber) => subscriber.jobId))];
      const rows = new Map(
        (await deps.db.jobStats.findMany({ where: { jobId: { in: ids } } })).map((row) => [row.jobId, row]),
      );
      for (const subscriber of subscribers) {
        const row = rows.get(subscriber.jobId);
        if (!row) continue;
        subscriber.latest = row;
        subscriber.awaken();
      }
    } catch {
      // The next announcement, at most a second away, reads again.
    } finally {
      reading = false;
      if (again) {
        again = false;
        void read();
      }
    }
  }

  return {
    wake: () => void read(),
    async *follow(jobId, signal) {
      const subscriber: Subscriber = { jobId, latest: undefined, awaken: () => {} };
      let ended = false;
      const end = () => {
        ended = true;
        subscriber.awaken();
      };
      const events = deps.bus.subscribe(jobTopic(jobId));
      signal?.addEventListener('abort', end, { once: true });
      if (signal?.aborted) end();
      void (async () => {
        for (let event = await events.next(); event && !('dropped' in event); event = await events.next()) {
          if (event.payload.type === 'JobStateChanged' && isTerminal(event.payload.state)) break;
        }
        end();
      })();
      subscribers.add(subscriber);
      try {
        const job = await deps.db.job.findUnique({ where: { id: jobId }, select: { state: true, stats: true } });
        if (job?.stats) subscriber.latest ??= job.stats;
        if (!job || isTerminal(job.state)) ended = true;
        let sentAt = 0;
        for (;;) {
          const { latest } = subscriber;
          if (latest && latest.updatedAt.getTime() > sentAt) {
            sentAt = latest.updatedAt.getTime();
            yield latest;
          } else if (ended) return;
          else {
            await new Promise<void>((resolve) => {
              subscriber.awaken = resolve;
            });
          }
        }
      } finally {
        subscribers.delete(subscriber);
        signal?.removeEventListener('abort', end);
        events.close();
      }
    },
  };
}
