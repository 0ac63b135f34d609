/** The whole service on one machine: database, engine, API and workers, started in order and kept running. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, childEnvironment, noBucket } from '../src/config.js';
import { claimDataFolder } from './exclusive.js';
import { endHosts, killHosts } from './hosts.js';
import { endLeftovers, keepNotes } from './leftovers.js';
import { createLog, type LineSink } from './log.js';
import { migrate } from './migrations.js';
import { choosePorts } from './ports.js';
import { openCluster, postgresServer } from './postgres.js';
import { type ServiceName, serviceNames, serviceSpec } from './services.js';
import { type ProcessSpec, type SupervisedProcess, supervise } from './supervisor.js';
import { prepareTemporal } from './temporal.js';

export type ProcessName = ServiceName | 'postgres' | 'temporal';

export interface StackOptions {
  /** Ports of 0 are replaced by free ones; DATABASE_URL and TEMPORAL_ADDRESS, where given, replace the embedded servers. */
  config: Config;
  log: LineSink;
  /** Settings that our own processes get besides what follows from `config`: they read all others from the environment. */
  settings?: Parameters<typeof childEnvironment>[0];
  /** Which of our own processes to run; all of them unless told. */
  services?: readonly ServiceName[];
  /** Gives up a start that is under way: what has been started is killed. */
  signal?: AbortSignal;
}

export interface Stack {
  /** Where the API answers clients, without a trailing slash. */
  url: string;
  /** The development API key; empty without the API, and in production. */
  apiKey: string;
  dataDir: string;
  databaseUrl: string;
  temporalAddress: string;
  /** Undefined when the engine is not the embedded one. */
  temporalUiUrl: string | undefined;
  /** Throws when the process is between two lives. */
  pid(name: ProcessName): number;
  /** Sends a signal; resolves when that process is gone. It is then started again. */
  kill(name: ProcessName, signal: NodeJS.Signals): Promise<void>;
  /** Resolves when the process, started again where it had died, is ready. */
  ready(name: ProcessName): Promise<void>;
  /** Ends everything in order: recordings close their parts, then API, workers, engine, database. */
  stop(): Promise<void>;
  /** Kills everything at once. Nothing is lost but the last second of each recording. */
  abort(): void;
}

/** The order in which processes are asked to end. */
const stopOrder: readonly ProcessName[] = ['recorder', 'api', 'jobs', 'temporal', 'postgres'];

/**
 * Resolves when the API answers and both workers are ready. Throws DataFolderInUseError, PortTakenError,
 * PostgresUnavailableError, TemporalUnavailableError, MigrationError, or ProcessFailedError; nothing is left running then.
 */
export async function startStack({
  config,
  settings,
  log: sink,
  services = serviceNames,
  signal,
}: StackOptions): Promise<Stack> {
  const { dataDir, projectRoot } = config;
  const log = createLog(sink);
  mkdirSync(dataDir, { recursive: true });
  const claim = await claimDataFolder(dataDir);
  const processes = new Map<ProcessName, SupervisedProcess>();
  const note = keepNotes(dataDir);

  function abort() {
    for (const supervised of processes.values()) supervised.abort();
    killHosts(dataDir);
  }
  signal?.addEventListener('abort', abort);

  async function stop() {
    for (const name of stopOrder) {
      await processes.get(name)?.stop();
      if (name === 'recorder') await endHosts(dataDir, log);
    }
    await claim.release();
  }

  function start(name: ProcessName, spec: ProcessSpec): Promise<void> {
    signal?.throwIfAborted();
    // Postgres keeps a note of its own, and must not be ended with a plain SIGTERM: that waits for its clients.
    const supervised = supervise(spec, log, (pid) => name !== 'postgres' && note(name, pid));
    processes.set(name, supervised);
    return signal ? Promise.race([supervised.ready(), untilAborted(signal)]) : supervised.ready();
  }

  try {
    await endLeftovers(dataDir, log);
    const cluster = config.databaseUrl ? undefined : await openCluster(dataDir);
    const engineIsOurs = !config.temporal.address;
    const local = '127.0.0.1';
    const ports = await choosePorts({
      PORT: { host: config.host, port: config.port, needed: services.includes('api') },
      POSTGRES_PORT: { host: local, port: config.postgresPort, needed: cluster !== undefined },
      TEMPORAL_PORT: { host: local, port: config.temporal.port, needed: engineIsOurs },
      TEMPORAL_UI_PORT: { host: local, port: config.temporal.uiPort, needed: engineIsOurs },
    });
    const postgres = cluster && postgresServer(cluster, ports.POSTGRES_PORT);
    const temporal = engineIsOurs ? prepareTemporal(config, ports.TEMPORAL_PORT, ports.TEMPORAL_UI_PORT) : undefined;
    const databaseUrl = postgres?.url ?? (config.databaseUrl as string);
    const temporalAddress = temporal?.address ?? (config.temporal.address as string);

    async function database() {
      if (postgres) await start('postgres', postgres.spec);
      await migrate(databaseUrl, projectRoot, signal);
    }
    await Promise.all([database(), temporal && start('temporal', temporal.spec)]);

    const url = config.port === 0 ? `http://${urlHost(config.host)}:${ports.PORT}` : config.publicUrl;
    const env = childEnvironment({
      // What `.env` says of a bucket is not for a stack that shall have none.
      ...(config.s3 === null ? noBucket : {}),
      ...settings,
      NODE_ENV: config.development ? 'development' : 'production',
      DATA_DIR: dataDir,
      HOST: config.host,
      PUBLIC_URL: url,
      DATABASE_URL: databaseUrl,
      TEMPORAL_ADDRESS: temporalAddress,
      TEMPORAL_NAMESPACE: config.temporal.namespace,
      ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
    });
    const localUrl = `http://${urlHost(config.host)}:${ports.PORT}`;
    await Promise.all(services.map((name) => start(name, serviceSpec(name, projectRoot, env, localUrl))));
    signal?.removeEventListener('abort', abort);

    const keyFile = join(dataDir, 'development-key');
    const find = (name: ProcessName) => {
      const supervised = processes.get(name);
      if (!supervised) throw new Error(`This stack runs no ${name}.`);
      return supervised;
    };
    return {
      url,
      apiKey: config.development && existsSync(keyFile) ? readFileSync(keyFile, 'utf8').trim() : '',
      dataDir,
      databaseUrl,
      temporalAddress,
      temporalUiUrl: temporal && `http://127.0.0.1:${ports.TEMPORAL_UI_PORT}`,
      pid(name) {
        const { pid } = find(name);
        if (!pid) throw new Error(`${name} is not running at the moment.`);
        return pid;
      },
      kill: (name, killSignal) => find(name).kill(killSignal),
      ready: (name) => find(name).ready(),
      stop,
      abort,
    };
  } catch (error) {
    if (signal?.aborted) abort();
    await stop();
    throw error;
  }
}

/** What a client on this machine connects to when the server listens on `host`. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
