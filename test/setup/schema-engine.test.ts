import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { childEnvironment } from '../../src/config.js';

/** The stand-in for Prisma's schema engine, through the Prisma CLI as users meet it. */

// The Prisma CLI takes 2 s a call on an idle machine, and tests side by side leave it little of a core.
vi.setConfig({ testTimeout: 180_000 });

const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const admin = new pg.Client({ connectionString: inject('stack').databaseUrl });
const databases: string[] = [];
const folders: string[] = [];

beforeAll(() => admin.connect());
afterAll(async () => {
  for (const name of databases) await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
  await admin.end();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const schemaHead = 'datasource db {\n  provider = "postgresql"\n}\n';
const noteModel = 'model Note {\n  id Int @id\n  text String\n}\n';
const createNote =
  'CREATE TABLE "Note" ("id" INTEGER NOT NULL, "text" TEXT NOT NULL, CONSTRAINT "Note_pkey" PRIMARY KEY ("id"));';

/** A project with its own migrations and a database of its own that does not exist yet. */
function project(migrations: Record<string, string>, models = noteModel) {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-prisma-'));
  folders.push(folder);
  const name = `engine_${Math.random().toString(36).slice(2)}`;
  databases.push(name);
  const url = new URL(inject('stack').databaseUrl);
  url.pathname = `/${name}`;
  writeFileSync(join(folder, 'schema.prisma'), schemaHead + models);
  const migrationsFolder = join(folder, 'migrations');
  for (const [migration, sql] of Object.entries(migrations)) {
    mkdirSync(join(migrationsFolder, migration), { recursive: true });
    writeFileSync(join(migrationsFolder, migration, 'migration.sql'), sql);
  }
  writeFileSync(join(migrationsFolder, 'migration_lock.toml'), 'provider = "postgresql"\n');
  const config = {
    schema: join(folder, 'schema.prisma'),
    migrations: { path: migrationsFolder },
    datasource: { url: url.href },
  };
  const configFile = join(folder, 'prisma.config.mjs');
  writeFileSync(configFile, `export default ${JSON.stringify(config)}`);

  async function prisma(...args: string[]) {
    const env = childEnvironment({});
    env.PRISMA_SCHEMA_ENGINE_BINARY = join(projectRoot, 'scripts', 'schema-engine.mjs');
    env.CHECKPOINT_DISABLE = '1';
    const cli = join(projectRoot, 'node_modules', 'prisma', 'build', 'index.js');
    const child = spawn(process.execPath, [cli, ...args, '--config', configFile], {
      cwd: projectRoot,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [code, stdout, stderr] = await Promise.all([exit(child), text(child.stdout), text(child.stderr)]);
    return { code, output: stdout + stderr };
  }

  async function query(sql: string) {
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }
  return { prisma, query, schema: config.schema, migrations: migrationsFolder };
}

const exit = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once('close', resolve));
const diffArgs = (p: ReturnType<typeof project>) => [
  'migrate',
  'diff',
  '--from-migrations',
  p.migrations,
  '--to-schema',
  p.schema,
  '--exit-code',
];

test('a diff of migrations and schema exits 0 when they agree and 2 when they do not', async () => {
  const agreeing = project({ '1_note': createNote });
  await agreeing.prisma('migrate', 'deploy');
  expect(await agreeing.prisma(...diffArgs(agreeing))).toMatchObject({ code: 0 });

  const drifted = project({ '1_note': createNote }, `${noteModel}model Other {\n  id Int @id\n}\n`);
  await drifted.prisma('migrate', 'deploy');
  const diff = await drifted.prisma(...diffArgs(drifted));
  expect(diff).toMatchObject({ code: 2 });
  expect(diff.output).toContain('Other');
});

test('a diff replays the migrations in a database apart, and removes it afterwards', async () => {
  const { prisma, query, ...paths } = project({ '1_note': createNote });
  await prisma('migrate', 'deploy');
  await query(`INSERT INTO "Note" VALUES (1, 'kept')`);
  await prisma(...diffArgs({ prisma, query, ...paths }));
  expect(await query('SELECT text FROM "Note"')).toEqual([{ text: 'kept' }]);
  const { rows } = await admin.query(`SELECT datname FROM pg_database WHERE datname LIKE 'prisma_migrate_shadow%'`);
  expect(rows).toEqual([]);
});

test('a function body, a comment and a literal may hold semicolons', async () => {
  const { prisma, query } = project({
    '1_function': `${createNote}
      -- first this; then that
      CREATE FUNCTION greet() RETURNS text AS $$ BEGIN PERFORM 1; RETURN 'hello; you'; END $$ LANGUAGE plpgsql;
      INSERT INTO "Note" VALUES (1, 'one; two');`,
  });
  expect(await prisma('migrate', 'deploy')).toMatchObject({ code: 0 });
  expect(await query('SELECT greet(), text FROM "Note"')).toEqual([{ greet: 'hello; you', text: 'one; two' }]);
});

test('a failing migration is rolled back whole, and says what Postgres said and on which line', async () => {
  const { prisma, query } = project({
    '1_broken': `${createNote}\nINSERT INTO "Note" ("id", "nope") VALUES (1, 'x');`,
  });
  const { code, output } = await prisma('migrate', 'deploy');
  expect(code).toBe(1);
  expect(output).toContain('P3018');
  expect(output).toContain('1_broken');
  expect(output).toContain('42703');
  expect(output).toContain('column "nope" of relation "Note" does not exist (line 2)');
  expect(await query(`SELECT to_regclass('"Note"') AS found`)).toEqual([{ found: null }]);
  const again = await prisma('migrate', 'deploy');
  expect(again.output).toContain('P3009');
});

test('several deployments at once apply each migration once', async () => {
  const { prisma, query } = project({ '1_note': createNote, '2_row': `INSERT INTO "Note" VALUES (1, 'once');` });
  const deployments = await Promise.all([1, 2, 3].map(() => prisma('migrate', 'deploy')));
  expect(deployments.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(await query('SELECT text FROM "Note"')).toEqual([{ text: 'once' }]);
  expect(await query('SELECT migration_name FROM _prisma_migrations ORDER BY 1')).toHaveLength(2);
});

test('the migrations of this release make exactly its schema', async () => {
  const child = spawn(
    join(projectRoot, 'node_modules', '.bin', 'prisma'),
    ['migrate', 'diff', '--from-migrations', 'prisma/migrations', '--to-schema', 'prisma/schema.prisma', '--exit-code'],
    {
      cwd: projectRoot,
      env: childEnvironment({ DATABASE_URL: inject('stack').databaseUrl }),
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const [code, stdout] = await Promise.all([exit(child), text(child.stdout), text(child.stderr)]);
  expect(code, stdout).toBe(0);
});
