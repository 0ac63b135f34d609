/** Keeps one process running: starts it, waits until it is ready, starts it again when it dies, and ends it when asked. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from './log.js';
import { sendSignal } from './process-end.js';

export interface ProcessSpec {
  name: string;
  /** Called before every start, so that it can clear up what the last life left behind. */
  command(): Promise<{ file: string; args: string[]; env: NodeJS.ProcessEnv }>;
  cwd: string;
  /** Whether it has an IPC channel to the stack: it sends `ready`, may be sent requests, and ends when the channel closes. */
  ipc: boolean;
  /** Resolves when the process is of use. `'message'`: the process sends `{ type: 'ready' }` over its IPC channel. */
  ready: 'message' | ((died: AbortSignal) => Promise<void>);
  /** What asks the process to end: a signal, or an IPC message. */
  stop: NodeJS.Signals | { type: string };
  /** After this many milliseconds of being asked, its process group is killed. */
  stopLimitMs: number;
}

export interface SupervisedProcess {
  readonly name: string;
  /** Of the process that runs now; undefined between two lives. */
  readonly pid: number | undefined;
  /** Resolves when the process that runs now, or the next one, is ready. Rejects when the first start fails for good. */
  ready(): Promise<void>;
  /** Sends a signal to the process; resolves when that process is gone, which for some signals is never. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Asks it to end, waits, kills it at the limit. It is not started again. */
  stop(): Promise<void>;
  /** Kills its process group at once. It is not started again. */
  abort(): void;
}

/** The first start failed for good. */
export class ProcessFailedError extends Error {
  override name = 'ProcessFailedError';
}

const firstRestartMs = 250;
const slowestRestartMs = 10_000;
/** A life this long counts as health: the next death is a new story. */
const healthyLifeMs = 30_000;
/** As many deaths before it was ever ready are no accident. Postgres may need three after a crash, for 1.75 s. */
const startAttempts = 4;
const keptLines = 20;
const lastWordsMs = 500;

/** Starts the process and supervises it until `stop` or `abort`. `onStart` is told each new process. */
export function supervise(spec: ProcessSpec, log: Log, onStart: (pid: number) => void = () => {}): SupervisedProcess {
  let child: ChildProcess | undefined;
  let ended = Promise.resolve();
  let wasReady = false;
  let earlyDeaths = 0;
  const stopping = new AbortController();
  const lastLines: string[] = [];
  let ready = pending();
  let untilGone = Promise.resolve();

  function hear(text: string) {
    lastLines.push(text);
    if (lastLines.length > keptLines) lastLines.shift();
    log(spec.name, text);
  }

  async function live(): Promise<void> {
    while (!stopping.signal.aborted) {
      const startedAt = Date.now();
      const end = await runOnce().catch((error: Error) => {
        hear(error.message);
        return 'could not be started';
      });
      if (stopping.signal.aborted) return;
      earlyDeaths = Date.now() - startedAt < healthyLifeMs ? earlyDeaths + 1 : 1;
      if (!wasReady && earlyDeaths >= startAttempts) {
        return ready.reject(
          new ProcessFailedError(`${spec.name} does not start: it ${end}. Its last words:\n${lastLines.join('\n')}`),
        );
      }
      const restartMs = Math.min(firstRestartMs * 2 ** (earlyDeaths - 1), slowestRestartMs);
      const again = earlyDeaths > 1 ? `, ${earlyDeaths} times in a row soon after its start` : '';
      log('stack', `${spec.name} ${end}${again}; it is started again in ${restartMs} ms`);
      await sleep(restartMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  /** One life; answers how it ended. */
  async function runOnce(): Promise<string> {
    const { file, args, env } = await spec.command();
    if (stopping.signal.aborted) return 'was not started';
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...(spec.ipc ? (['ipc'] as const) : [])];
    // A process group of its own: Ctrl-C in a terminal reaches the stack alone, which then ends all in order.
    const process = spawn(file, args, { cwd: spec.cwd, env, detached: true, stdio });
    const died = new AbortController();
    const end = new Promise<string>((resolve) => {
      process.once('error', (error) => resolve(`could not be started: ${error.message}`));
      process.once('exit', (code, signal) =>
        resolve(signal ? `was ended by ${signal}` : `ended with exit code ${code}`),
      );
    });
    for (const stream of [process.stdout, process.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', hear);
    }
    child = process;
    const gone = pending();
    untilGone = gone.promise;
    if (process.pid) onStart(process.pid);
    const becameReady = spec.ready === 'message' ? readyMessage(process) : spec.ready(died.signal);
    const mine = ready;
    becameReady.then(
      () => {
        // Whoever waits for it stops waiting when it dies, too.
        if (died.signal.aborted) return;
        wasReady = true;
        mine.resolve();
      },
      (error: Error) => died.signal.aborted || hear(error.message),
    );
    const closed = new Promise((resolve) => process.once('close', resolve));
    const how = await end;
    died.abort();
    child = undefined;
    if (wasReady) ready = pending();
    gone.resolve();
    // Its last words may still be on their way; a descendant that keeps the pipes open must not hold us up.
    await Promise.race([closed, sleep(lastWordsMs)]);
    return how;
  }

  function readyMessage(process: ChildProcess): Promise<void> {
    return new Promise((resolve) => {
      process.on('message', (message: { type?: string }) => {
        if (message?.type === 'ready') resolve();
      });
    });
  }

  function killGroup() {
    if (child?.pid) sendSignal(-child.pid, 'SIGKILL');
  }

  ended = live();

  return {
    name: spec.name,
    get pid() {
      return child?.pid;
    },
    ready: () => ready.promise,
    kill(signal) {
      if (child?.pid) sendSignal(child.pid, signal);
      return untilGone;
    },
    async stop() {
      stopping.abort();
      if (child?.pid) {
        if (typeof spec.stop === 'string') sendSignal(child.pid, spec.stop);
        else if (child.connected) child.send(spec.stop, () => {});
        else sendSignal(child.pid, 'SIGTERM');
      }
      const limit = setTimeout(() => {
        log('stack', `${spec.name} did not end within ${spec.stopLimitMs / 1000} s; it is killed`);
        killGroup();
      }, spec.stopLimitMs);
      await ended;
      clearTimeout(limit);
    },
    abort() {
      stopping.abort();
      killGroup();
    },
  };
}

function pending() {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // Nobody may be waiting when it fails.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
