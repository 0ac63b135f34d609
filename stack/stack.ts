/** The whole service on one machine: database, engine, API and workers, started in order and kept running. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, childEnvironment, type MediaServerAddress, noBucket, requireMediaServer } from '../src/config.js';
import { claimDataFolder } from './exclusive.js';
import { endHosts, killHosts } from './hosts.js';
import { prepareJanus } from './janus.js';
import { endLeftovers, keepNotes } from './leftovers.js';
import { createLog, type LineSink } from './log.js';
import { findMediamtx, prepareMediamtx } from './mediamtx.js';
import { migrate } from './migrations.js';
import { choosePorts } from './ports.js';
import { openCluster, postgresServer } from './postgres.js';
import { type ServiceName, serviceNames, serviceSpec } from './services.js';
import { type ProcessSpec, type SupervisedProcess, supervise } from './supervisor.js';
import { prepareTemporal } from './temporal.js';

export type ProcessName = ServiceName | 'postgres' | 'temporal' | 'janus' | 'mediamtx';

export interface StackOptions {
  /** Ports of 0 are replaced by free ones; DATABASE_URL, TEMPORAL_ADDRESS and JANUS_URL, where given, replace the embedded servers. */
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
  mediaServer: MediaServerAddress;
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
const stopOrder: readonly ProcessName[] = [
  'recorder',
  'api',
  'jobs',
  'rooms',
  'mediamtx',
  'janus',
  'temporal',
  'postgres',
];

/**
 * Resolves when the API answers and both workers are ready. Throws DataFolderInUseError, PortTakenError,
 * PostgresUnavailableError, TemporalUnavailableError, JanusUnavailableError, MigrationError, or ProcessFailedError; nothing is left running then.
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
    const janusIsOurs = !config.media.url;
    const takesIngest = services.includes('rooms') && findMediamtx(projectRoot) !== undefined;
    if (services.includes('rooms') && !takesIngest) {
      log('stack', 'MediaMTX is missing: encoders cannot publish into rooms. `npm run setup` says how to get it');
    }
    const local = '127.0.0.1';
    const ports = await choosePorts({
      PORT: { host: config.host, port: config.port, needed: services.includes('api') },
      POSTGRES_PORT: { host: local, port: config.postgresPort, needed: cluster !== undefined },
      TEMPORAL_PORT: { host: local, port: config.temporal.port, needed: engineIsOurs },
      TEMPORAL_UI_PORT: { host: local, port: config.temporal.uiPort, needed: engineIsOurs },
      JANUS_PORT: { host: local, port: config.media.port, needed: janusIsOurs },
      MEDIA_EVENTS_PORT: {
        host: local,
        port: config.media.eventsPort,
        needed: janusIsOurs || services.includes('rooms'),
      },
      RTMP_PORT: { host: config.host, port: config.media.rtmpPort, needed: takesIngest },
      SRT_PORT: { host: config.host, port: config.media.srtPort, needed: takesIngest, protocol: 'udp' },
      RTSP_PORT: { host: local, port: config.ingest.rtspPort, needed: takesIngest },
      INGEST_API_PORT: { host: local, port: config.ingest.apiPort, needed: takesIngest },
      INGEST_AUTH_PORT: { host: local, port: config.ingest.authPort, needed: takesIngest },
    });
    const postgres = cluster && postgresServer(cluster, ports.POSTGRES_PORT);
    const temporal = engineIsOurs ? prepareTemporal(config, ports.TEMPORAL_PORT, ports.TEMPORAL_UI_PORT) : undefined;
    const janus = janusIsOurs
      ? prepareJanus(config, { port: ports.JANUS_PORT, eventsPort: ports.MEDIA_EVENTS_PORT })
      : undefined;
    const mediamtx = takesIngest
      ? prepareMediamtx(config, {
          ...{ rtmp: ports.RTMP_PORT, srt: ports.SRT_PORT, rtsp: ports.RTSP_PORT },
          ...{ api: ports.INGEST_API_PORT, auth: ports.INGEST_AUTH_PORT },
        })
      : undefined;
    const mediaServer = janus?.server ?? requireMediaServer(config);
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
      JANUS_URL: mediaServer.url,
      JANUS_API_SECRET: mediaServer.apiSecret,
      JANUS_ADMIN_KEY: mediaServer.adminKey,
      MEDIA_ADDRESS: janus?.address ?? config.media.address ?? '',
      MEDIA_UDP_PORTS: config.media.udpPorts,
      INPUT_ADDRESS: config.inputs.address,
      INPUT_HOST: config.inputs.host ?? '',
      INPUT_PORTS: config.inputs.ports.join('-'),
      INGEST_SECRET: mediamtx?.secret ?? '',
      ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
    });
    const localUrl = `http://${urlHost(config.host)}:${ports.PORT}`;
    const startService = (name: ServiceName) => start(name, serviceSpec(name, projectRoot, env, localUrl));
    async function media() {
      // Janus tries to reach whom it reports to at its start, then after 1, 2, 4 and each 8 s.
      if (services.includes('rooms')) await startService('rooms');
      if (janus) await start('janus', janus.spec);
    }
    await Promise.all([
      media(),
      mediamtx && start('mediamtx', mediamtx.spec),
      ...services.filter((name) => name !== 'rooms').map(startService),
    ]);
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
      mediaServer,
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
