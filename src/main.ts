/** The API process. */
import { createAuthenticator } from './auth/authenticate.js';
import { ensureDevelopmentKey } from './auth/development.js';
import { createSigner } from './auth/signing.js';
import { loadConfig, requireDatabaseUrl } from './config.js';
import { createDatabase } from './db.js';
import { startFeed } from './events/feed.js';
import { createReadiness } from './http/readiness.js';
import { createStreamKeeper } from './http/stream-keeper.js';
import { adoptRestoredEvents, announceStorage, installationEpoch } from './installation.js';
import { createLogger } from './logger.js';
import { startServer } from './server.js';
import { createServices } from './services/services.js';
import { storageIdentity } from './storage/identity.js';
import { openStorage } from './storage/open.js';
import { endWithSupervisor, sayReady } from './supervised.js';
import { createEngine, createTemporalClient } from './temporal/client.js';

const config = loadConfig();
const log = createLogger(config, 'api');
const url = requireDatabaseUrl(config);
const database = createDatabase(url);
const client = createTemporalClient(config);
const authenticator = createAuthenticator(database);
const streams = createStreamKeeper({ authenticator, connectionsPerKey: config.connectionsPerKey, log });
await adoptRestoredEvents(database, log);
const feed = startFeed({
  url,
  db: database,
  log,
  onKeysChange: () => streams.recheck(),
  // Whoever follows something connects again, and is given the state as it is now.
  onRewound: () => process.exit(1),
});

await ensureDevelopmentKey(database, config);
await announceStorage(database, storageIdentity(config));
const services = createServices({
  config,
  db: database,
  engine: createEngine(client),
  storage: openStorage(config).files,
  signer: createSigner(database),
  feed,
  epoch: await installationEpoch(database),
});
const readiness = createReadiness({
  database,
  feed,
  checkEngine: () => client.withDeadline(Date.now() + 2_000, () => client.workflowService.getSystemInfo({})),
});
const server = await startServer({ config, database, services, authenticator, streams, bus: feed.bus, readiness, log });
await feed.ready;

endWithSupervisor(async () => {
  await server.close();
  await feed.close();
  await client.connection.close();
  await database.$disconnect();
});
sayReady();
log.info({ url: config.publicUrl, port: server.port }, 'ready');
