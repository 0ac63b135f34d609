/** A worker process: `--role jobs` runs workflows and their bookkeeping, `--role recorder` records on this machine. */
import { parseArgs } from 'node:util';
import { loadConfig } from '../src/config.js';
import { createLogger } from '../src/logger.js';
import { endWithSupervisor, sayReady } from '../src/supervised.js';

const { values } = parseArgs({ options: { role: { type: 'string' } } });
const { role } = values;
if (role !== 'jobs' && role !== 'recorder') {
  process.stderr.write('Usage: worker/main.ts --role jobs|recorder\n');
  process.exit(2);
}

const config = loadConfig();
const log = createLogger(config, role === 'jobs' ? 'jobs-worker' : 'recorder-worker');
// Each role loads only what it needs: the jobs worker has no use for browsers.
const worker =
  role === 'jobs'
    ? await (await import('./jobs-worker.js')).startJobsWorker(config, log)
    : await (await import('./recorder-worker.js')).startRecorderWorker(config, log);
endWithSupervisor(worker.close, worker);
sayReady();
log.info('ready');
try {
  await worker.done;
} catch (error) {
  // The native part of the SDK does not recover from this; the supervisor starts a new process.
  log.fatal({ err: error }, 'the worker has failed');
  process.exit(1);
}
