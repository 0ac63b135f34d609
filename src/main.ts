/** The API process. */
import { createAuthenticator } from './auth/authenticate.js';
import { ensureDevelopmentKey } from './auth/development.js';
import { createRoomAdmissions } from './auth/room-admissions.js';
import { createRoomTokens } from './auth/room-tokens.js';
import { createSigner } from './auth/signing.js';
import { loadConfig, mediaServerIfAny, requireDatabaseUrl } from './config.js';
import { createDatabase } from './db.js';
import { startFeed } from './events/feed.js';
import { createReadiness } from './http/readiness.js';
import { createStreamKeeper } from './http/stream-keeper.js';
import { adoptRestoredEvents, announceStorage, installationEpoch } from './installation.js';
import { createLogger } from './logger.js';
import { createMediaLink } from './media/media-link.js';
import { startServer } from './server.js';
import { createServices } from './services/services.js';
import { storageIdentity } from './storage/identity.js';
import { openStorage } from './storage/open.js';
import { endWithSupervisor, neverOutliveSupervisor, sayReady } from './supervised.js';
import { createEngine, createTemporalClient } from './temporal/client.js';

neverOutliveSupervisor();
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
const roomTokens = createRoomTokens(database);
const mediaServer = mediaServerIfAny(config);
const media = createMediaLink({ address: mediaServer, log });
const services = createServices({
  config,
  db: database,
  engine: createEngine(client),
  storage: openStorage(config).files,
  signer: createSigner(database),
  ...{ roomTokens, media, feed, log },
  epoch: await installationEpoch(database),
});
const readiness = createReadiness({
  database,
  feed,
  checkEngine: () => client.withDeadline(Date.now() + 2_000, () => client.workflowService.getSystemInfo({})),
});
const server = await startServer({
  ...{ config, database, services, authenticator, streams, readiness, log },
  bus: feed.bus,
  signalling: { address: mediaServer, media, tokens: roomTokens, admissions: createRoomAdmissions(database) },
});
await feed.ready;

endWithSupervisor(async () => {
  await server.close();
  await media.close();
  await feed.close();
  await client.connection.close();
  await database.$disconnect();
});
sayReady();
log.info({ url: config.publicUrl, port: server.port }, 'ready');
