/** A process of a benchmark's own that answers requests: what is measured must not share a processor thread with its load. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from '../src/config.js';
import { sendSignal } from '../stack/process-end.js';

/** What a child can be asked, by name: each takes one plain value and answers another. */
export type Handlers = Record<string, (input: never) => unknown>;

interface Request {
  number: number;
  name: string;
  input: unknown;
}
interface Reply {
  number: number;
  output?: unknown;
  error?: string;
}

export interface Child<Of extends Handlers> {
  pid: number;
  /** Rejects with what the child threw, or when it has ended. */
  ask<Name extends keyof Of & string>(
    name: Name,
    input: Parameters<Of[Name]>[0],
  ): Promise<Awaited<ReturnType<Of[Name]>>>;
  /** Kills it and all it started. */
  end(): Promise<void>;
}

/** Starts a module of this folder, which calls `answer`. `settings` replace those of this process. */
export function startChild<Of extends Handlers>(
  module: string,
  settings: Parameters<typeof childEnvironment>[0] = {},
): Child<Of> {
  const file = fileURLToPath(new URL(module, import.meta.url));
  // A process group of its own, so that all of it can be ended.
  const child = fork(file, {
    ...{ execArgv: ['--import', 'tsx'], detached: true },
    env: childEnvironment(settings),
  });
  const waiting = new Map<number, { resolve(output: unknown): void; reject(error: Error): void }>();
  let count = 0;
  child.on('message', ({ number, output, error }: Reply) => {
    const request = waiting.get(number);
    waiting.delete(number);
    if (error === undefined) request?.resolve(output);
    else request?.reject(new Error(error));
  });
  const exited = once(child, 'exit').then(([code, signal]) => {
    for (const { reject } of waiting.values()) reject(new Error(`${module} ended with ${signal ?? code}.`));
    waiting.clear();
  });
  return {
    pid: child.pid as number,
    ask: (name, input) =>
      new Promise((resolve, reject) => {
        const number = ++count;
        waiting.set(number, { resolve: resolve as (output: unknown) => void, reject });
        child.send({ number, name, input } satisfies Request, (error) => error && reject(error));
      }),
    async end() {
      sendSignal(-(child.pid as number), 'SIGKILL');
      await exited;
    },
  };
}

/** In the child: answers requests until its parent goes. */
export function answer(handlers: Handlers): void {
  process.on('message', async ({ number, name, input }: Request) => {
    let reply: Reply;
    try {
      reply = { number, output: await (handlers[name] as (input: unknown) => unknown)(input) };
    } catch (error) {
      reply = { number, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send?.(reply);
  });
  process.on('disconnect', () => process.exit());
}
