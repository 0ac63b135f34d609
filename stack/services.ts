/** Our own processes, as the supervisor runs them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessSpec } from './supervisor.js';

export const serviceNames = ['api', 'jobs', 'recorder', 'rooms'] as const;
export type ServiceName = (typeof serviceNames)[number];

const readyPollMs = 100;

const scripts: Record<ServiceName, string[]> = {
  api: ['src/main.ts'],
  jobs: ['worker/main.ts', '--role', 'jobs'],
  recorder: ['worker/main.ts', '--role', 'recorder'],
  rooms: ['worker/main.ts', '--role', 'rooms'],
};

/** `url`: where the API answers. */
export function serviceSpec(name: ServiceName, projectRoot: string, env: NodeJS.ProcessEnv, url: string): ProcessSpec {
  return {
    name,
    command: async () => ({
      file: process.execPath,
      args: ['--import', 'tsx', ...scripts[name]],
      env,
    }),
    cwd: projectRoot,
    ipc: true,
    ready: name === 'api' ? (died) => untilAnswer(`${url}/ready`, died) : 'message',
    // A recorder that is only terminated leaves its hosts recording; with the whole stack they close their parts first.
    stop: name === 'recorder' ? { type: 'suspend' } : 'SIGTERM',
    stopLimitMs: name === 'recorder' ? 20_000 : 10_000,
  };
}

async function untilAnswer(url: string, died: AbortSignal): Promise<void> {
  while (!died.aborted) {
    const answer = await fetch(url, { signal: died }).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return;
    await sleep(readyPollMs, undefined, { signal: died }).catch(() => {});
  }
}
