/** The running service that faults are injected into, with everything needed to look at it from outside and from behind. */
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { childEnvironment, loadConfig } from '../src/config.js';
import { createDatabase, type Database } from '../src/db.js';
import { createTemporalClient } from '../src/temporal/client.js';
import { isolatedConfig, temporaryDataFolder } from '../stack/isolated.js';
import { type Stack, startStack } from '../stack/stack.js';
import { type ArchiveKit, createArchiveKit } from '../test/testkit/archives.js';
import { type Receiver, startReceiver } from '../test/testkit/receiver.js';
import { createRecordingKit, type RecordingKit } from '../test/testkit/recordings.js';
import { createTaskKit, type TaskKit } from '../test/testkit/tasks.js';
import { type Cluster, openCluster, type SharedStorage, startSharedStorage } from './cluster.js';
import { type Traces, watchTraces } from './traces.js';

/** `machine`: everything on one, files on its disk. `cluster`: recorders on machines of their own, files and parts in S3. */
export type BedKind = 'machine' | 'cluster';

export interface BedOptions {
  kind: BedKind;
  quick: boolean;
  /** Gives up a start that is under way. */
  signal?: AbortSignal;
}

/** What the machine timeout is set to in quick runs; the default of 60 s would make rows of minutes. */
const quickMachineTimeoutMs = 10_000;
/** The least there is, for the small disk that a row fills. */
const diskReserveMb = 16;
/** Of a machine of a cluster: so few that tasks wait for each other. */
const clusterCopySlots = 4;
/** Longer than a place is waited for while a recorder is started again. */
const taskQueueTimeoutMs = 60_000;

export interface Bed {
  kind: BedKind;
  stack: Stack;
  cluster: Cluster | null;
  kit: ArchiveKit;
  recordings: RecordingKit;
  tasks: TaskKit;
  db: Database;
  temporal: Client;
  traces: Traces;
  receiver: Receiver;
  /** The page that is recorded, without a query. */
  pageUrl: string;
  machineTimeoutMs: number;
  taskQueueTimeoutMs: number;
  /** Whether Temporal runs this workflow. Throws while Temporal does not answer, and WorkflowNotFoundError. */
  isRunning(workflowId: string): Promise<boolean>;
  /** The newest lines of the service's log. */
  lastWords(lines: number): string;
  /** What must be undone before the data can be removed, whatever becomes of the row. */
  onClose(undo: () => void): void;
  runOnClose(): Promise<void>;
  /** Ends everything and removes the data, unless it is to be kept for a look at what went wrong; answers where it is then. */
  close(options?: { keep: boolean }): Promise<string>;
  /** Kills everything at once. */
  abort(): void;
}

/** Starts the service on data and ports of its own. Leaves nothing behind when it throws. */
export async function openBed({ kind, quick, signal }: BedOptions): Promise<Bed> {
  const folder = temporaryDataFolder();
  const { dataDir } = folder;
  const logFile = join(dataDir, 'stack.log');
  const logStream = createWriteStream(logFile);
  const log = (line: string) => void logStream.write(`${line}\n`);
  const config = isolatedConfig(dataDir);
  const machineTimeoutMs = quick ? quickMachineTimeoutMs : config.machineTimeoutMs;
  /** What was opened so far, to be closed in the opposite order. */
  const opened: (() => unknown)[] = [];
  const undos: (() => void)[] = [];
  let traces: Traces | undefined;
  const runOnClose = async () => {
    for (const undo of undos.splice(0).reverse()) undo();
  };
  const close = async ({ keep } = { keep: false }) => {
    for (const end of opened.splice(0).reverse()) await end();
    await runOnClose();
    traces?.clear();
    await new Promise((resolve) => logStream.end(resolve));
    if (!keep) folder.remove();
    return dataDir;
  };
  try {
    let storage: SharedStorage | null = null;
    if (kind === 'cluster') {
      storage = await startSharedStorage(join(dataDir, 's3'));
      opened.push(storage.close);
    }
    const settings = {
      MACHINE_TIMEOUT_SECONDS: String(machineTimeoutMs / 1000),
      TASK_QUEUE_TIMEOUT_SECONDS: String(taskQueueTimeoutMs / 1000),
      DISK_RESERVE_MB: String(diskReserveMb),
      ...(storage ? { COPY_SLOTS: String(clusterCopySlots), ...storage.environment } : {}),
    };
    const services = storage ? (['api', 'jobs', 'rooms'] as const) : undefined;
    const stack = await startStack({ config, settings, services, log, signal });
    opened.push(() => stack.stop());
    const cluster = storage && (await openCluster({ stack, storage, settings, log, signal }));
    if (cluster) opened.push(cluster.close);

    const { databaseUrl, temporalAddress } = stack;
    const receiver = await startReceiver();
    const kit = createArchiveKit(stack);
    const recordings = createRecordingKit(stack);
    const tasks = createTaskKit(stack);
    const db = createDatabase(databaseUrl);
    const temporal = createTemporalClient(
      loadConfig(childEnvironment({ DATA_DIR: dataDir, DATABASE_URL: databaseUrl, TEMPORAL_ADDRESS: temporalAddress })),
    );
    traces = watchTraces(cluster ? cluster.recorders.map((machine) => machine.dataDir) : [dataDir]);
    opened.push(
      receiver.close,
      kit.close,
      recordings.close,
      tasks.close,
      () => db.$disconnect(),
      () => temporal.connection.close(),
      traces.close,
    );
    return {
      ...{
        kind,
        stack,
        cluster,
        kit,
        recordings,
        db,
        temporal,
        tasks,
        traces,
        receiver,
        machineTimeoutMs,
        taskQueueTimeoutMs,
      },
      pageUrl: `${stack.url}/demo`,
      async isRunning(workflowId) {
        const { status } = await temporal.withDeadline(Date.now() + 2_000, () =>
          temporal.workflow.getHandle(workflowId).describe(),
        );
        return status.name === 'RUNNING';
      },
      lastWords: (lines) => readFileSync(logFile, 'utf8').split('\n').slice(-lines).join('\n'),
      onClose: (undo) => void undos.push(undo),
      runOnClose,
      close,
      abort() {
        cluster?.abort();
        stack.abort();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
