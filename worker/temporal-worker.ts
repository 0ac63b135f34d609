/** A Temporal worker with the settings every worker of ours shares. */
import { hostname } from 'node:os';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Config } from '../src/config.js';
import { temporalConnectionOptions } from '../src/temporal/client.js';

const reconnectMs = 1_000;

/** What a role's process can be told. */
export interface RunningWorker {
  /** Resolves when the worker has shut down, rejects when it failed. */
  done: Promise<void>;
  close(): Promise<void>;
  suspend?(): Promise<void>;
  /** Takes no new work; resolves when what there is has ended by itself. */
  drain?(): Promise<void>;
  /** The same, with what it records given to others. */
  handOver?(): Promise<void>;
}

/** Connects (waiting for Temporal as long as it takes), does what must come before the first task, and starts polling. */
export async function startTemporalWorker(
  config: Config,
  log: Logger,
  options: Pick<WorkerOptions, 'taskQueue' | 'activities' | 'workflowBundle' | 'maxConcurrentActivityTaskExecutions'>,
  beforePolling: () => Promise<void> = async () => {},
): Promise<{ done: Promise<void>; shutdown(): Promise<void> }> {
  installRuntime(log);
  const connection = await connect(config, log);
  await beforePolling();
  const worker = await Worker.create({
    ...options,
    connection,
    namespace: config.temporal.namespace,
    identity: `${hostname()}:${options.taskQueue}:${process.pid}`,
    // After a crash a stop waits this long for the dead worker before another one answers it (default 10 s).
    stickyQueueScheduleToStartTimeout: '2s',
    // How late a cancellation may be felt.
    maxHeartbeatThrottleInterval: '2s',
    defaultHeartbeatThrottleInterval: '2s',
    shutdownForceTime: '60s',
    maxCachedWorkflows: 200,
  });
  const done = worker.run();
  // Rejection is for whoever awaits `done`; shutdown awaits the same end.
  done.catch(() => {});
  return {
    done,
    async shutdown() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await done.catch(() => {});
      await connection.close().catch(() => {});
    },
  };
}

let installed = false;

/** What all workers of a process share; it can be set only once. */
function installRuntime(log: Logger): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) =>
      log[level === 'ERROR' ? 'error' : 'warn']({ meta }, message),
    ),
    // Signals are handled in one place, src/supervised.ts, which also knows what must end before the worker.
    shutdownSignals: [],
  });
}

async function connect(config: Config, log: Logger): Promise<NativeConnection> {
  for (;;) {
    try {
      return await NativeConnection.connect(temporalConnectionOptions(config));
    } catch (error) {
      log.warn({ err: error }, 'Temporal cannot be reached, trying again');
      await new Promise((resolve) => setTimeout(resolve, reconnectMs));
    }
  }
}
