/** A replica of the API inside the test process, so that a test sees what it holds and what it asks the database. */
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { pino } from 'pino';
import { inject } from 'vitest';
import { createAuthenticator } from '../../src/auth/authenticate.js';
import { createRoomAdmissions } from '../../src/auth/room-admissions.js';
import { createRoomTokens } from '../../src/auth/room-tokens.js';
import { createSigner } from '../../src/auth/signing.js';
import { type Config, mediaServerIfAny } from '../../src/config.js';
import { type Feed, startFeed } from '../../src/events/feed.js';
import type { Follow } from '../../src/events/latest-values.js';
import { PrismaClient } from '../../src/generated/prisma/client.js';
import { createStreamKeeper } from '../../src/http/stream-keeper.js';
import { installationEpoch } from '../../src/installation.js';
import { createMediaLink } from '../../src/media/media-link.js';
import { startServer } from '../../src/server.js';
import { createServices } from '../../src/services/services.js';
import { openStorage } from '../../src/storage/open.js';
import { createEngine, createTemporalClient } from '../../src/temporal/client.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';

export interface Replica {
  /** Of the API, without a trailing slash. */
  url: string;
  /** How many different subscriptions are followed. */
  readonly followed: number;
  /** Streams and sockets that are counted against their keys. */
  readonly kept: number;
  /** Statements it sent to the database, those of its feed and about keys left out. A test may empty it. */
  statements: string[];
  /** What it logged, as JSON. */
  readonly logged: readonly string[];
  /** Resolves when the database was found to be older than before. */
  rewound: Promise<void>;
  close(): Promise<void>;
}

/** Resolves when it is ready. It has a feed, a pool and followers of its own, as every replica. */
export async function startReplica(databaseUrl: string, settings: Partial<Config> = {}): Promise<Replica> {
  const { dataDir, remove } = temporaryDataFolder();
  const isolated = isolatedConfig(dataDir);
  const config = {
    ...isolated,
    ...settings,
    temporal: { ...isolated.temporal, address: inject('stack').temporalAddress },
  };
  const logged: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) });

  const statements: string[] = [];
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10, connectionTimeoutMillis: 5_000 });
  // Prisma tells of a statement some time after it was answered: too late to count those of one event.
  pool.on('connect', (connection) => record(connection, statements));
  const database = new PrismaClient({ adapter: new PrismaPg(pool, { disposeExternalPool: true }) });

  const client = createTemporalClient(config);
  const authenticator = createAuthenticator(database);
  const streams = createStreamKeeper({ authenticator, connectionsPerKey: config.connectionsPerKey, log });
  let rewind: () => void = () => {};
  const rewound = new Promise<void>((resolve) => {
    rewind = resolve;
  });
  const feed = startFeed({ url: databaseUrl, db: database, log, onKeysChange: streams.recheck, onRewound: rewind });
  const counts = { followed: 0, kept: 0 };
  const counted = countFollowed(feed, counts);
  const roomTokens = createRoomTokens(database);
  const mediaServer = mediaServerIfAny(config);
  const media = createMediaLink({ address: mediaServer, log });
  const services = createServices({
    ...{ config, db: database, roomTokens, media, feed: counted, log },
    engine: createEngine(client),
    storage: openStorage(config).files,
    signer: createSigner(database),
    epoch: await installationEpoch(database),
  });
  const server = await startServer({
    ...{ config, database, services, authenticator, log },
    streams: {
      ...streams,
      keep(token, viewer, end) {
        const release = streams.keep(token, viewer, end);
        return release && counting(counts, 'kept', release);
      },
    },
    bus: counted.bus,
    signalling: { address: mediaServer, media, tokens: roomTokens, admissions: createRoomAdmissions(database) },
    readiness: async () => ({ status: 'ready', database: true, events: feed.healthy, engine: true }),
  });
  await feed.ready;

  return {
    ...{ url: `http://127.0.0.1:${server.port}`, statements, logged, rewound },
    get followed() {
      return counts.followed;
    },
    get kept() {
      return counts.kept;
    },
    async close() {
      await server.close();
      await media.close();
      await feed.close();
      await client.connection.close();
      await database.$disconnect();
      remove();
    },
  };
}

function record(connection: pg.PoolClient, statements: string[]): void {
  const query = connection.query.bind(connection) as (...args: unknown[]) => unknown;
  const recorded = (statement: string | { text: string }, ...others: unknown[]) => {
    const text = typeof statement === 'string' ? statement : statement.text;
    // Keys are looked at every few seconds whatever is followed.
    if (!text.includes('"api_key"')) statements.push(text);
    return query(statement, ...others);
  };
  Object.assign(connection, { query: recorded });
}

interface Counts {
  followed: number;
  kept: number;
}

/** Every cohort follows one topic of the bus, or one subject of the statistics. */
function countFollowed(feed: Feed, counts: Counts): Feed {
  const { bus, stats } = feed;
  const countedFollow =
    <Value>(follow: Follow<Value>): Follow<Value> =>
    (onValue, onEnd) =>
      counting(counts, 'followed', follow(onValue, onEnd));
  return {
    ...feed,
    bus: {
      ...bus,
      subscribe: (topic, onEvents) => counting(counts, 'followed', bus.subscribe(topic, onEvents)),
    },
    stats: {
      ...stats,
      job: (jobId) => countedFollow(stats.job(jobId)),
      active: (scope) => countedFollow(stats.active(scope)),
      session: (sessionId) => countedFollow(stats.session(sessionId)),
    },
  };
}

/** Counts something until it is released, which may be done twice. */
function counting(counts: Counts, what: keyof Counts, release: () => void): () => void {
  let held = true;
  counts[what]++;
  return () => {
    if (held) counts[what]--;
    held = false;
    release();
  };
}
