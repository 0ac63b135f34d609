/** The API process over an embedded Postgres, and nothing else, for what measures it. */

import { developmentProjectId } from '../src/auth/development.js';
import type { Config } from '../src/config.js';
import { createDatabase, type Database } from '../src/db.js';
import { isolatedConfig, temporaryDataFolder } from '../stack/isolated.js';
import { startStack } from '../stack/stack.js';

export interface ApiStack {
  /** Of GraphQL over HTTP, and over WebSocket. */
  url: string;
  socketUrl: string;
  apiKey: string;
  /** The project of the key. */
  projectId: string;
  databaseUrl: string;
  /** For whoever writes load. */
  db: Database;
  apiPid: number;
  postgresPid: number;
  stop(): Promise<void>;
}

// Nothing listens on port 9.
const noEngine = '127.0.0.1:9';
const writers = 4;
const shownLines = 30;

/** Where nothing that is measured needs the engine: the API serves without it. */
export function configWithoutEngine(dataDir: string): Config {
  const isolated = isolatedConfig(dataDir);
  return { ...isolated, temporal: { ...isolated.temporal, address: noEngine } };
}

/** Rejects, with the last lines that were logged on stderr, when something does not start. */
export async function startApiStack(): Promise<ApiStack> {
  const { dataDir, remove } = temporaryDataFolder();
  const lines: string[] = [];
  try {
    const config = configWithoutEngine(dataDir);
    const stack = await startStack({ config, services: ['api'], log: (line) => lines.push(line) });
    const db = createDatabase(stack.databaseUrl, writers);
    return {
      url: `${stack.url}/graphql`,
      socketUrl: `${stack.url.replace('http', 'ws')}/graphql`,
      apiKey: stack.apiKey,
      projectId: developmentProjectId,
      databaseUrl: stack.databaseUrl,
      db,
      apiPid: stack.pid('api'),
      postgresPid: stack.pid('postgres'),
      async stop() {
        await db.$disconnect();
        await stack.stop();
        remove();
      },
    };
  } catch (error) {
    console.error(lines.slice(-shownLines).join('\n'));
    remove();
    throw error;
  }
}
