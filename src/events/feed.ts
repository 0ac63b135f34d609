/** All that reaches subscribers in this process: events and statistics, from one listener and one tailer. */
import type { Logger } from 'pino';
import type { Database } from '../db.js';
import { createEventBus, type EventBus } from './bus.js';
import { type CapacityFeed, createCapacityFeed } from './capacity-feed.js';
import { listen } from './listen.js';
import { eventsChannel, keysChannel, statsChannel } from './outbox.js';
import { createStatsFeed, type StatsFeed } from './stats-stream.js';
import { startTailer } from './tailer.js';

export interface Feed {
  bus: EventBus;
  stats: StatsFeed;
  capacity: CapacityFeed;
  ready: Promise<void>;
  readonly healthy: boolean;
  close(): Promise<void>;
}

/** `onKeysChange`: some API key was revoked. `onRewound`: see startTailer; nothing is published any more. */
export function startFeed(deps: {
  url: string;
  db: Database;
  log: Logger;
  onKeysChange?: () => void;
  onRewound: () => void;
}): Feed {
  const { url, db, log, onKeysChange, onRewound } = deps;
  const bus = createEventBus();
  const stats = createStatsFeed({ db, log });
  const capacity = createCapacityFeed({ db, log });
  const tailer = startTailer({ url, bus, log, onRewound });
  const listener = listen({
    url,
    log,
    channels: [eventsChannel, statsChannel, keysChannel],
    onWake: (channel) => {
      if (channel === keysChannel) onKeysChange?.();
      else if (channel === statsChannel) stats.wake();
      else tailer.wake();
    },
  });
  return {
    bus,
    stats,
    capacity,
    ready: tailer.ready,
    get healthy() {
      return tailer.healthy;
    },
    async close() {
      await Promise.all([listener.close(), tailer.close(), stats.close(), capacity.close()]);
    },
  };
}
