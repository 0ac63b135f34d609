/** What can happen to a job, as it is written to the outbox: complete and immutable. */
import type { PartEnd } from './capture.js';
import type { FailureActor, JobReason } from './reasons.js';
import type { JobState } from './states.js';
import type { WarningCode } from './warnings.js';

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
  /** A job in STANDBY was told to begin; its first frame follows. */
  | { type: 'JobBegun' }
  | { type: 'JobWarningRaised'; code: WarningCode; message: string }
  | { type: 'JobWarningCleared'; code: WarningCode }
  | { type: 'JobFileAdded'; fileId: string; name: string; kind: string }
  /** Files were to be made again after the job had ended, and could not be. `runId`: of the workflow, which tells it once. */
  | { type: 'JobFilesFailed'; version: number; reason: JobReason; message: string; runId: string };

/** One item of a job's event stream. `cursor` is opaque and resumes any stream after this item. */
export type JobStreamItem =
  | { kind: 'snapshot'; jobId: string; cursor: string; sequence: number; occurredAt: Date }
  | { kind: 'event'; jobId: string; cursor: string; sequence: number; occurredAt: Date; payload: JobEventPayload }
  /** The subscriber was too slow: `dropped` events were not sent. Subscribe again with the cursor. */
  | { kind: 'lagged'; jobId: string; cursor: string; sequence: number; occurredAt: Date; dropped: number };
