/** The embedded Postgres: a cluster in the data folder, run by the supervisor. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { strangerEnvironment } from '../src/config.js';
import { identify } from '../src/process-identity.js';
import { asUser, findPostgresPlace, type PostgresPlace, PostgresUnavailableError } from './postgres-place.js';
import { endProcess } from './process-end.js';
import type { ProcessSpec } from './supervisor.js';

const role = 'tapedeck';
const database = 'tapedeck';
const passwordFileName = 'postgres-password';
const readyPollMs = 50;
/** A fast shutdown writes a checkpoint; after this long Postgres is told to leave without one, and recovers at its start. */
const shutdownMs = 15_000;
/** API, workers and tests have pools of 10; the default of 100 is soon reached by tests side by side. */
const maxConnections = 200;

export interface Cluster extends PostgresPlace {
  password: string;
}

/**
 * Makes the cluster if there is none, and ends a server that an earlier stack left running on it.
 * Throws PostgresUnavailableError.
 */
export async function openCluster(dataDir: string): Promise<Cluster> {
  const place = await findPostgresPlace(dataDir);
  const password = await ensureCluster(dataDir, place);
  await endLeftover(place.data);
  return { ...place, password };
}

/** The address of the embedded database that another process runs on this data folder; null when there is none. */
export function embeddedDatabaseUrl(dataDir: string, port: number): string | null {
  const passwordFile = join(dataDir, passwordFileName);
  return existsSync(passwordFile) ? addressOf(readFileSync(passwordFile, 'utf8').trim(), port) : null;
}

const addressOf = (password: string, port: number): string =>
  `postgres://${role}:${password}@127.0.0.1:${port}/${database}`;

/** The server of a cluster and the address of our database in it, which exists once the server is ready. */
export function postgresServer(cluster: Cluster, port: number): { url: string; spec: ProcessSpec } {
  const url = addressOf(cluster.password, port);
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    // No socket file: passwords are asked of everybody, and path lengths do not matter.
    unix_socket_directories: '',
    max_connections: maxConnections,
    log_line_prefix: '',
    log_checkpoints: 'off',
    // Statements hold clients' data.
    log_min_error_statement: 'panic',
  };
  const args = ['-D', cluster.data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  return {
    url,
    spec: {
      name: 'postgres',
      async command() {
        await endLeftover(cluster.data);
        // SIGINT, a fast shutdown, is sent by the kernel when the stack is killed: no server is left behind.
        const setpriv = [...(cluster.user ? asUser(cluster.user.name) : []), '--pdeathsig', 'INT'];
        return {
          file: 'setpriv',
          args: [...setpriv, join(cluster.programs, 'postgres'), ...args],
          env: strangerEnvironment(),
        };
      },
      cwd: '/',
      ipc: false,
      ready: (died) => untilDatabase(url, died),
      stop: 'SIGINT',
      stopLimitMs: shutdownMs,
    },
  };
}

/** Answers the role's password. */
async function ensureCluster(dataDir: string, place: PostgresPlace): Promise<string> {
  const passwordFile = join(dataDir, passwordFileName);
  if (existsSync(join(place.data, 'PG_VERSION'))) {
    if (!existsSync(passwordFile)) {
      throw new PostgresUnavailableError(
        `The password of the database in ${place.data} is missing. Restore ${passwordFile}, or move the database away to begin with a new one.`,
      );
    }
    checkVersion(place, await run(place, 'postgres', ['--version']));
    return readFileSync(passwordFile, 'utf8').trim();
  }
  const password = randomBytes(24).toString('base64url');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  await createCluster(place, password);
  return password;
}

function checkVersion(place: PostgresPlace, programVersion: string): void {
  const made = readFileSync(join(place.data, 'PG_VERSION'), 'utf8').trim();
  const [, major] = /(\d+)\./.exec(programVersion) ?? [];
  if (made === major) return;
  throw new PostgresUnavailableError(
    `The database in ${place.data} was made by Postgres ${made}, the embedded one is ${major}. Go back to the earlier release, dump the database with pg_dump, and restore it in a new data folder.`,
  );
}

/** Under another name until it is whole: a cluster that exists is a cluster that works. */
async function createCluster(place: PostgresPlace, password: string): Promise<void> {
  const unfinished = `${place.data}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  const secretFolder = mkdtempSync(join(tmpdir(), 'tapedeck-'));
  const secret = join(secretFolder, 'password');
  try {
    writeFileSync(secret, password, { mode: 0o600 });
    for (const path of place.user ? [unfinished, secretFolder, secret] : []) {
      chownSync(path, place.user?.uid as number, place.user?.gid as number);
    }
    // The C locale sorts alike on every machine.
    const how = ['--encoding=UTF8', '--locale=C', '--auth=scram-sha-256', '--no-instructions'];
    await run(place, 'initdb', ['-D', unfinished, '-U', role, `--pwfile=${secret}`, ...how]);
    renameSync(unfinished, place.data);
  } finally {
    rmSync(secretFolder, { recursive: true, force: true });
  }
}

/** Runs a program of Postgres to its end and answers its output; throws PostgresUnavailableError with what it printed. */
async function run(place: PostgresPlace, program: 'initdb' | 'postgres', args: string[]): Promise<string> {
  const command = [
    'setpriv',
    ...(place.user ? asUser(place.user.name) : ['--']),
    join(place.programs, program),
    ...args,
  ];
  const child = spawn(command[0] as string, command.slice(1), {
    cwd: '/',
    env: strangerEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code !== 0) throw new PostgresUnavailableError(`${program} failed:\n${stderr || stdout}`);
  return stdout;
}

/** Ends a server that still runs on the data directory, and removes a pid file that names some other program. */
async function endLeftover(data: string): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  const server = identify(Number(readFileSync(pidFile, 'utf8').split('\n')[0]));
  if (!server || !isServerOf(server.pid, data)) {
    rmSync(pidFile, { force: true });
    return;
  }
  const gone = await endProcess(server, [
    { signal: 'SIGINT', limitMs: shutdownMs },
    { signal: 'SIGQUIT', limitMs: 5_000 },
  ]);
  if (!gone)
    throw new PostgresUnavailableError(`Process ${server.pid}, a Postgres on ${data}, does not end. End it by hand.`);
}

function isServerOf(pid: number, data: string): boolean {
  try {
    return (
      readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'postgres' &&
      realpathSync(`/proc/${pid}/cwd`) === realpathSync(data)
    );
  } catch {
    return false;
  }
}

/** Waits until the server answers, then makes our database if it is missing. */
async function untilDatabase(url: string, died: AbortSignal): Promise<void> {
  const admin = new URL(url);
  admin.pathname = '/postgres';
  while (!died.aborted) {
    const client = new pg.Client({ connectionString: admin.href, connectionTimeoutMillis: 5_000 });
    // A server that dies meanwhile is its supervisor's business.
    client.on('error', () => {});
    try {
      await client.connect();
      const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
      if (!rowCount) await client.query(`CREATE DATABASE ${database}`);
      return;
    } catch {
      await sleep(readyPollMs, undefined, { signal: died }).catch(() => {});
    } finally {
      await client.end().catch(() => {});
    }
  }
}
