/** Where a recording is, derived from its newest run: in the words of those who look after it. */
import type { JobState } from './states.js';

export const recordingStates = [
  'INACTIVE',
  'WAITING',
  'STARTING',
  'RECORDING',
  'RECONNECTING',
  'PAUSED',
  'STOPPING',
  'FINALIZING',
  'FAILED',
] as const;
export type RecordingState = (typeof recordingStates)[number];

/** By the state of its newest run. */
export const recordingStateOf: Record<JobState, RecordingState> = {
  SCHEDULED: 'WAITING',
  QUEUED: 'WAITING',
  STARTING: 'STARTING',
  STANDBY: 'STARTING',
  RECORDING: 'RECORDING',
  RECONNECTING: 'RECONNECTING',
  PAUSED: 'PAUSED',
  STOPPING: 'STOPPING',
  FINALIZING: 'FINALIZING',
  COMPLETE: 'INACTIVE',
  PARTIAL: 'INACTIVE',
  FAILED: 'FAILED',
  EXPIRED: 'FAILED',
  CANCELED: 'INACTIVE',
};

/** `newest`: the state of its newest run; null when it was never started. */
export const recordingState = (newest: JobState | null): RecordingState =>
  newest === null ? 'INACTIVE' : recordingStateOf[newest];
