/**
 * The peer of a recorder host: the same programs with the same arguments, taken from the running host's own processes and
 * started by hand, without a host, without the egress proxy, without anything that controls the browser.
 */
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { partFile } from '../src/jobs/capture.js';
import { type Child, startChild } from '../worker/capture/child.js';
import { processTree } from './process-tree.js';
import { type RunningHost, until } from './recorder-host.js';

interface Command {
  program: string;
  args: string[];
  env: Record<string, string>;
  uid: number;
  gid: number;
}

/** The command lines of a host, with what is particular to that run. */
export interface Recipe {
  display: Command;
  sound: Command;
  browser: Command;
  encoder: Command;
  /** The host's temporary folder and its incarnation's folder. */
  scratch: string;
  folder: string;
  displayName: string;
  /** Files that a program expects below the temporary folder, by relative path. */
  files: { path: string; contents: Buffer; uid: number; gid: number }[];
  folders: { path: string; uid: number; gid: number }[];
}

export interface BarePipeline {
  pids: number[];
  /** What it writes. */
  part: string;
  /** Closes the part and ends every process. */
  stop(): Promise<void>;
  /** Deletes what it wrote. */
  remove(): Promise<void>;
}

// What only serves the host: its proxy and its wire to the browser.
const hostOnly = [/^--proxy-/, /^--remote-debugging-pipe$/, /^about:blank$/];
// About what a host gives a page until it begins to record.
const pageLoadMs = 2_000;
const startLimitMs = 20_000;

/** Reads a running host's processes. Throws when one of the four programs is not among them. */
export function readRecipe(host: Pick<RunningHost, 'identity' | 'folder'>): Recipe {
  const commands = processTree([host.identity.pid]).flatMap((pid) => readCommand(pid) ?? []);
  const find = (what: string, fits: (command: Command) => boolean): Command => {
    const found = commands.find(fits);
    if (!found) throw new Error(`The recorder host runs no ${what}.`);
    return found;
  };
  const named = (name: string) => (command: Command) => basename(command.program) === name;
  const display = find('Xvfb', named('Xvfb'));
  const sound = find('pulseaudio', named('pulseaudio'));
  // Another ffmpeg looks at the picture without writing any.
  const encoder = find(
    'encoder',
    ({ args }) => args.includes('x11grab') && args.some((arg) => arg.endsWith(partFile(1))),
  );
  const browser = find('browser', ({ args }) => args.includes('--kiosk'));
  const scratch = dirname(host.identity.socket);
  const displayName = encoder.args[encoder.args.lastIndexOf('-i') + 1] as string;
  const authority = display.args[display.args.indexOf('-auth') + 1] as string;
  const settings = join(sound.env.HOME as string, '.config/pulse/daemon.conf');
  return {
    ...{ display, sound, encoder, scratch, displayName, folder: host.folder },
    browser: { ...browser, env: browserEnvironment(browser, encoder, displayName) },
    files: [authority, settings].map((path) => {
      const { uid, gid } = statSync(path);
      return { path: path.slice(scratch.length + 1), contents: readFileSync(path), uid, gid };
    }),
    folders: readdirSync(scratch, { withFileTypes: true }).flatMap((entry) => {
      const { uid, gid } = statSync(join(scratch, entry.name));
      return entry.isDirectory() ? [{ path: entry.name, uid, gid }] : [];
    }),
  };
}

/** Starts the four programs on a page; resolves when the encoder writes. Throws when it does not. */
export async function startBarePipeline(recipe: Recipe, url: string): Promise<BarePipeline> {
  const scratch = await mkdtemp(join(tmpdir(), 'tapedeck-bare-'));
  await chmod(scratch, 0o711);
  const children: Child[] = [];
  const stop = async () => {
    // The encoder first, as the host does; the others have nothing to close.
    await children.at(-1)?.stop('SIGINT', 10_000);
    for (const child of children) await child.stop('SIGKILL', 1_000);
  };
  const remove = () => rm(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  try {
    prepareFolders(recipe, scratch);
    let displayName = recipe.displayName;
    const start = async (command: Command, change: (args: string[]) => string[] = (args) => args) => {
      const moved = (text: string) => text.replaceAll(recipe.scratch, scratch).replaceAll(recipe.folder, scratch);
      const env = Object.fromEntries(Object.entries(command.env).map(([name, value]) => [name, moved(value)]));
      const child = await startChild({
        command: command.program,
        args: change(command.args.map(moved)).map((arg) => (arg === recipe.displayName ? displayName : arg)),
        user: process.getuid?.() === 0 ? { uid: command.uid, gid: command.gid } : null,
        env: 'DISPLAY' in env ? { ...env, DISPLAY: displayName } : env,
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
        // The encoder names what it writes relative to its folder.
        cwd: scratch,
      });
      children.push(child);
      return child;
    };
    const display = await start(recipe.display);
    displayName = `:${await firstLine(display.process.stdio[3] as Readable)}`;
    await start(recipe.sound);
    const socket = (recipe.encoder.env.PULSE_SERVER as string).replace('unix:', '').replace(recipe.scratch, scratch);
    if (!(await until(startLimitMs, () => existsSync(socket)))) throw new Error('The sound server did not start.');
    await start(recipe.browser, (args) => [...args.filter((arg) => !hostOnly.some((only) => only.test(arg))), url]);
    await sleep(pageLoadMs);
    await start(recipe.encoder);
    const part = join(scratch, partFile(1));
    if (!(await until(startLimitMs, () => existsSync(part) && statSync(part).size > 10_000))) {
      throw new Error('The bare pipeline recorded nothing.');
    }
    return { pids: children.map(({ pid }) => pid), part, stop, remove };
  } catch (error) {
    await stop();
    await remove();
    throw error;
  }
}

function prepareFolders(recipe: Recipe, scratch: string): void {
  for (const { path, uid, gid } of recipe.folders) {
    mkdirSync(join(scratch, path), { mode: 0o700 });
    chownSync(join(scratch, path), uid, gid);
  }
  for (const { path, contents, uid, gid } of recipe.files) {
    mkdirSync(dirname(join(scratch, path)), { recursive: true });
    writeFileSync(join(scratch, path), contents, { mode: 0o600 });
    chownSync(join(scratch, path), uid, gid);
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent))
      chownSync(join(scratch, parent), uid, gid);
  }
}

/** Rewriting its command line, Chromium loses its environment from sight; it is told by what the others have. */
function browserEnvironment({ args }: Command, encoder: Command, displayName: string): Record<string, string> {
  const profile = args.find((arg) => arg.startsWith('--user-data-dir=')) as string;
  const home = dirname(profile.slice(profile.indexOf('=') + 1));
  const source = encoder.args[encoder.args.indexOf('-i') + 1] as string;
  const { PATH, LANG, XAUTHORITY, PULSE_SERVER } = encoder.env as Record<string, string>;
  return {
    ...{ PATH, LANG, XAUTHORITY, PULSE_SERVER },
    ...{ HOME: home, TMPDIR: home, XDG_RUNTIME_DIR: home },
    ...{ DISPLAY: displayName, PULSE_SINK: source.replace('.monitor', ''), DBUS_SESSION_BUS_ADDRESS: 'disabled:' },
  } as Record<string, string>;
}

function readCommand(pid: number): Command | null {
  try {
    const words = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8').split('\0').filter(Boolean);
    const given = words('cmdline');
    // Chromium rewrites its own command line with spaces between the arguments.
    const [program, ...args] = given.length === 1 ? (given[0] as string).split(/ (?=--|about:)/) : given;
    if (!program) return null;
    const env = Object.fromEntries(words('environ').map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
    const { uid, gid } = statSync(`/proc/${pid}`);
    return { program, args, env, uid, gid };
  } catch {
    // It ended meanwhile.
    return null;
  }
}

function firstLine(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\n')) resolve(text.trim());
    });
    stream.once('end', () => reject(new Error('Xvfb ended before its display was ready.')));
  });
}
