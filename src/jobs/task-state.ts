/** The states of tasks, and why they stopped, as they follow from the state of their job. */
import type { JobReason } from './reasons.js';
import type { JobState } from './states.js';

export const taskStates = ['ENQUEUED', 'PROCESSING', 'STOPPING', 'STOPPED', 'FAILED', 'TIMEOUT'] as const;
export type TaskState = (typeof taskStates)[number];

/** A task whose files hold less than they should has FAILED: STOPPED is what was expected. Its files are there all the same. */
export const taskState = {
  SCHEDULED: 'ENQUEUED',
  QUEUED: 'ENQUEUED',
  STARTING: 'PROCESSING',
  STANDBY: 'PROCESSING',
  RECORDING: 'PROCESSING',
  RECONNECTING: 'PROCESSING',
  PAUSED: 'PROCESSING',
  STOPPING: 'STOPPING',
  FINALIZING: 'STOPPING',
  COMPLETE: 'STOPPED',
  PARTIAL: 'FAILED',
  FAILED: 'FAILED',
  EXPIRED: 'TIMEOUT',
  CANCELED: 'STOPPED',
} as const satisfies Record<JobState, TaskState>;

export const taskReasons = ['COMPLETED', 'USER_STOP'] as const;
export type TaskReason = (typeof taskReasons)[number];

/** Why a task STOPPED; null for one that has not. */
export function taskReason(state: JobState, reason: JobReason | null): TaskReason | null {
  if (taskState[state] !== 'STOPPED') return null;
  return state === 'CANCELED' || reason === 'USER_INITIATED' ? 'USER_STOP' : 'COMPLETED';
}
