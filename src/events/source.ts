/** What subscriptions follow, described so that one reading of it serves everybody who follows the same. */
import type { StreamItem } from '../jobs/events.js';
import type { CommittedEvent } from './bus.js';
import type { Position } from './position.js';

export type Source = EventSource | LatestSource;

/** Events, of which every one counts: told in the order of commits, none twice, none missed. */
export interface EventSource {
  kind: 'events';
  /** What the bus is to be asked for. */
  topic: string;
  /** Where this subscriber goes on; null: it begins with a snapshot. */
  after: Position | null;
  /** Whether an event of the topic is told. */
  includes(event: CommittedEvent): boolean;
  itemOf(event: CommittedEvent): StreamItem;
  /** The state now, and the place in the order of commits from which events go on. Throws NotFoundError. */
  snapshot(): Promise<{ item: StreamItem; position: Position }>;
  /** Events of the topic behind `after` that are settled, oldest first; null when some were removed since. */
  read(after: Position): Promise<CommittedEvent[] | null>;
  /** What the subscriber is told last when it was cut off behind `last`. */
  lagged(last: StreamItem | Position, dropped: number): StreamItem;
}

/** Values of which only the newest counts. */
export interface LatestSource {
  kind: 'latest';
  /** No two values are told in a shorter time than this. */
  intervalMs: number;
  /** Calls `onValue` with the value now, if there is one, and each newer one, and `onEnd` when there will be none any more. Answers how to stop. */
  follow(onValue: (value: object) => void, onEnd: (error?: unknown) => void): () => void;
}

/** What a subscription field answers: transports follow its source together with all who follow the same. */
export class Stream<Item> implements AsyncIterable<Item> {
  constructor(readonly source: Source) {}

  [Symbol.asyncIterator](): AsyncIterator<Item> {
    throw new TypeError('A stream is followed through its cohort, not read one by one.');
  }
}
