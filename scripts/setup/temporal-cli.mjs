/** The Temporal CLI, whose development server is the embedded engine: found, downloaded, or built from its Go module. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildFolder, findProgram, isExecutable, setting } from './machine.mjs';
import { run, SetupError, step } from './terminal.mjs';

const version = '1.5.1';
const goModule = `github.com/temporalio/cli/cmd/temporal@v${version}`;
const connectTimeoutMs = 5_000;

/** Shared by all checkouts of a user. The version is in the name: a newer one never meets an older one's database. */
const cached = () => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tapedeck', `temporal-${version}`);

/** The path is left in `build/temporal-cli`, where the stack reads it. */
const notePath = join(buildFolder, 'temporal-cli');

export async function ensureTemporalCli() {
  if (setting('TEMPORAL_ADDRESS')) return;
  const noted = existsSync(notePath) ? readFileSync(notePath, 'utf8').trim() : undefined;
  // Asking the program for its version takes 0.1 s or more, so a noted one is only looked at.
  if (noted && noted === find() && isExecutable(noted)) return;
  const path = findWorking() ?? (await download()) ?? (await build());
  if (!path) {
    throw new SetupError(
      `The Temporal CLI is missing, and neither its download nor Go 1.21 or newer is at hand. Do one of these, then run this again:\n\n  ` +
        `mkdir -p ${dirname(cached())} && curl -fL '${downloadUrl()}' | tar -xzO temporal > ${cached()} && chmod +x ${cached()}\n  ` +
        `go install ${goModule}\n\nOr set TEMPORAL_CLI_PATH to its file, or TEMPORAL_ADDRESS to a server of yours.`,
    );
  }
  mkdirSync(dirname(notePath), { recursive: true });
  writeFileSync(notePath, `${path}\n`);
}

function find() {
  const given = setting('TEMPORAL_CLI_PATH');
  if (given) return findProgram(given) ?? given;
  return findProgram('temporal') ?? [join(homedir(), 'go', 'bin', 'temporal'), cached()].find(isExecutable);
}

function findWorking() {
  const given = setting('TEMPORAL_CLI_PATH');
  if (given) {
    const path = findProgram(given);
    if (path && works(path)) return path;
    throw new SetupError(
      `TEMPORAL_CLI_PATH is ${given}, but that is no working Temporal CLI. Correct it or leave it out.`,
    );
  }
  const candidates = [findProgram('temporal'), join(homedir(), 'go', 'bin', 'temporal'), cached()];
  return candidates.find((path) => path && isExecutable(path) && works(path));
}

function works(path) {
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  return status === 0 && /Server \d+\.\d+/.test(stdout);
}

function downloadUrl() {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  return `https://temporal.download/cli/archive/v${version}?platform=${process.platform}&arch=${arch}`;
}

/** The official build, where it can be reached; undefined where not. */
async function download() {
  const url = downloadUrl();
  const response = await fetch(url, { signal: AbortSignal.timeout(connectTimeoutMs), redirect: 'manual' }).catch(
    () => undefined,
  );
  if (!response || response.status >= 400) return undefined;
  return step(`Temporal CLI ${version}, download`, async () => {
    await response.body?.cancel();
    const folder = cacheWorkFolder();
    try {
      const archive = await fetch(url, { signal: AbortSignal.timeout(300_000) });
      if (!archive.ok) throw new SetupError(`${url} answered ${archive.status}`);
      const file = join(folder, 'temporal.tar.gz');
      writeFileSync(file, new Uint8Array(await archive.arrayBuffer()));
      await run('tar', ['-xzf', file, '-C', folder, 'temporal']);
      return keep(join(folder, 'temporal'));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }).catch(sayAndGoOn);
}

/** The next way may work; when none does, the advice follows. */
function sayAndGoOn(error) {
  process.stdout.write(`  ${error.message}\n`);
  return undefined;
}

/** Built from source through the Go module proxy; undefined without a Go that can. */
async function build() {
  const go = findProgram('go') ?? ['/usr/local/go/bin/go', '/usr/lib/go/bin/go'].find(isExecutable);
  if (!go) return undefined;
  const release = /go(\d+)\.(\d+)/.exec(spawnSync(go, ['env', 'GOVERSION'], { encoding: 'utf8' }).stdout ?? '');
  if (!release || Number(release[1]) * 1000 + Number(release[2]) < 1021) return undefined;
  return step(`Temporal CLI ${version}, built with Go (3 to 4 minutes, once)`, async () => {
    const folder = cacheWorkFolder();
    try {
      await run(go, ['install', goModule], { env: { ...process.env, GOBIN: folder, GOFLAGS: '' } });
      return keep(join(folder, 'temporal'));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }).catch(sayAndGoOn);
}

function cacheWorkFolder() {
  mkdirSync(dirname(cached()), { recursive: true });
  return mkdtempSync(`${cached()}-`);
}

/** Moves a new program into the cache in one step, so that nobody ever runs half of one. */
function keep(program) {
  chmodSync(program, 0o755);
  if (!works(program)) throw new SetupError(`${program} does not run on this machine.`);
  renameSync(program, cached());
  return cached();
}
