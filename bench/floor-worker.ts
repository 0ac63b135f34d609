/** Runs the bare workflow, in a process of its own as ours do. */
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { loadConfig, requireTemporalAddress } from '../src/config.js';
import { answer } from './child.js';
import type { FloorActivities } from './floor-workflow.js';
import { inTurns } from './in-turns.js';

const address = requireTemporalAddress(loadConfig());
const activities: FloorActivities = { nothing: async () => ({ sequence: 1 }) };
const jobsQueue = 'floor-jobs';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const connection = await NativeConnection.connect({ address });
const shared = { connection, activities, maxCachedWorkflows: 200 };
const workflowBundle = await bundleWorkflowCode({
  workflowsPath: fileURLToPath(new URL('./floor-workflow.ts', import.meta.url)),
  logger: new DefaultLogger('ERROR'),
});
const workers = [
  await Worker.create({ ...shared, taskQueue: jobsQueue, workflowBundle }),
  await Worker.create({ ...shared, taskQueue: 'floor-recorder' }),
];
for (const worker of workers) void worker.run();
const client = new Client({ connection: await Connection.connect({ address }) });

answer({
  /** Runs so many, started by as many clients at once as ours are. Answers the seconds that took. */
  async run({ count, atOnce }: { count: number; atOnce: number }) {
    const startedAt = performance.now();
    const handles = await inTurns(count, atOnce, () => {
      const jobId = crypto.randomUUID();
      return client.workflow.start('floor', { taskQueue: jobsQueue, workflowId: `floor-${jobId}`, args: [jobId] });
    });
    await Promise.all(handles.map((handle) => handle.result()));
    return (performance.now() - startedAt) / 1000;
  },
});

export type FloorWorker = { run(input: { count: number; atOnce: number }): Promise<number> };
