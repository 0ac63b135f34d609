/** A stack of its own for tests and the demo: nothing is shared with the one a developer may have running. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../src/config.js';
import { claimInputPorts } from './input-ports.js';

/** Embedded servers, free ports and no bucket, whatever the settings say, in the given data folder. */
export function isolatedConfig(dataDir: string): Config {
  const config = loadConfig();
  return {
    ...config,
    development: true,
    dataDir,
    host: '127.0.0.1',
    port: 0,
    databaseUrl: undefined,
    postgresPort: 0,
    s3: null,
    temporal: { ...config.temporal, address: undefined, namespace: 'default', port: 0, uiPort: 0 },
    media: {
      ...config.media,
      ...{ url: undefined, apiSecret: undefined, adminKey: undefined },
      ...{ port: 0, eventsPort: 0, rtmpPort: 0, srtPort: 0 },
    },
    inputs: { ...config.inputs, address: '127.0.0.1', host: undefined, ports: claimInputPorts() },
    ingest: { secret: undefined, rtspPort: 0, apiPort: 0, authPort: 0 },
  };
}

/** A new data folder below the system's temporary one, and what removes it again. */
export function temporaryDataFolder(): { dataDir: string; remove(): void } {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapedeck-'));
  // As root, the users that Postgres and browsers run as must get through.
  chmodSync(dataDir, 0o711);
  return { dataDir, remove: () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 }) };
}
