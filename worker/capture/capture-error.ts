/** Why a capture cannot begin or go on, with the job's reason for it. */
import { failure, type JobFailure, type JobReason } from '../../src/jobs/reasons.js';
import { isDiskFull } from '../../src/storage/storage.js';

export class CaptureError extends Error {
  override readonly name = 'CaptureError';
  readonly failure: JobFailure;
  constructor(reason: JobReason, detail?: string) {
    const told = failure(reason, detail);
    super(told.message);
    this.failure = told;
  }
}

/** The failure as a job shows it; an error that nobody foresaw is the service's. */
export function asFailure(error: unknown): JobFailure {
  if (error instanceof CaptureError) return error.failure;
  const reason = isDiskFull(error) ? 'DISK_FULL' : 'CAPTURE_FAILED';
  return failure(reason, error instanceof Error ? error.message : String(error));
}
