/** Arguments, results and message names of the job workflow and its activities: plain types, shared by every process. */
import type { HostOutcome } from './capture.js';
import type { JobReason } from './reasons.js';
import type { JobState } from './states.js';

export const jobsTaskQueue = 'jobs';
export const recorderTaskQueue = (machineId: string): string => `rec@${machineId}`;
export const jobWorkflowId = (jobId: string): string => `job-${jobId}`;

/** One for each version of the files that is made after the job has ended. */
export const deliverWorkflowId = ({ jobId, version }: Pick<DeliverInput, 'jobId' | 'version'>): string =>
  `deliver-${jobId}-${version}`;

export const placedSignalName = 'placed';
export const standbySignalName = 'standby';
export const recordingSignalName = 'recording';
/** The job is in a state longer than that may last, and nobody has noticed. */
export const overdueSignalName = 'overdue';
/** The row of the job says another time to stop at than before, or that time is over. */
export const stopTimeSignalName = 'stop-time';

/** The type of the ApplicationFailure with which the workflow refuses a stop or a cancel; its message is the state. */
export const invalidStateFailure = 'InvalidState';
/** The type of the failure of a record attempt that ended because the service was stopped; the next attempt goes on. */
export const hostSuspendedFailure = 'HostSuspended';

export interface JobInput {
  jobId: string;
  queueTimeoutMs: number;
  /** Wall time from the first frame, pauses excluded. */
  maxDurationMs: number;
  /** When the job is to be queued, epoch milliseconds; at once when left out or past. */
  launchAt?: number;
  /** When it is to end, whatever it is at, epoch milliseconds; left out: at no certain time. */
  stopAt?: number;
  /** How long it may wait in STANDBY to be begun; left out: it begins by itself. */
  standbyTimeoutMs?: number;
  /** How long it may stay PAUSED. */
  pauseTimeoutMs?: number;
  /** How long its source may take to send its first media, beyond what a recorder takes to start. */
  startTimeoutMs?: number;
  /** A machine that is silent for this long is lost. */
  machineTimeoutMs?: number;
  /** How long making its files may take beyond what it usually may: they are encoded when all is recorded. */
  finalizeTimeoutMs?: number;
  /** Parts are kept in a storage that every machine reaches: each can make the files. */
  sharedParts?: boolean;
  /** Set when the workflow is started again for a job that had one before: where it stood. */
  resume?: {
    state: JobState;
    reason: JobReason | null;
    machineId: string | null;
    /** Milliseconds since the first recorded frame, pauses excluded; null when nothing was recorded yet. */
    elapsedMs: number | null;
    /** It was told to begin. */
    begun?: boolean;
    /** How long it has been paused; left out when it is not. */
    pausedForMs?: number;
  };
}

export interface OverdueSignal {
  state: JobState;
}

export interface StopTimeSignal {
  /** Epoch milliseconds. */
  stopAt: number;
}

export interface PlacedSignal {
  machineId: string;
}

/** Why a job is stopped, where it is not its client who asks. */
export interface StopRequest {
  reason?: JobReason;
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
  /** Only from one of these states; any state before `to` when left out. */
  from?: readonly JobState[];
}

export interface RecordInput {
  jobId: string;
}

/** The machine is to be left: what it was recording goes on as the next part, on another one. */
export interface HandedOver {
  kind: 'handed-over';
}

export interface RecordResult {
  outcome: HostOutcome | HandedOver;
}

/** What a job's recorder shall be doing, as long as the job is not ended. */
export type RecorderWish = 'record' | 'pause';

export interface FinalizeResult {
  /** Media in the result, all parts together. Zero: nothing was recorded. */
  recordedMs: number;
  /** Parts of which more was recorded than is in the result: their machine is lost, or they could not be read. */
  missingParts?: number;
}

/** Arguments of the workflow that makes the files of an ended job again. */
export interface DeliverInput {
  jobId: string;
  machineId: string;
  /** Version of the files that are made. */
  version: number;
}

/** Files that were to be made again, and could not be. */
export interface FilesFailedInput {
  jobId: string;
  version: number;
  /** Of the workflow: it tells its failure once. */
  runId: string;
  reason: JobReason;
  message: string;
}

/** Activities of the jobs worker. */
export interface JobActivities {
  /** Moves the job to a state and tells everyone. Idempotent; answers the job's latest event number and current state. */
  transition(input: TransitionInput): Promise<{ sequence: number; state: JobState }>;
  /**
   * Writes down that a job in STANDBY was told to begin. Idempotent. `granted` is false when it is not in STANDBY; the state
   * it is in then is answered.
   */
  begin(input: { jobId: string }): Promise<RequestAnswer & { granted: boolean; state: JobState }>;
  /** Asks for a machine (another one, if the job has one); the answer comes as the `placed` signal. */
  requestPlacement(input: { jobId: string; lostMachineId?: string }): Promise<void>;
  /** Tells everyone that files could not be made again; the job stays as it ended. Idempotent. */
  filesFailed(input: FilesFailedInput): Promise<void>;
}

/** Activities of the recorder worker of one machine. */
export interface RecorderActivities {
  /** Starts or adopts the job's recorder host, watches it to its end, and says how it ended. */
  record(input: RecordInput): Promise<RecordResult>;
  /** Asks the job's host to stop; returns at once, `record` returns when the last part is closed. */
  stopRecording(input: { jobId: string }): Promise<void>;
  /** Says that the row now wishes something else of the job's recorder, which would find out by itself within 2 s. */
  steer(input: { jobId: string }): Promise<void>;
  /** Makes the result from the parts that exist. Idempotent. Keeps the parts when it fails. */
  finalize(input: { jobId: string }): Promise<FinalizeResult>;
  /** Makes the files of an ended job again, as another version. Idempotent. */
  deliver(input: DeliverInput): Promise<FinalizeResult>;
  /** Throws away what a canceled job may have left. */
  discard(input: { jobId: string }): Promise<void>;
}
