/** The connection to Postgres. */
import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from './generated/prisma/client.js';

export type Database = PrismaClient;
/** A database or an open transaction. */
export type Transaction = Omit<Database, '$connect' | '$disconnect' | '$on' | '$transaction' | '$extends'>;

/** A pool of at most `max` connections, opened when first used. */
export function createDatabase(url: string, max = 10): Database {
  return new PrismaClient({
    adapter: new PrismaPg({
      connectionString: url,
      max,
      // pg waits for ever by default; a request that cannot have a connection in 5 s should fail and say so.
      connectionTimeoutMillis: 5_000,
      // Nor should one wait for a connection that has gone silent until TCP gives it up, which takes a quarter of an hour.
      query_timeout: 30_000,
      keepAlive: true,
      // Open transactions hold back every event reader, so none may be left idle.
      idle_in_transaction_session_timeout: 10_000,
    }),
  });
}
