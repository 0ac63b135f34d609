/** Recorder hosts for tests: real ones, on pages served by the test, with a look at every process they start. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import {
  type EgressPolicy,
  type HostIdentity,
  type HostOutcome,
  type HostPhase,
  type HostSpec,
  hostFiles,
  type ManifestEntry,
  type OpenSource,
  type PageSource,
  partFile,
  type TargetSpec,
} from '../../src/jobs/capture.js';
import type { WarningCode } from '../../src/jobs/warnings.js';
import type { RecordingConfig } from '../../src/recordings/config.js';
import { findHost, killHost, readStatus, startHost } from '../../worker/host/client.js';
import { readManifest } from '../../worker/parts/manifest.js';

const run = promisify(execFile);
const pollMs = 25;

/** A page with a counter that moves and a tone; `extra` goes into its head. */
export const livePage = (extra = '') => `<!doctype html><meta charset="utf-8">${extra}
<style>body { margin: 0; background: #246; color: #fff; font: 40px monospace } #edge { position: fixed; inset: 0; border: 2px solid #f00 }</style>
<div id="edge"></div><p id="count"></p><script>
let drawn = 0;
(function draw() { document.getElementById('count').textContent = drawn++; requestAnimationFrame(draw); })();
const audio = new AudioContext(), tone = audio.createOscillator();
tone.connect(audio.destination); tone.start();
</script>`;

type Answer = string | ((request: IncomingMessage, response: ServerResponse) => void);

/** Serves pages by path until the test is finished; answers the base URL, without a trailing slash. */
export async function servePages(pages: Record<string, Answer>): Promise<string> {
  const server = createServer((request, response) => {
    const page = pages[request.url ?? ''];
    if (typeof page === 'function') return page(request, response);
    response
      .writeHead(page === undefined ? 404 : 200, { 'content-type': 'text/html' })
      .end(page ?? 'There is no such page.');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export interface HostSettings
  extends Partial<Omit<PageSource, 'kind' | 'url'>>,
    Partial<Pick<HostSpec, 'hold' | 'endsAt' | 'diskReserveBytes' | 'recordedBefore' | 'live'>> {
  targets?: TargetSpec[];
  maxDurationMs?: number;
  leaseTimeoutMs?: number;
  egress?: Partial<EgressPolicy>;
  /** The folder below which it records; the system's temporary one unless given. */
  within?: string;
}

export interface TestHost {
  folder: string;
  identity: HostIdentity;
  manifest(): ManifestEntry[];
  /** Waits until the manifest holds an entry of this type (and part), and answers it. */
  entry<T extends ManifestEntry['type']>(type: T, part?: number): Promise<Extract<ManifestEntry, { type: T }>>;
  /** Waits until the host is in this phase. */
  phase(phase: HostPhase): Promise<void>;
  /** Waits until a warning is up, or is not. */
  warning(code: WarningCode, isUp: boolean): Promise<void>;
  /** Waits until the recording has gone on for so long in the current part. */
  recordedFor(ms: number): Promise<void>;
  /** Pids of the processes the host started whose program has this name, such as `ffmpeg`. */
  children(program: string): number[];
  /** Pid of the ffmpeg that records, not of the one that observes. */
  encoder(): number;
  /** Pids of the browser's processes of one type, such as `renderer`. */
  browserProcesses(type: string): number[];
  /** How it ended, once its process is gone too. */
  outcome(): Promise<HostOutcome>;
  /** What is left of it: processes and temporary folders. Empty after a good end. */
  leftovers(): string[];
  part(number: number): string;
}

/** Starts a host on a page; it is killed when the test is finished, whatever happened. */
export async function hostOn(url: string, settings: HostSettings = {}): Promise<TestHost> {
  return startTestHost(settings, (source) => ({
    ...{ kind: 'page', url, width: 640, height: 360, fps: 15, loadTimeoutMs: 20_000 },
    ...source,
  }));
}

/** Starts a host on a live input; it is killed when the test is finished, whatever happened. */
export async function hostOnStream(recording: RecordingConfig, settings: HostSettings = {}): Promise<TestHost> {
  return startTestHost(settings, () => ({ kind: 'stream', recording }));
}

async function startTestHost(
  settings: HostSettings,
  sourceOf: (source: Partial<Omit<PageSource, 'kind' | 'url'>>) => OpenSource,
): Promise<TestHost> {
  const folder = join(mkdtempSync(join(settings.within ?? tmpdir(), 'tapedeck-test-')), 'i1');
  const { maxDurationMs = 60_000, leaseTimeoutMs = 60_000, egress, within: _, ...others } = settings;
  const { hold = null, endsAt = null, diskReserveBytes = 16 * 1_048_576, targets = [], ...rest } = others;
  const { recordedBefore = { bytes: 0, parts: 0 }, live = false, ...source } = rest;
  const identity = await startHost(
    folder,
    {
      jobId: 'test',
      incarnation: 1,
      source: sourceOf(source),
      arrangement: { layout: null, targets },
      ...{ publication: null, listenAddress: '127.0.0.1', live, directMedia: false },
      egress: { allowedNetworks: ['127.0.0.0/8'], allowedHosts: [], deniedPorts: [], ...egress },
      maxDurationMs,
      ...{ endsAt, hold, diskReserveBytes, recordedBefore },
      leaseTimeoutMs,
      tools: { ffmpeg: 'ffmpeg', ffprobe: 'ffprobe', chromium: 'chromium', browserUser: 'nobody' },
    },
    { taskToken: '', attempt: 1, renewedAt: Date.now() },
  );
  onTestFinished(async () => {
    await killHost(identity);
    rmSync(dirname(folder), { recursive: true, force: true });
  });
  // The browser has a session of its own; what was seen once is looked for until the end.
  const sessions = new Set([identity.pid]);

  const host: TestHost = {
    folder,
    identity,
    manifest: () => readManifest(folder).entries,
    entry: (type, part) =>
      until(`${type} ${part ?? ''}`, folder, () => {
        const found = host
          .manifest()
          .find((entry) => entry.type === type && (part === undefined || ('part' in entry && entry.part === part)));
        if (!found && !findHost(folder))
          throw new Error(`The host ended before ${type} ${part ?? ''}.\n${tale(folder)}`);
        return found as Extract<ManifestEntry, { type: typeof type }> | undefined;
      }),
    async phase(phase) {
      await until(`phase ${phase}`, folder, () => readStatus(folder)?.phase === phase || undefined);
    },
    async warning(code, isUp) {
      await until(`${isUp ? '' : 'no '}${code}`, folder, () => {
        return readStatus(folder)?.warnings.some((warning) => warning.code === code) === isUp || undefined;
      });
    },
    async recordedFor(ms) {
      const part = host.manifest().filter(({ type }) => type === 'part-started').length || 1;
      await host.entry('first-frame', part);
      const before = readStatus(folder)?.stats.positionMs ?? 0;
      await until(
        `${ms} ms of media`,
        folder,
        () => (readStatus(folder)?.stats.positionMs ?? 0) >= before + ms || undefined,
      );
    },
    children(program) {
      const found = processes().filter(({ parent, name }) => parent === identity.pid && name === program);
      for (const { session } of found) sessions.add(session);
      return found.map(({ pid }) => pid);
    },
    encoder() {
      const pid = host.children('ffmpeg').find((pid) => commandLine(pid).includes('-progress'));
      if (pid === undefined) throw new Error(`No encoder runs.\n${tale(folder)}`);
      return pid;
    },
    browserProcesses(type) {
      host.children('chromium');
      return processes()
        .filter(({ session, pid }) => sessions.has(session) && commandLine(pid).includes(`--type=${type}`))
        .map(({ pid }) => pid);
    },
    async outcome() {
      const entry = await until('the end of the host', folder, () => {
        host.children('chromium');
        if (findHost(folder)) return undefined;
        const ended = host.manifest().at(-1);
        if (ended?.type !== 'ended') throw new Error(`The host ended without a last word.\n${tale(folder)}`);
        return ended;
      });
      return entry.outcome;
    },
    leftovers() {
      const running = processes().filter(
        ({ session, pid }) => sessions.has(session) || commandLine(pid).includes(dirname(identity.socket)),
      );
      const names = running.filter(({ state }) => state !== 'Z').map(({ pid, name }) => `${name} ${pid}`);
      return existsSync(dirname(identity.socket)) ? [...names, dirname(identity.socket)] : names;
    },
    part: (number) => join(folder, partFile(number)),
  };
  return host;
}

/** What a part holds, decoded from its first to its last frame. Throws when ffmpeg has to say anything about it, unless it was cut off. */
export async function decode(file: string, options: { cutOff?: boolean } = {}) {
  const { stdout } = await run('ffprobe', ['-v', 'error', '-show_streams', '-count_frames', '-of', 'json', file]);
  const streams = (JSON.parse(stdout) as { streams: Record<string, string | number>[] }).streams;
  const { stderr } = await run('ffmpeg', ['-v', 'error', '-i', file, '-f', 'null', '-']);
  // A killed encoder may leave a torn last frame.
  if (stderr && !options.cutOff) throw new Error(stderr);
  const last = await run('ffprobe', [
    '-v',
    'error',
    '-show_entries',
    'packet=pts_time,duration_time',
    '-of',
    'csv=p=0',
    file,
  ]);
  const ends = last.stdout
    .trim()
    .split('\n')
    .map((line) => line.split(',').reduce((sum, field) => sum + (Number(field) || 0), 0));
  const [video, audio] = ['video', 'audio'].map((kind) => streams.find((stream) => stream.codec_type === kind));
  return { video, audio, frames: Number(video?.nb_read_frames), durationMs: Math.max(...ends) * 1000 };
}

async function until<T>(what: string, folder: string, look: () => T | undefined, limitMs = 45_000): Promise<T> {
  const startedAt = performance.now();
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (performance.now() - startedAt > limitMs) throw new Error(`Waited ${limitMs} ms for ${what}.\n${tale(folder)}`);
    await sleep(pollMs);
  }
}

function tale(folder: string): string {
  return [hostFiles.manifest, hostFiles.log, hostFiles.console]
    .map((name) => join(folder, name))
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
}

function processes() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return [
          {
            pid: Number(name),
            name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')),
            state,
            parent: Number(parent),
            session: Number(session),
          },
        ];
      } catch {
        return [];
      }
    });
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
