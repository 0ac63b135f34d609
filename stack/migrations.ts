/** Brings the database to the schema of this release. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { childEnvironment } from '../src/config.js';

/** The migrations could not be applied; the message holds what Prisma said. */
export class MigrationError extends Error {
  override name = 'MigrationError';
}

/** Applies the migrations that are not applied yet. Several at once on one database do no harm. Throws MigrationError. */
export async function migrate(databaseUrl: string, projectRoot: string, signal?: AbortSignal): Promise<void> {
  if (await isUpToDate(databaseUrl, join(projectRoot, 'prisma', 'migrations'))) return;
  const prisma = join(projectRoot, 'node_modules', 'prisma', 'build', 'index.js');
  const child = spawn(process.execPath, [prisma, 'migrate', 'deploy'], {
    cwd: projectRoot,
    env: childEnvironment({ DATABASE_URL: databaseUrl }),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    signal,
  });
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code !== 0) throw new MigrationError(`The database could not be brought up to date.\n${stdout}${stderr}`);
}

/** Prisma's own command takes 1.5 s or more to find that out. */
async function isUpToDate(databaseUrl: string, folder: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    const table = await client.query("SELECT to_regclass('_prisma_migrations') AS found");
    if (!table.rows[0]?.found) return false;
    const { rows } = await client.query<{ migration_name: string; checksum: string }>(
      'SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
    );
    const applied = new Map(rows.map((row) => [row.migration_name, row.checksum]));
    const wanted = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return wanted.every(({ name }) => applied.get(name) === checksumOf(join(folder, name, 'migration.sql')));
  } catch {
    // Whatever is wrong, Prisma says it better.
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

const checksumOf = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
