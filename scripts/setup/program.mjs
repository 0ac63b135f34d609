/** A program that no package manager has: found on this machine, downloaded from its makers, or built from its Go module. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
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

const connectTimeoutMs = 5_000;
const downloadTimeoutMs = 300_000;

/**
 * @typedef {object} Program
 * @property {string} title How set-up calls it.
 * @property {string} name Of its file, on the PATH and in the cache.
 * @property {string} version Without a leading v. Part of the file's name in the cache: versions never meet.
 * @property {string} note File in `build/` in which its path is left for others.
 * @property {string} goModule With version.
 * @property {string} goName What `go install` calls it.
 * @property {Record<string, string>} [generated] Files that its makers generate before they build, and that its module therefore lacks: path in the module → content.
 * @property {string} buildTime In words.
 * @property {string} downloadUrl
 * @property {string} [archived] Its path in the archive; without it, the download is the program.
 * @property {string} [settingName] A setting that may point to it, which is then the only place it is looked for.
 * @property {(answer: string) => boolean} isItself Whether this answer to `--version` is its own.
 */

/** Its path: noted earlier, found, downloaded or built. Undefined when none of that works. Throws SetupError for a wrong setting. */
export async function ensureProgram(program) {
  const notePath = join(buildFolder, program.note);
  const noted = existsSync(notePath) ? readFileSync(notePath, 'utf8').trim() : undefined;
  // Asking the program for its version takes 0.1 s or more, so a noted one is only looked at.
  if (noted && noted === find(program) && isExecutable(noted)) return noted;
  const path = findWorking(program) ?? (await download(program)) ?? (await build(program));
  if (!path) return undefined;
  mkdirSync(dirname(notePath), { recursive: true });
  writeFileSync(notePath, `${path}\n`);
  return path;
}

/** Lines that bring it by hand, one of which is enough. */
export function linesToGet(program) {
  const file = cached(program);
  const unpack = program.archived ? `| tar -xzO ${program.archived} > ${file}` : `-o ${file}`;
  const download = `mkdir -p ${dirname(file)} && curl -fL '${program.downloadUrl}' ${unpack} && chmod +x ${file}`;
  return program.generated ? [download] : [download, `go install ${program.goModule}`];
}

/** Shared by all checkouts of a user. */
function cached({ name, version }) {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tapedeck', `${name}-${version}`);
}

function places(program) {
  const { name, goName } = program;
  return [findProgram(name), join(homedir(), 'go', 'bin', goName), cached(program)].filter(
    (path) => path && isExecutable(path),
  );
}

function given({ settingName }) {
  return settingName && setting(settingName);
}

function find(program) {
  const path = given(program);
  return path ? (findProgram(path) ?? path) : places(program)[0];
}

function findWorking(program) {
  const wanted = given(program);
  if (!wanted) return places(program).find((path) => works(program, path));
  const path = findProgram(wanted);
  if (path && works(program, path)) return path;
  throw new SetupError(
    `${program.settingName} is ${wanted}, but that is no working ${program.title}. Correct it or leave it out.`,
  );
}

function works({ isItself }, path) {
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  return status === 0 && isItself(stdout);
}

/** The official build, where it can be reached; undefined where not. */
async function download(program) {
  const { title, version, name, archived, downloadUrl: url } = program;
  const answer = await fetch(url, { signal: AbortSignal.timeout(connectTimeoutMs), redirect: 'manual' }).catch(
    () => undefined,
  );
  if (!answer || answer.status >= 400) return undefined;
  await answer.body?.cancel();
  return inWorkFolder(program, `${title} ${version}, download`, async (folder) => {
    const whole = await fetch(url, { signal: AbortSignal.timeout(downloadTimeoutMs) });
    if (!whole.ok) throw new SetupError(`${url} answered ${whole.status}`);
    const file = join(folder, archived ? 'archive.tar.gz' : name);
    writeFileSync(file, new Uint8Array(await whole.arrayBuffer()));
    if (!archived) return file;
    await run('tar', ['-xzf', file, '-C', folder, archived]);
    return join(folder, archived);
  });
}

/** Built from source through the Go module proxy; undefined without a Go that can. */
async function build(program) {
  const { title, version, buildTime, goModule, goName, generated } = program;
  const go = findProgram('go') ?? ['/usr/local/go/bin/go', '/usr/lib/go/bin/go'].find(isExecutable);
  if (!go) return undefined;
  const release = /go(\d+)\.(\d+)/.exec(spawnSync(go, ['env', 'GOVERSION'], { encoding: 'utf8' }).stdout ?? '');
  if (!release || Number(release[1]) * 1000 + Number(release[2]) < 1021) return undefined;
  return inWorkFolder(program, `${title} ${version}, built with Go (${buildTime}, once)`, async (folder) => {
    const env = { ...process.env, GOBIN: folder, GOFLAGS: '' };
    if (!generated) await run(go, ['install', goModule], { env });
    else await buildCompleted(go, goModule, generated, join(folder, goName), env);
    return join(folder, goName);
  });
}

/** `go install` builds what the module proxy has; a module that lacks generated files is completed in a copy. */
async function buildCompleted(go, goModule, generated, target, env) {
  const source = `${target}-source`;
  const { Dir } = JSON.parse(await run(go, ['mod', 'download', '-json', goModule], { env }));
  cpSync(Dir, source, { recursive: true });
  // The module cache is read-only, and a copy of it too.
  await run('chmod', ['-R', 'u+w', source]);
  for (const [path, content] of Object.entries(generated)) {
    mkdirSync(dirname(join(source, path)), { recursive: true });
    writeFileSync(join(source, path), content);
  }
  await run(go, ['build', '-buildvcs=false', '-trimpath', '-ldflags=-s -w', '-o', target, '.'], {
    cwd: source,
    env: { ...env, CGO_ENABLED: '0' },
  });
}

/** Has `make` make the program in a folder beside the cache, and moves it there in one step: nobody ever runs half of one. */
function inWorkFolder(program, title, make) {
  return step(title, async () => {
    const path = cached(program);
    mkdirSync(dirname(path), { recursive: true });
    const folder = mkdtempSync(`${path}-`);
    try {
      const made = await make(folder);
      chmodSync(made, 0o755);
      if (!works(program, made)) throw new SetupError(`${made} does not run on this machine.`);
      renameSync(made, path);
      return path;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }).catch((error) => {
    // The next way may work; when none does, the advice follows.
    process.stdout.write(`  ${error.message}\n`);
    return undefined;
  });
}
