/** Follows live statistics without a transport, in a feed as every process of the API has it. */
import { pino } from 'pino';
import type { Database } from '../../src/db.js';
import type { Follow } from '../../src/events/latest-values.js';
import { listen } from '../../src/events/listen.js';
import { statsChannel } from '../../src/events/outbox.js';
import { createStatsFeed } from '../../src/events/stats-stream.js';
import type { OwnDatabase } from './database.js';

export interface Followed<Value> {
  values: Value[];
  ended: { error: unknown } | undefined;
  stop(): void;
}

export function start<Value>(follow: Follow<Value>): Followed<Value> {
  const followed: Followed<Value> = { values: [], ended: undefined, stop: () => {} };
  followed.stop = follow(
    (value) => followed.values.push(value),
    (error) => {
      followed.ended = { error };
    },
  );
  return followed;
}

/** A feed as a process of the API has it, with the queries it made and what it logged. */
export function startStatsFeed({ url, db }: OwnDatabase) {
  const counts = { queries: 0 };
  const logged: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) });
  const counted = db.$extends({
    query: {
      $allOperations({ args, query }) {
        counts.queries++;
        return query(args);
      },
    },
  }) as unknown as Database;
  const feed = createStatsFeed({ db: counted, log });
  let hear = () => {};
  const heard = new Promise<void>((resolve) => {
    hear = resolve;
  });
  const listener = listen({
    ...{ url, log: pino({ level: 'silent' }), channels: [statsChannel] },
    onWake: () => {
      feed.wake();
      hear();
    },
  });
  return {
    feed,
    counts,
    logged,
    /** Resolves when announcements are heard. */
    heard,
    async close() {
      await Promise.all([feed.close(), listener.close()]);
    },
  };
}

export const frames = (followed: Followed<{ frames: bigint }>) => followed.values.map((stats) => Number(stats.frames));
