/** After a crash of the worker: ends the attempts it left behind, so that the next one adopts their hosts at once. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ActivityNotFoundError, ApplicationFailure, type Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Config } from '../../src/config.js';
import { type HostLease, hostFiles } from '../../src/jobs/capture.js';
import { keptFile } from '../finalize/outcome.js';
import { readJson } from '../host/atomic-file.js';
import { incarnationFolder, incarnationsIn } from '../host/folders.js';
import { jobsFolder } from '../machine.js';

/** An attempt that nobody could end is given up by Temporal when its beats stay away for a minute. */
const failDeadlineMs = 5_000;

/**
 * To be called before this machine's queue is polled: afterwards it could end attempts of its own. The task token names one
 * attempt, so that one which has been replaced meanwhile is not touched.
 */
export async function failAbandonedAttempts(client: Client, config: Config, log: Logger): Promise<void> {
  for (const { jobId, lease } of openLeases(config)) {
    const failure = ApplicationFailure.create({
      message: 'the worker died',
      type: 'WorkerDied',
      nextRetryDelay: '50ms',
    });
    try {
      const token = Buffer.from(lease.taskToken, 'base64');
      await client.withDeadline(Date.now() + failDeadlineMs, () =>
        client.activity.fail(new Uint8Array(token), failure),
      );
      log.info({ jobId }, 'took over a recording of the worker before');
    } catch (error) {
      if (!(error instanceof ActivityNotFoundError))
        log.warn({ jobId, err: error }, 'an abandoned attempt could not be ended');
    }
  }
}

/** The newest lease of every job whose recording is not known to have ended. */
function openLeases(config: Config): { jobId: string; lease: HostLease }[] {
  const root = jobsFolder(config);
  return readdirSync(root).flatMap((jobId) => {
    const folder = join(root, jobId);
    if (!statSync(folder).isDirectory()) return [];
    const leases = incarnationsIn(folder)
      .map((incarnation) => readJson<HostLease>(join(incarnationFolder(folder, incarnation), hostFiles.lease)))
      .filter((lease) => lease !== null);
    const newest = leases.sort((a, b) => b.renewedAt - a.renewedAt)[0];
    return newest && !existsSync(join(folder, keptFile)) ? [{ jobId, lease: newest }] : [];
  });
}
