/** A recorder host of ours, started as the worker starts it, for as long as a measurement needs it. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../src/config.js';
import { type HostIdentity, hostFiles, type OpenPage, type OpenSource, partFile } from '../src/jobs/capture.js';
import type { RecordingConfig } from '../src/recordings/config.js';
import { findHost, killHost, readStatus, sendCommand, startHost } from '../worker/host/client.js';

// Two page loads of 30 s and a browser launch.
const startLimitMs = 90_000;
const endLimitMs = 20_000;
const pollMs = 50;
const measuredMinutes = 10;

export interface RunningHost {
  identity: HostIdentity;
  folder: string;
  /** What it writes. */
  part: string;
  /** Closes the part and waits until every process is gone. */
  stop(): Promise<void>;
  /** Deletes what it wrote; a host that still runs is killed. */
  remove(): Promise<void>;
}

/** Starts recording a page of ours; resolves when frames are being written. Throws with the host's log when none come. */
export async function recordPage(source: OpenPage, allowedHost: string): Promise<RunningHost> {
  return hasBegun(await startRecorder(source, [allowedHost]));
}

/** Starts to wait for a live input, which need not be there yet. */
export async function recordStream(recording: RecordingConfig): Promise<RunningHost> {
  return startRecorder({ kind: 'stream', recording }, []);
}

/** Resolves when frames are being written. Throws with the host's log when none come. */
export async function hasBegun(host: RunningHost): Promise<RunningHost> {
  const { folder } = host;
  const begun = await until(startLimitMs, () => (readStatus(folder)?.stats.frames ?? 0) > 0 || !findHost(folder));
  if (begun && findHost(folder)) return host;
  const log = readFileSync(join(folder, hostFiles.log), 'utf8').split('\n').slice(-20).join('\n');
  await host.remove();
  throw new Error(`The recorder host recorded nothing. Its last words:\n${log}`);
}

async function startRecorder(source: OpenSource, allowedHosts: string[]): Promise<RunningHost> {
  const { recorder } = loadConfig();
  const folder = await mkdtemp(join(tmpdir(), 'tapedeck-bench-'));
  const spec = {
    ...{ jobId: 'bench', incarnation: 1, source },
    egress: { allowedNetworks: [], allowedHosts, deniedPorts: [] },
    ...{
      listenAddress: '127.0.0.1',
      live: false,
      directMedia: false,
      publication: null,
      arrangement: { layout: null, targets: [] },
    },
    ...{ maxDurationMs: measuredMinutes * 60_000, endsAt: null, leaseTimeoutMs: measuredMinutes * 60_000 },
    ...{ hold: null, diskReserveBytes: 0, recordedBefore: { bytes: 0, parts: 0 } },
    tools: {
      ...{ ffmpeg: recorder.ffmpeg, ffprobe: recorder.ffprobe },
      ...{ chromium: recorder.chromium, browserUser: recorder.browserUser },
    },
  };
  const identity = await startHost(folder, spec, { taskToken: '', attempt: 1, renewedAt: Date.now() });
  return {
    identity,
    folder,
    part: join(folder, partFile(1)),
    async stop() {
      await sendCommand(identity, { command: 'stop' });
      if (!(await until(endLimitMs, () => !findHost(folder)))) await killHost(identity);
    },
    async remove() {
      await killHost(identity);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves with true when `condition` holds, with false when it does not within the limit. */
export async function until(limitMs: number, condition: () => boolean): Promise<boolean> {
  const startedAt = performance.now();
  while (!condition()) {
    if (performance.now() - startedAt > limitMs) return false;
    await sleep(pollMs);
  }
  return true;
}
