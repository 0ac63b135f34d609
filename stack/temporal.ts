/** The embedded engine: Temporal's development server, run by the supervisor. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { type Config, strangerEnvironment } from '../src/config.js';
import type { ProcessSpec } from './supervisor.js';

/** The embedded engine cannot be run here; the message says what to do. */
export class TemporalUnavailableError extends Error {
  override name = 'TemporalUnavailableError';
}

const readyPollMs = 100;
const shutdownMs = 10_000;
/**
 * So long a client may say nothing before it is asked whether it is there, and take to answer. By default that is a minute: for so
 * long what a machine that was cut off had asked for is still given to it, and each time counts as taken.
 */
const clientSilence = '5s';

/** Throws TemporalUnavailableError when there is no working CLI. */
export function prepareTemporal(config: Config, port: number, uiPort: number): { address: string; spec: ProcessSpec } {
  const { cliPath, namespace } = config.temporal;
  const cli = cliPath ?? cliFoundBySetup(config.projectRoot);
  const folder = join(config.dataDir, 'temporal');
  mkdirSync(folder, { recursive: true });
  const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)];
  // The schema is made with the file and never changed: another server version gets a file of its own.
  args.push(
    '--db-filename',
    join(folder, `${serverVersion(cli)}.db`),
    '--namespace',
    namespace,
    '--log-level',
    'error',
    ...['keepAliveTime', 'keepAliveTimeout'].flatMap((setting) => [
      '--dynamic-config-value',
      `frontend.${setting}="${clientSilence}"`,
    ]),
  );
  const address = `127.0.0.1:${port}`;
  return {
    address,
    spec: {
      name: 'temporal',
      // The kernel ends it when the stack is killed: no server is left behind.
      command: async () => ({
        file: 'setpriv',
        args: ['--pdeathsig', 'TERM', cli, ...args],
        env: strangerEnvironment({ HOME: folder }),
      }),
      cwd: config.projectRoot,
      ipc: false,
      ready: (died) => untilNamespace(address, namespace, died),
      stop: 'SIGTERM',
      stopLimitMs: shutdownMs,
    },
  };
}

function cliFoundBySetup(projectRoot: string): string {
  const note = join(projectRoot, 'build', 'temporal-cli');
  if (existsSync(note)) return readFileSync(note, 'utf8').trim();
  throw new TemporalUnavailableError(
    'The Temporal CLI has not been looked for yet. Run `npm run setup`, or set TEMPORAL_CLI_PATH to its file, or TEMPORAL_ADDRESS to a server of yours.',
  );
}

function serverVersion(cli: string): string {
  const { stdout, error } = spawnSync(cli, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  const [, version] = /Server (\d[\w.-]*)/.exec(stdout ?? '') ?? [];
  if (version) return version;
  throw new TemporalUnavailableError(
    `${cli} is no working Temporal CLI (${error?.message ?? 'it does not tell its version'}). Run \`npm run setup\`, or set TEMPORAL_CLI_PATH to one that works.`,
  );
}

async function untilNamespace(address: string, namespace: string, died: AbortSignal): Promise<void> {
  while (!died.aborted) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 2_000 });
      try {
        await connection.workflowService.describeNamespace({ namespace });
        return;
      } finally {
        await connection.close();
      }
    } catch {
      await sleep(readyPollMs, undefined, { signal: died }).catch(() => {});
    }
  }
}
