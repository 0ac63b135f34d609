/** Being responsible for a host: keeps its lease, and tells a stop from everything else that may end an attempt. */
import { CancelledFailure, type Context } from '@temporalio/activity';
import type { Logger } from 'pino';
import type { HostLease } from '../../src/jobs/capture.js';
import { renewLease } from '../host/client.js';

const leaseIntervalMs = 10_000;

/** The lease of the attempt that runs in this context, as of now. */
export function leaseOf({ info }: Context): HostLease {
  return { taskToken: Buffer.from(info.taskToken).toString('base64'), attempt: info.attempt, renewedAt: Date.now() };
}

/**
 * Runs `watch` with the lease kept. Only a requested cancellation stops the host, by way of `onStop`; a shutdown, a time-out
 * or a lost attempt aborts the signal, which ends the watching and leaves the host recording for the next attempt.
 */
export async function attend<T>(options: {
  context: Context;
  folder: string;
  log: Logger;
  onStop(): void;
  watch(detached: AbortSignal): Promise<T>;
}): Promise<T> {
  const { context, folder, log, onStop, watch } = options;
  const renew = () => {
    try {
      renewLease(folder, leaseOf(context));
    } catch (error) {
      log.warn({ folder, err: error }, 'the lease of a recording could not be renewed');
    }
  };
  const detached = new AbortController();
  context.cancelled.catch((error: unknown) => {
    if (error instanceof CancelledFailure && context.cancellationDetails?.cancelRequested) onStop();
    else detached.abort(error);
  });
  renew();
  const renewing = setInterval(renew, leaseIntervalMs);
  try {
    return await watch(detached.signal);
  } finally {
    clearInterval(renewing);
  }
}
