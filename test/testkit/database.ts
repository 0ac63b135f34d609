/** A database of a test's own beside that of the shared stack, whose processes would take part in what is tried. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { migrate } from '../../stack/migrations.js';

export interface OwnDatabase {
  url: string;
  db: Database;
  remove(): Promise<void>;
}

/** An empty database with all tables, on the server of the shared stack. */
export async function ownDatabase(): Promise<OwnDatabase> {
  const shared = inject('stack').databaseUrl;
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await query(shared, `CREATE DATABASE ${name}`);
  const url = new URL(shared);
  url.pathname = `/${name}`;
  await migrate(url.href, loadConfig().projectRoot);
  const db = createDatabase(url.href, 4);
  return {
    url: url.href,
    db,
    async remove() {
      await db.$disconnect();
      await query(shared, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
