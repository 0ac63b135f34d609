/** What can happen to a job, as it is written to the outbox: complete and immutable. */

import type { RoomEventPayload } from '../rooms/events.js';
import type { ScheduleEventPayload } from '../schedules/events.js';
import type { PartEnd, TargetStatus } from './capture.js';
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
  /** It will remove itself. */
  | { type: 'JobFileExpiring'; fileId: string; name: string; expiresAt: string }
  /** Nobody gets it any more. */
  | { type: 'JobFileRemoved'; fileId: string; name: string; cause: 'EXPIRED' | 'DELETED' }
  /** How the job's broadcast to one far server goes. */
  | { type: 'JobTargetChanged'; targetId: string; state: TargetStatus['state']; message: string | null }
  /** Files were to be made again after the job had ended, and could not be. `runId`: of the workflow, which tells it once. */
  | { type: 'JobFilesFailed'; version: number; reason: JobReason; message: string; runId: string };

export type JobEventType = JobEventPayload['type'];

/** Everything that is told, of jobs, of rooms and of schedules. */
export type EventPayload = JobEventPayload | RoomEventPayload | ScheduleEventPayload;
export type EventType = EventPayload['type'];

/** What each of them tells, in words. */
export const jobEventTypes = {
  JobStateChanged: 'A job entered another state.',
  JobPartStarted: 'The first media of a part was captured.',
  JobPartEnded: 'A part was closed.',
  JobBegun: 'A job was told to begin.',
  JobWarningRaised: 'Something is wrong with a recording, which goes on.',
  JobWarningCleared: 'What was wrong with a recording is so no longer.',
  JobFileAdded: 'A file of a job can be downloaded.',
  JobFileExpiring: 'A file of a job is about to be removed, since its time is over.',
  JobFileRemoved: 'A file of a job was removed.',
  JobFilesFailed: 'The files of an ended job were to be made again, and could not be.',
  JobTargetChanged: 'A broadcast of a job to a far server goes better or worse than before.',
} as const satisfies Record<JobEventType, string>;

/** What a stream is about. */
export type StreamSubject =
  | { of: 'job'; jobId: string }
  | { of: 'room'; roomId: string }
  | { of: 'project'; projectId: string };

/** `sequence`: number of the event within its job. */
type JobItem = { kind: 'event'; sequence: number; jobId: string; roomId: string | null; payload: JobEventPayload };

/**
 * One item of a stream of events. `cursor` is opaque: any stream of the project goes on behind this item with it. Only that of
 * a job's snapshot is good for streams of this job alone: elsewhere something older may not be settled yet.
 */
export type StreamItem = { cursor: string; occurredAt: Date } & (
  | JobItem
  | { kind: 'event'; sequence: 0; jobId: null; roomId: string; payload: RoomEventPayload }
  | { kind: 'event'; sequence: 0; jobId: null; roomId: null; payload: ScheduleEventPayload }
  /** The state when the stream begins. `sequence`: of the job's latest event; 0 where it is not of one job. */
  | { kind: 'snapshot'; sequence: number; subject: StreamSubject }
  /** The subscriber was too slow: `dropped` events were not sent. Subscribe again with the cursor. */
  | { kind: 'lagged'; sequence: number; subject: StreamSubject; dropped: number }
);
