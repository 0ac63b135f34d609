/** A client that follows a job over graphql-ws from its start to its end, whatever happens to the service meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Tapedeck } from '../examples/client/client.js';
import { JobEvents } from '../examples/client/operations.js';
import { isTerminal, type JobState } from '../src/jobs/states.js';

const againMs = 250;

export interface Told {
  sequence: number;
  type: string;
  progress: number;
}

export interface Subscriber {
  /** Number of the last event that the first snapshot holds; null before it came. */
  since(): number | null;
  /** Every event in the order in which it was told. */
  told(): readonly Told[];
  /** Resolves when the job's end was told. */
  ended: Promise<void>;
  leave(): void;
}

/** Subscribes, and after each loss of the subscription again, from the last cursor. `jobId` is a global id. */
export function subscribe(tapedeck: Tapedeck, jobId: string): Subscriber {
  const told: Told[] = [];
  let since: number | null = null;
  let left = false;

  async function follow(): Promise<void> {
    let after: string | undefined;
    while (!left) {
      try {
        const events = tapedeck.subscribe(JobEvents, { jobId, after }, ({ jobEvents }) => ({
          after: jobEvents.cursor,
        }));
        for await (const { jobEvents: event } of events) {
          after = event.cursor;
          if (event.__typename === 'JobSnapshot') {
            since ??= event.sequence;
            if (isTerminal(event.job.state as JobState)) return;
          } else if (event.__typename !== 'StreamLagged') {
            const { sequence, __typename: type, job } = event;
            told.push({ sequence, type, progress: job.progress });
            if (event.__typename === 'JobStateChanged' && isTerminal(event.state as JobState)) return;
          }
          if (left) return;
        }
      } catch {
        // The service is away, or its database is: the cursor has the rest.
      }
      await sleep(againMs);
    }
  }

  return {
    since: () => since,
    told: () => told,
    ended: follow(),
    leave: () => {
      left = true;
    },
  };
}
