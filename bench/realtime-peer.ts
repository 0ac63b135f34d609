/** What the peers of the realtime benchmark have in common: the schema, and events that are published from memory at an even pace. */
import { randomUUID } from 'node:crypto';
import { formatCursor } from '../src/events/position.js';
import { answer } from './child.js';
import { type Pace, pace } from './pace.js';

/** The fields of the subscription that is measured, as Tapedeck's own schema has them. */
export const peerTypes = `
  interface JobEvent { cursor: String! sequence: Int! occurredAt: String! }
  type JobFileAdded implements JobEvent { cursor: String! sequence: Int! occurredAt: String! name: String! }
  type Query { version: String! }
  type Subscription { jobEvents(jobId: ID!, after: String): JobEvent! }
`;

export interface PeerEvent {
  __typename: 'JobFileAdded';
  cursor: string;
  sequence: number;
  occurredAt: string;
  name: string;
}

/** The name in event number `sequence`. */
export const fileName = (sequence: number): string => `recording-${String(sequence).padStart(8, '0')}.mp4`;

const epoch = randomUUID();
// As high as those of a database that has just been made, for cursors of the same length.
const firstXid = 800;

/** In a peer's process: publishes when asked. `listen` resolves with a port of 127.0.0.1. */
export function servePeer(listen: () => Promise<number>, publish: (event: PeerEvent) => void) {
  let sequence = 0;
  let publishing: Pace | undefined;
  function publishNext(): void {
    sequence++;
    const cursor = formatCursor(epoch, { xid: BigInt(firstXid + sequence), id: BigInt(firstXid + sequence) });
    const occurredAt = new Date().toISOString();
    publish({ __typename: 'JobFileAdded', cursor, sequence, occurredAt, name: fileName(sequence) });
  }
  const handlers = {
    listen: (_: null) => listen(),
    publish({ perSecond }: { perSecond: number }): void {
      publishing = pace(perSecond, publishNext);
    },
    /** Answers the number of the latest event. */
    async stop(_: null): Promise<number> {
      await publishing?.stop();
      return sequence;
    },
  };
  answer(handlers);
  return handlers;
}
export type Peer = ReturnType<typeof servePeer>;
