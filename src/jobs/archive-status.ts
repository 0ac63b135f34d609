/** The status an archive shows, derived from the state of its job. */
import type { JobState } from './states.js';

export const archiveStatuses = [
  'QUEUED',
  'STANDBY',
  'RECORDING',
  'PAUSED',
  'STOPPED',
  'COMPLETE',
  'FAILED',
  'CANCELED',
  'EXPIRED',
] as const;
export type ArchiveStatus = (typeof archiveStatuses)[number];

/** What clients of archives wait for is the file: interruptions that heal by themselves do not show. */
export const archiveStatus = {
  SCHEDULED: 'QUEUED',
  QUEUED: 'QUEUED',
  STARTING: 'QUEUED',
  STANDBY: 'STANDBY',
  RECORDING: 'RECORDING',
  RECONNECTING: 'RECORDING',
  PAUSED: 'PAUSED',
  STOPPING: 'STOPPED',
  FINALIZING: 'STOPPED',
  COMPLETE: 'COMPLETE',
  PARTIAL: 'COMPLETE',
  FAILED: 'FAILED',
  EXPIRED: 'EXPIRED',
  CANCELED: 'CANCELED',
} as const satisfies Record<JobState, ArchiveStatus>;
