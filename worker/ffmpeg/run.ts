/** Runs ffmpeg or ffprobe to its end, for work after a recording: bounded in time, abortable, with the tool's own words in the error. */
import { type ChildProcess, spawn } from 'node:child_process';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { strangerEnvironment } from '../../src/config.js';

/** Where the two programs are. */
export interface MediaTools {
  ffmpeg: string;
  ffprobe: string;
}

export interface RunOptions {
  /** The program is killed after this many milliseconds. */
  timeLimitMs: number;
  /** Kills the program; the run then fails with the signal's reason. */
  signal?: AbortSignal;
  /** What it reads from standard input; nothing when left out. An error of it ends the program, and the run fails with it. */
  input?: AsyncIterable<Uint8Array>;
  /** Every line of standard output, without its line end. */
  onLine?: (line: string) => void;
  /** Called every second while the program runs. */
  onBeat?: () => void;
}

/** A tool that did not do its work: could not be started, was too slow, or failed. */
export class ToolError extends Error {
  override name = 'ToolError';
  constructor(
    /** The program, without its folder. */
    readonly tool: string,
    readonly kind: 'not-started' | 'too-slow' | 'killed' | 'failed',
    message: string,
    /** The last 20 lines the tool wrote to standard error. */
    readonly lastLines: string[],
  ) {
    super(lastLines.length > 0 ? `${message}\n${lastLines.join('\n')}` : message);
  }
}

const keptLines = 20;
const keptLineLength = 500;
const beatMs = 1_000;
/** Chunks of an input that are made while the program still works on the one before. */
const readAhead = 3;

interface Child extends ChildProcess {
  stdin: Writable | null;
  stdout: Readable;
  stderr: Readable;
}

/** Answers what was wrong with the input itself; a program that has read enough of it is none of its errors. */
async function feed(child: Child, input: RunOptions['input'], kill: () => void): Promise<Error | null> {
  if (!input || !child.stdin) return null;
  let failed: Error | null = null;
  async function* watched(source: AsyncIterable<Uint8Array>) {
    try {
      yield* source;
    } catch (error) {
      failed = error instanceof Error ? error : new Error(String(error));
      kill();
      throw error;
    }
  }
  await pipeline(Readable.from(watched(input), { highWaterMark: readAhead }), child.stdin).catch(() => {});
  return failed;
}

/** Runs a tool until it ends with status 0. Throws ToolError, or the signal's reason when aborted; nothing is left running. */
export async function runTool(command: string, args: readonly string[], options: RunOptions): Promise<void> {
  options.signal?.throwIfAborted();
  const tool = basename(command);
  // What it reads was recorded from strangers, so it gets none of our addresses and secrets.
  const stdio = [options.input ? ('pipe' as const) : ('ignore' as const), 'pipe' as const, 'pipe' as const];
  const child = spawn(command, args, { stdio, env: strangerEnvironment() }) as Child;
  const lastLines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lastLines.push(line.slice(0, keptLineLength));
    if (lastLines.length > keptLines) lastLines.shift();
  });
  // Read even when nobody listens: a full pipe would stop the tool.
  createInterface({ input: child.stdout }).on('line', (line) => options.onLine?.(line));

  let tooSlow = false;
  const kill = () => child.kill('SIGKILL');
  const fed = feed(child, options.input, kill);
  const limit = setTimeout(() => {
    tooSlow = true;
    kill();
  }, options.timeLimitMs);
  const beat = setInterval(() => options.onBeat?.(), beatMs);
  options.signal?.addEventListener('abort', kill, { once: true });
  try {
    const end = await new Promise<{ code: number | null; signal: string | null; error?: Error }>((resolve) => {
      child.once('error', (error) => resolve({ code: null, signal: null, error }));
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    options.signal?.throwIfAborted();
    const inputError = await fed;
    if (inputError) throw inputError;
    if (end.error) {
      throw new ToolError(
        tool,
        'not-started',
        `${command} could not be started: ${end.error.message}. Is it installed?`,
        [],
      );
    }
    if (tooSlow) {
      const message = `${tool} was not done after ${Math.round(options.timeLimitMs / 1000)} s and was killed.`;
      throw new ToolError(tool, 'too-slow', message, lastLines);
    }
    if (end.signal) {
      // Somebody else's doing, such as the system's when memory ran out: it says nothing about the file.
      throw new ToolError(tool, 'killed', `${tool} was ended by ${end.signal}.`, lastLines);
    }
    if (end.code !== 0) {
      throw new ToolError(tool, 'failed', `${tool} ended with status ${end.code}, expected 0.`, lastLines);
    }
  } finally {
    clearTimeout(limit);
    clearInterval(beat);
    options.signal?.removeEventListener('abort', kill);
  }
}
