/** The encoder process of one part: started, followed by the files it writes, stopped in good order or killed. */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { partFile } from '../../src/jobs/capture.js';
import { startChild } from '../capture/child.js';
import { followActivity } from '../capture/liveness.js';
import { type CaptureInput, captureEnvironment, pagePartArguments } from './command.js';
import { anchorFromLog, type EncoderProgress, followProgress } from './progress.js';

// It answers SIGINT in about 0.1 s, on a machine with too much to do in seconds.
export const stopLimitMs = 10_000;
// One that was asked to end and then does nothing at all is blocked by a device, or was stopped.
const idleLimitMs = 1_000;
const idleLookMs = 200;

export interface EncoderExit {
  /** It was asked to end, or reached its limit, and closed its file. */
  orderly: boolean;
  /** Such as `status 1` or `SIGKILL`. */
  how: string;
}

export interface Encoder {
  pid: number;
  /** Epoch milliseconds. */
  startedAt: number;
  exited: Promise<EncoderExit>;
  /** The newest report, null before the first. */
  progress(): EncoderProgress | null;
  /** Wall clock (epoch ms) of media time zero, null before the devices are open. */
  anchor(): number | null;
  bytes(): number;
  /** The last lines it logged. */
  lastWords(): string;
  /** For how long it has used no processor and waited for none, as far as the calls of this function saw. */
  idleMs(): number;
  /** Asks it to close its file and kills it after `limitMs`, or once it has been idle for 1 s. Resolves when it is gone. */
  stop(limitMs: number): Promise<EncoderExit>;
  /** Ends it at once. Resolves when it is gone. */
  kill(): Promise<EncoderExit>;
}

export interface EncoderOptions {
  ffmpeg: string;
  input: CaptureInput;
  /** Folder of the incarnation; `p<n>.mkv`, `p<n>.progress` and `p<n>.log` are written there. */
  folder: string;
  part: number;
  limitMs: number;
  /** A folder the sound client may use as its home. */
  home: string;
  /** UDP port on 127.0.0.1 that it is sent to as RTP too; null: nowhere. */
  rtpPort: number | null;
}

/** Starts recording a part. Throws when the program cannot be started. */
export async function startEncoder(options: EncoderOptions): Promise<Encoder> {
  const { input, folder, part } = options;
  const file = join(folder, partFile(part));
  const progressFile = join(folder, `p${part}.progress`);
  const logFile = join(folder, `p${part}.log`);
  const startedAt = Date.now();
  const log = openSync(logFile, 'a');
  const child = await startChild({
    command: options.ffmpeg,
    args: pagePartArguments(input, {
      ...{ file: partFile(part), progressFile, limitMs: options.limitMs, rtpPort: options.rtpPort },
    }),
    cwd: folder,
    user: null,
    env: captureEnvironment(input, options.home),
    stdio: ['ignore', log, log],
  }).finally(() => closeSync(log));

  const progress = followProgress(progressFile);
  const { idleMs } = followActivity(child.pid);
  let asked = false;
  let anchor: number | null = null;
  const exited = child.exited.then(({ code, signal }): EncoderExit => {
    // 255 is how ffmpeg says that a signal ended it; the file is closed properly.
    return { orderly: code === 0 || (asked && (code === 255 || signal === 'SIGINT')), how: signal ?? `status ${code}` };
  });
  const end = async (signal: NodeJS.Signals, limitMs: number) => {
    asked ||= signal === 'SIGINT';
    const { idleMs } = followActivity(child.pid);
    const look = setInterval(() => {
      if (idleMs() >= idleLimitMs) child.process.kill('SIGKILL');
    }, idleLookMs);
    await child.stop(signal, limitMs);
    clearInterval(look);
    return exited;
  };
  return {
    pid: child.pid,
    startedAt,
    exited,
    progress: () => progress.read(),
    anchor: () => {
      anchor ??= anchorFromLog(readLog(logFile));
      return anchor;
    },
    bytes: () => statSync(file, { throwIfNoEntry: false })?.size ?? 0,
    lastWords: () => readLog(logFile).trimEnd().split('\n').slice(-5).join('\n'),
    idleMs,
    stop: (limitMs) => end('SIGINT', limitMs),
    kill: () => end('SIGKILL', 0),
  };
}

function readLog(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
