/** The stack all tests share: its own data folder and ports, started before the first test and stopped after the last. */
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import type { MediaServerAddress } from '../../src/config.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { startStack } from '../../stack/stack.js';

/** What tests get with `inject('stack')`. */
export interface SharedStack {
  /** Of the API, without a trailing slash. */
  url: string;
  apiKey: string;
  databaseUrl: string;
  temporalAddress: string;
  dataDir: string;
  mediaServer: MediaServerAddress;
}

declare module 'vitest' {
  interface ProvidedContext {
    stack: SharedStack;
  }
}

const shownLines = 100;

interface Running {
  provided: SharedStack;
  stop(hasFailed: boolean): Promise<void>;
}
interface Shared {
  running: Promise<Running>;
  users: number;
}
// Each project of tests calls this, in a module of its own: what they share is where all of them find it.
const shared = globalThis as { [key: symbol]: Shared | undefined };
const place = Symbol.for('tapedeck.stack');

export default async function shareStack(project: TestProject): Promise<() => Promise<void>> {
  shared[place] ??= { running: startSharedStack(), users: 0 };
  const own = shared[place];
  own.users++;
  const running = await own.running;
  project.provide('stack', running.provided);
  return async () => {
    own.users--;
    if (own.users > 0) return;
    shared[place] = undefined;
    await running.stop(project.vitest.state.getCountOfFailedTests() > 0);
  };
}

async function startSharedStack(): Promise<Running> {
  const { dataDir, remove } = temporaryDataFolder();
  const logFile = join(dataDir, 'stack.log');
  const file = createWriteStream(logFile);
  const closed = () => new Promise((resolve) => file.end(resolve));
  try {
    const stack = await startStack({
      config: isolatedConfig(dataDir),
      // Nobody comes back in tests that wait for the end of a session; three small captures at once are the most.
      settings: { SESSION_GRACE_SECONDS: '5', RECORDER_SLOTS: '3' },
      log: (line) => file.write(`${line}\n`),
    });
    const { url, apiKey, databaseUrl, temporalAddress, mediaServer } = stack;
    return {
      provided: { url, apiKey, databaseUrl, temporalAddress, dataDir, mediaServer },
      async stop(hasFailed) {
        await stack.stop();
        await closed();
        if (hasFailed) console.error(`The log of the stack is kept in ${logFile}`);
        else remove();
      },
    };
  } catch (error) {
    await closed();
    console.error(readFileSync(logFile, 'utf8').split('\n').slice(-shownLines).join('\n'));
    remove();
    throw error;
  }
}
