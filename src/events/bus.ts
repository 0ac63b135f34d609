/** Hands committed events to the subscribers in this process. Every subscriber has its own bounded queue: none can hurt another. */
import type { JobEventPayload } from '../jobs/events.js';
import type { Position } from './position.js';

/** An event as it was committed. */
export interface CommittedEvent {
  position: Position;
  projectId: string;
  jobId: string | null;
  jobSequence: number | null;
  payload: JobEventPayload;
  occurredAt: Date;
}

/** What a subscriber may leave unread; past either bound it is cut off, told so, and can resume from its cursor. */
const queueBounds = { events: 1_000, bytes: 1_048_576 };

export const jobTopic = (jobId: string): string => `job:${jobId}`;

export interface EventBus {
  publish(event: CommittedEvent): void;
  subscribe(topic: string): EventQueue;
}

export function createEventBus(): EventBus {
  const topics = new Map<string, Set<EventQueue>>();
  return {
    publish(event) {
      if (!event.jobId) return;
      for (const queue of topics.get(jobTopic(event.jobId)) ?? []) queue.push(event);
    },
    subscribe(topic) {
      const queues = topics.get(topic) ?? new Set();
      topics.set(topic, queues);
      const queue = new EventQueue(() => {
        queues.delete(queue);
        if (queues.size === 0) topics.delete(topic);
      });
      queues.add(queue);
      return queue;
    },
  };
}

/** One subscriber's events in order of arrival. */
export class EventQueue {
  readonly #items: { event: CommittedEvent; bytes: number }[] = [];
  #bytes = 0;
  #dropped = 0;
  #closed = false;
  #awaken: (() => void) | undefined;

  constructor(private readonly onClose: () => void) {}

  push(event: CommittedEvent): void {
    if (this.#closed) return;
    const bytes = JSON.stringify(event.payload).length;
    const full = this.#items.length >= queueBounds.events || this.#bytes + bytes > queueBounds.bytes;
    // Once one event is missing, later ones would leave a hole in the stream.
    if (full || this.#dropped > 0) this.#dropped++;
    else {
      this.#items.push({ event, bytes });
      this.#bytes += bytes;
    }
    this.#awaken?.();
  }

  /** The next event; the number of dropped ones when the queue had overflowed and is now read to its end; null once closed. */
  async next(): Promise<CommittedEvent | { dropped: number } | null> {
    for (;;) {
      const item = this.#items.shift();
      if (item) {
        this.#bytes -= item.bytes;
        return item.event;
      }
      if (this.#closed) return null;
      if (this.#dropped > 0) return { dropped: this.#dropped };
      await new Promise<void>((resolve) => {
        this.#awaken = resolve;
      });
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onClose();
    this.#awaken?.();
  }
}
