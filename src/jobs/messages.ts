/** Arguments, results and message names of the job workflow and its activities: plain types, shared by every process. */
import type { HostOutcome } from './capture.js';
import type { JobReason } from './reasons.js';
import type { JobState } from './states.js';

export const jobsTaskQueue = 'jobs';
export const recorderTaskQueue = (machineId: string): string => `rec@${machineId}`;
export const jobWorkflowId = (jobId: string): string => `job-${jobId}`;

export const stopUpdateName = 'stop';
export const cancelUpdateName = 'cancel';
export const placedSignalName = 'placed';
export const recordingSignalName = 'recording';

/** The type of the ApplicationFailure with which the workflow refuses a stop or a cancel; its message is the state. */
export const invalidStateFailure = 'InvalidState';
/** The type of the failure of a record attempt that ended because the service was stopped; the next attempt goes on. */
export const hostSuspendedFailure = 'HostSuspended';

export interface JobInput {
  jobId: string;
  queueTimeoutMs: number;
  maxDurationMs: number;
  /** Set when the workflow is started again for a job that had one before: where it stood. */
  resume?: {
    state: JobState;
    reason: JobReason | null;
    machineId: string | null;
    /** Milliseconds since the first recorded frame; null when nothing was recorded yet. */
    elapsedMs: number | null;
  };
}

export interface PlacedSignal {
  machineId: string;
}

/** What a stop or cancel answers once it is written: the job's event number of the change. */
export interface RequestAnswer {
  sequence: number;
}

export interface TransitionInput {
  jobId: string;
  to: JobState;
  reason?: JobReason;
  /** Defaults to the reason's own words. */
  message?: string;
}

export interface RecordInput {
  jobId: string;
}

export interface RecordResult {
  outcome: HostOutcome;
}

export interface FinalizeResult {
  /** Media in the result, all parts together. Zero: nothing was recorded. */
  recordedMs: number;
}

/** Activities of the jobs worker. */
export interface JobActivities {
  /** Moves the job to a state and tells everyone. Idempotent; answers the job's latest event number and current state. */
  transition(input: TransitionInput): Promise<{ sequence: number; state: JobState }>;
  /** Asks for a machine (another one, if the job has one); the answer comes as the `placed` signal. */
  requestPlacement(input: { jobId: string }): Promise<void>;
}

/** Activities of the recorder worker of one machine. */
export interface RecorderActivities {
  /** Starts or adopts the job's recorder host, watches it to its end, and says how it ended. */
  record(input: RecordInput): Promise<RecordResult>;
  /** Asks the job's host to stop; returns at once, `record` returns when the last part is closed. */
  stopRecording(input: { jobId: string }): Promise<void>;
  /** Makes the result from the parts that exist. Idempotent. Keeps the parts when it fails. */
  finalize(input: { jobId: string }): Promise<FinalizeResult>;
  /** Throws away what a canceled job may have left. */
  discard(input: { jobId: string }): Promise<void>;
}
