/** Follows a stream of events as a transport does, without one: what arrives is kept, as fast as the test lets it. */
import { EventCohort } from '../../src/events/event-cohort.js';
import type { Feed } from '../../src/events/feed.js';
import type { Frame, Sink } from '../../src/events/member.js';
import type { EventSource } from '../../src/events/source.js';
import type { StreamItem } from '../../src/jobs/events.js';

export interface Follower {
  /** What arrived, in order. */
  items: StreamItem[];
  /** Resolves with the first `count` items; rejects when the stream ends with fewer. */
  first(count: number): Promise<StreamItem[]>;
  /** Resolves with the error it ended with, if any. */
  ended: Promise<unknown>;
  /** Reads nothing until it is resumed. */
  pause(): void;
  resume(): void;
  leave(): void;
}

/** Begins as a cohort of its own; `join` adds to an existing one. */
export function follow(feed: Feed, source: EventSource): Follower {
  const cohort = new EventCohort(
    source,
    feed.bus,
    (item) => Buffer.from(JSON.stringify(item)),
    () => {},
  );
  return join(cohort, source);
}

export function join(cohort: EventCohort, source: EventSource): Follower {
  const items: StreamItem[] = [];
  let paused = false;
  let over = false;
  let awaken = () => {};
  let end: (error?: unknown) => void = () => {};
  const ended = new Promise<unknown>((resolve) => {
    end = resolve;
  });
  const sink: Sink = {
    write(frames: readonly Frame[]) {
      for (const { bytes } of frames) items.push(JSON.parse(bytes.toString()) as StreamItem);
      awaken();
      return !paused;
    },
    onReady: () => {},
    end(error) {
      over = true;
      awaken();
      end(error);
    },
  };
  const leave = cohort.join(sink, source.after);
  return {
    ...{ items, ended, leave },
    async first(count) {
      while (items.length < count) {
        if (over) throw new Error(`The stream ended after ${items.length} of ${count} items: ${await ended}`);
        await new Promise<void>((resolve) => {
          awaken = resolve;
        });
      }
      return items.slice(0, count);
    },
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      sink.onReady();
    },
  };
}
