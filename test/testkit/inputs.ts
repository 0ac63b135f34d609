/** Reading an input as recorders do, with a plain ffmpeg that copies what comes to a Matroska file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { EgressPolicy } from '../../src/jobs/capture.js';
import type { RecordingInput } from '../../src/recordings/config.js';
import { openInput } from '../../worker/streams/input.js';
import type { InputOptions, OpenInput } from '../../worker/streams/open-input.js';
import { recordingOf } from './recording-config.js';

/** This machine, and groups on it, play the open internet. */
export const openPolicy: EgressPolicy = {
  allowedNetworks: ['127.0.0.0/8', '239.0.0.0/8'],
  allowedHosts: [],
  deniedPorts: [],
};

export interface Reading {
  input: OpenInput;
  process: ChildProcess;
  file: string;
  /** Of what the gate refused. */
  refused: string[];
  notes: string[];
  ended: Promise<number | null>;
  /** ffmpeg's log, and of what stands in front of it. */
  log(): string;
  bytes(): number;
  /** Resolves when so much of it was written. */
  written(seconds: number): Promise<void>;
  /** Lets ffmpeg close its file. */
  stop(): Promise<void>;
}

/** Opens it and starts ffmpeg. Both are gone after the test. */
export async function readInput(
  given: Partial<RecordingInput> & Pick<RecordingInput, 'type'>,
  { maps = ['0:v?', '0:a?'], ...more }: Partial<InputOptions> & { maps?: string[] } = {},
): Promise<Reading> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-input-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const refused: string[] = [];
  const notes: string[] = [];
  const input = await openInput({
    ...{ recording: recordingOf({ input: given }), listenAddress: '127.0.0.1', egress: openPolicy, folder, part: 1 },
    ...{ note: (text: string) => void notes.push(text), onRefused: (text: string) => void refused.push(text) },
    ...{ tools: { ffmpeg: 'ffmpeg' }, mediaServer: null, signal: new AbortController().signal },
    ...more,
  });
  onTestFinished(() => input.close());
  const file = join(folder, 'p1.mkv');
  const logFile = join(folder, 'p1.log');
  const progressFile = join(folder, 'p1.progress');
  const log = openSync(logFile, 'w');
  const filter = input.pictureFilter ? ['-bsf:v', input.pictureFilter] : [];
  const process = spawn(
    'ffmpeg',
    [
      ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'info', '-y', '-progress', `file:${progressFile}`],
      ...['-stats_period', '0.2', ...input.args, ...maps.flatMap((map) => ['-map', map]), '-c', 'copy', ...filter],
      ...['-f', 'matroska', '-cluster_time_limit', '250', '-flush_packets', '1', file],
    ],
    { stdio: [input.stdin ?? 'ignore', 'ignore', log] },
  );
  closeSync(log);
  onTestFinished(() => void process.kill('SIGKILL'));
  const ended = once(process, 'exit').then(([code]) => code as number | null);
  await once(process, 'spawn');
  const begun = input.begun?.(process.pid as number);
  const read = (name: string) => {
    try {
      return readFileSync(name, 'utf8');
    } catch {
      return '';
    }
  };
  const reading: Reading = {
    ...{ input, process, file, refused, notes, ended },
    log: () => `${read(logFile)}\n${input.log()}`,
    bytes: () => statSync(file, { throwIfNoEntry: false })?.size ?? 0,
    async written(seconds) {
      for (;;) {
        const times = [...read(progressFile).matchAll(/^out_time_us=(\d+)$/gm)];
        if (Number(times.at(-1)?.[1] ?? 0) >= seconds * 1e6) return;
        if (process.exitCode !== null) throw new Error(`ffmpeg has ended.\n${reading.log()}`);
        await sleep(50);
      }
    },
    async stop() {
      process.kill('SIGINT');
      await Promise.race([ended, sleep(1_000)]);
      await input.close();
      const late = setTimeout(() => process.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(late);
    },
  };
  await begun;
  return reading;
}
