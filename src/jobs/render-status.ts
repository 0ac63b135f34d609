/** The status a render shows, derived from the state of its job. */
import type { JobState } from './states.js';

export const renderStatuses = ['STARTING', 'STARTED', 'STOPPED', 'FAILED'] as const;
export type RenderStatus = (typeof renderStatuses)[number];

/** A render that was published for a while and then could not go on has failed: nobody comes back for what it left. */
export const renderStatus = {
  SCHEDULED: 'STARTING',
  QUEUED: 'STARTING',
  STARTING: 'STARTING',
  STANDBY: 'STARTING',
  RECORDING: 'STARTED',
  RECONNECTING: 'STARTED',
  PAUSED: 'STARTED',
  STOPPING: 'STOPPED',
  FINALIZING: 'STOPPED',
  COMPLETE: 'STOPPED',
  PARTIAL: 'FAILED',
  FAILED: 'FAILED',
  EXPIRED: 'FAILED',
  CANCELED: 'STOPPED',
} as const satisfies Record<JobState, RenderStatus>;
