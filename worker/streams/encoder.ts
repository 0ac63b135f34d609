/** The ffmpeg that records one part of a live input: started, followed by what it says, stopped in good order or killed. */
import { appendFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { strangerEnvironment } from '../../src/config.js';
import { startChild } from '../capture/child.js';
import { type EncoderProgress, followProgress } from '../ffmpeg/progress.js';

// It hears the first request when the next packet comes; the second at once, but then loses what is not written yet.
const noticeMs = 500;
// Some inputs hang in a read that no request ends; all but the last quarter of a second is in the file by then.
const stopLimitMs = 2_000;
const keptLogLength = 8_192;
// A network that loses packets may have ffmpeg say so for days.
const mostLogBytes = 1_048_576;

export interface StreamEncoder {
  pid: number;
  /**
   * Resolves when it is gone. `orderly`: it closed its file, since it was asked to, or its input ended. `died`: something else
   * ended it.
   */
  exited: Promise<{ orderly: boolean; died: boolean; how: string }>;
  /** The newest report, which it makes when it has read something; null before the first. */
  report(): EncoderProgress | null;
  /** The last it has logged. */
  log(): string;
  /** Asks it to close its file, and kills it when it does not. Resolves when it is gone. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export interface StreamEncoderOptions {
  ffmpeg: string;
  args: string[];
  /** What it reads from; null: nothing. */
  stdin: number | null;
  /** Of the incarnation: its working folder. */
  folder: string;
  part: number;
  /** Called when it has logged something. */
  onLog: () => void;
}

/** In the incarnation's folder. It is read as it grows, rather than that each report wakes the host. */
export const progressFile = (part: number): string => `p${part}.progress`;

/** Throws when the program cannot be started. */
export async function startStreamEncoder(options: StreamEncoderOptions): Promise<StreamEncoder> {
  const { folder, part, onLog } = options;
  const logFile = join(folder, `p${part}.log`);
  const child = await startChild({
    command: options.ffmpeg,
    args: options.args,
    cwd: folder,
    user: null,
    env: strangerEnvironment(),
    stdio: [options.stdin ?? 'ignore', 'ignore', 'pipe'],
  });
  const { stderr } = child.process as { stderr: Readable };
  const progress = followProgress(join(folder, progressFile(part)));
  let log = '';
  stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-keptLogLength);
    keepLog(logFile, text);
    onLog();
  });
  let asked = false;
  const closed = new Promise<void>((resolve) => child.process.once('close', () => resolve()));
  const exited = Promise.all([child.exited, closed]).then(([{ code, signal }]) => ({
    // 255 is how ffmpeg says that a signal ended it; the file is closed properly.
    orderly: code === 0 || (asked && (code === 255 || signal === 'SIGINT')),
    died: signal !== null && !asked,
    how: signal ?? `status ${code}`,
  }));
  return {
    pid: child.pid,
    exited,
    report: () => progress.read(),
    log: () => log,
    async stop() {
      asked = true;
      child.process.kill('SIGINT');
      await Promise.race([sleep(noticeMs), exited]);
      await child.stop('SIGINT', stopLimitMs);
      await exited;
    },
    async kill() {
      await child.stop('SIGKILL', 0);
      await exited;
    },
  };
}

function keepLog(file: string, text: string): void {
  try {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > mostLogBytes) truncateSync(file);
    appendFileSync(file, text);
  } catch {
    // A disk without room for a line has none for media either, which says it better.
  }
}
