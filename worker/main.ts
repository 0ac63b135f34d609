/** A worker process: `--role jobs` runs workflows and their bookkeeping, `rooms` keeps rooms, `recorder` records on this machine. */
import { parseArgs } from 'node:util';
import { loadConfig } from '../src/config.js';
import { createLogger } from '../src/logger.js';
import { endWithSupervisor, neverOutliveSupervisor, sayReady } from '../src/supervised.js';

/** Each role loads only what it needs: the jobs worker has no use for browsers. */
const roles = {
  jobs: async () => (await import('./jobs-worker.js')).startJobsWorker,
  recorder: async () => (await import('./recorder-worker.js')).startRecorderWorker,
  rooms: async () => (await import('./rooms-worker.js')).startRoomsWorker,
};

neverOutliveSupervisor();
const { values } = parseArgs({ options: { role: { type: 'string' } } });
if (!values.role || !Object.hasOwn(roles, values.role)) {
  process.stderr.write(`Usage: worker/main.ts --role ${Object.keys(roles).join('|')}\n`);
  process.exit(2);
}
const role = values.role as keyof typeof roles;

const config = loadConfig();
const log = createLogger(config, `${role}-worker`);
const start = await roles[role]();
const worker = await start(config, log);
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
