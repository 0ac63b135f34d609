import { expect, test } from 'vitest';
import { archiveStatus } from '../../src/jobs/archive-status.js';
import { type JobState, jobStates } from '../../src/jobs/states.js';

const expected: Record<JobState, string> = {
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
};

test.each(jobStates)('an archive whose job is %s shows the status that clients wait for', (state) => {
  expect(archiveStatus[state]).toBe(expected[state]);
});
