/** A client that follows a job over graphql-ws from its start to its end, whatever happens to the service meanwhile. */
import type { Tapedeck } from '../examples/client/client.js';
import { followJob } from '../examples/client/job.js';

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

/** Follows the job until its end is told. `jobId` is a global id. */
export function subscribe(tapedeck: Tapedeck, jobId: string): Subscriber {
  const told: Told[] = [];
  const leaving = new AbortController();
  let since: number | null = null;

  async function follow(): Promise<void> {
    for await (const event of followJob(tapedeck, jobId, { signal: leaving.signal })) {
      const { __typename: type, sequence, job } = event;
      if (type === 'JobSnapshot') since ??= sequence;
      else told.push({ sequence, type, progress: job?.progress ?? 0 });
    }
  }
  const ended = follow();
  // Whoever waits for it hears why; nobody may be waiting yet.
  ended.catch(() => {});

  return { since: () => since, told: () => told, ended, leave: () => leaving.abort() };
}
