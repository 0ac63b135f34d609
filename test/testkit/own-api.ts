/** An API process of a test's own, with its own settings, on a database of the shared stack's server. */
import { inject } from 'vitest';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type StackOptions, startStack } from '../../stack/stack.js';

export interface OwnApi {
  url: string;
  /** Kills the process with SIGKILL; another one takes its place, on the same port. Resolves when it is gone. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** `databaseUrl` must not be that of the shared stack, whose recorders would miss their storage: see ownDatabase. */
export async function startOwnApi(databaseUrl: string, settings: StackOptions['settings'] = {}): Promise<OwnApi> {
  const { dataDir, remove } = temporaryDataFolder();
  const config = isolatedConfig(dataDir);
  const { url, kill, stop } = await startStack({
    config: { ...config, databaseUrl, temporal: { ...config.temporal, address: inject('stack').temporalAddress } },
    settings,
    services: ['api'],
    log: () => {},
  });
  return {
    url,
    kill: () => kill('api', 'SIGKILL'),
    async stop() {
      await stop();
      remove();
    },
  };
}
