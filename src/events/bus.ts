/** Hands committed events to whoever follows their topics in this process, and remembers the latest ones. */
import type { JobEventPayload } from '../jobs/events.js';
import type { RoomEventPayload } from '../rooms/events.js';
import type { ScheduleEventPayload } from '../schedules/events.js';
import { Fifo } from './fifo.js';
import { comparePositions, type Position } from './position.js';

/** An event as it was committed. */
export type CommittedEvent = {
  position: Position;
  projectId: string;
  occurredAt: Date;
  /** Length of the payload as JSON: what it counts for where queues are bounded. */
  bytes: number;
} & (
  | {
      roomId: string | null;
      jobId: string;
      /** Number of the event within its job, from 1, without gaps. */
      jobSequence: number;
      payload: JobEventPayload;
    }
  | { roomId: string; jobId: null; jobSequence: null; payload: RoomEventPayload }
  | { roomId: null; jobId: null; jobSequence: null; payload: ScheduleEventPayload }
);

/** One of a job. */
export type CommittedJobEvent = Extract<CommittedEvent, { jobId: string }>;

/** What is remembered: enough for every client of a replica that went away to resume here without a query. */
const remembered = { events: 10_000, bytes: 16_777_216 };

export const jobTopic = (jobId: string): string => `job:${jobId}`;
export const roomTopic = (roomId: string): string => `room:${roomId}`;
export const projectTopic = (projectId: string): string => `project:${projectId}`;

const topicsOf = ({ projectId, roomId, jobId }: CommittedEvent): string[] => [
  ...(jobId ? [jobTopic(jobId)] : []),
  ...(roomId ? [roomTopic(roomId)] : []),
  projectTopic(projectId),
];

/** Called with the events of one topic that became readable together, in the order of commits. Must not throw. */
export type OnEvents = (events: readonly CommittedEvent[]) => void;

export interface EventBus {
  /** From now on events behind `from` are published, and remembered. */
  start(from: Position): void;
  /** The next events in the order of commits; there are no others up to `upTo`. */
  publish(events: readonly CommittedEvent[], upTo: Position): void;
  /** Answers how to unsubscribe. */
  subscribe(topic: string, onEvents: OnEvents): () => void;
  /** The remembered events of a topic behind `after`; null when there may be others besides. */
  recent(topic: string, after: Position): readonly CommittedEvent[] | null;
}

export function createEventBus(): EventBus {
  const subscribers = new Map<string, Set<OnEvents>>();
  /** Everything behind this position and up to `newest` is remembered. */
  let oldest: Position | undefined;
  let newest: Position | undefined;
  let memory = new Fifo<CommittedEvent>();
  let memoryBytes = 0;
  const byTopic = new Map<string, Fifo<CommittedEvent>>();

  function remember(event: CommittedEvent): void {
    memory.push(event);
    memoryBytes += event.bytes;
    for (const topic of topicsOf(event)) {
      const events = byTopic.get(topic) ?? new Fifo();
      byTopic.set(topic, events);
      events.push(event);
    }
    while (memory.length > remembered.events || memoryBytes > remembered.bytes) forgetOldest();
  }

  function forgetOldest(): void {
    const event = memory.shift() as CommittedEvent;
    memoryBytes -= event.bytes;
    oldest = event.position;
    for (const topic of topicsOf(event)) {
      const events = byTopic.get(topic) as Fifo<CommittedEvent>;
      events.shift();
      if (events.length === 0) byTopic.delete(topic);
    }
  }

  return {
    start(from) {
      [oldest, newest, memory, memoryBytes] = [from, from, new Fifo(), 0];
      byTopic.clear();
    },
    publish(events, upTo) {
      newest = upTo;
      const told = new Map<string, CommittedEvent[]>();
      for (const event of events) {
        remember(event);
        for (const topic of topicsOf(event)) {
          if (!subscribers.has(topic)) continue;
          const ofTopic = told.get(topic);
          if (ofTopic) ofTopic.push(event);
          else told.set(topic, [event]);
        }
      }
      for (const [topic, ofTopic] of told) for (const onEvents of subscribers.get(topic) ?? []) onEvents(ofTopic);
    },
    subscribe(topic, onEvents) {
      const ofTopic = subscribers.get(topic) ?? new Set();
      subscribers.set(topic, ofTopic);
      ofTopic.add(onEvents);
      return () => {
        ofTopic.delete(onEvents);
        if (ofTopic.size === 0 && subscribers.get(topic) === ofTopic) subscribers.delete(topic);
      };
    },
    recent(topic, after) {
      if (!oldest || !newest || comparePositions(after, oldest) < 0 || comparePositions(after, newest) > 0) return null;
      return byTopic.get(topic)?.tail(({ position }) => comparePositions(position, after) > 0) ?? [];
    },
  };
}
