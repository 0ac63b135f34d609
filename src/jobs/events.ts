/** What can happen to a job, as it is written to the outbox: complete and immutable. */
import type { PartEnd } from './capture.js';
import type { FailureActor, JobReason } from './reasons.js';
import type { JobState } from './states.js';

export type JobEventPayload =
  | {
      type: 'JobStateChanged';
      state: JobState;
      /** Null for the job's first event. */
      previousState: JobState | null;
      reason: JobReason | null;
      message: string | null;
      actor: FailureActor | null;
    }
  | { type: 'JobPartStarted'; incarnation: number; number: number; startedAt: string }
  | { type: 'JobPartEnded'; incarnation: number; number: number; durationMs: number; cause: PartEnd }
  | { type: 'JobFileAdded'; fileId: string; name: string; kind: string };

/** One item of a job's event stream. `cursor` is opaque and resumes any stream after this item. */
export type JobStreamItem =
  | { kind: 'snapshot'; jobId: string; cursor: string; sequence: number; occurredAt: Date }
  | { kind: 'event'; jobId: string; cursor: string; sequence: number; occurredAt: Date; payload: JobEventPayload }
  /** The subscriber was too slow: `dropped` events were not sent. Subscribe again with the cursor. */
  | { kind: 'lagged'; jobId: string; cursor: string; sequence: number; occurredAt: Date; dropped: number };
