/** All that reaches subscribers in this process: events and statistics, from one listener and one tailer. */
import type { Logger } from 'pino';
import type { Database } from '../db.js';
import { createEventBus, type EventBus } from './bus.js';
import { listen } from './listen.js';
import { eventsChannel, statsChannel } from './outbox.js';
import { createStatsFeed, type StatsFeed } from './stats-stream.js';
import { startTailer } from './tailer.js';

export interface Feed {
  bus: EventBus;
  stats: StatsFeed;
  ready: Promise<void>;
  readonly healthy: boolean;
  close(): Promise<void>;
}

export function startFeed({ url, db, log }: { url: string; db: Database; log: Logger }): Feed {
  const bus = createEventBus();
  const stats = createStatsFeed({ db, bus });
  const tailer = startTailer({ db, bus, log });
  const listener = listen({
    url,
    log,
    channels: [eventsChannel, statsChannel],
    onWake: (channel) => (channel === statsChannel ? stats.wake() : tailer.wake()),
  });
  return {
    bus,
    stats,
    ready: tailer.ready,
    get healthy() {
      return tailer.healthy;
    },
    async close() {
      await Promise.all([listener.close(), tailer.close()]);
    },
  };
}
