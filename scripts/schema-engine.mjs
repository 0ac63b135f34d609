#!/usr/bin/env node
/**
 * Prisma's schema engine without its download: the same JSON-RPC over standard input and output as the native program,
 * answered by the engine's WebAssembly build from npm over the `pg` driver. `prisma.config.ts` names it to the Prisma CLI.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import { MigrationAdapterFactory } from './schema-engine/adapter.mjs';

/** Prisma's own codes for what can be wrong with a connection. */
const errorCodes = {
  ECONNREFUSED: 'P1001',
  ENOTFOUND: 'P1001',
  '3D000': 'P1003',
  '28P01': 'P1000',
  28000: 'P1000',
  '42P04': 'P1009',
};

const options = parseArguments(process.argv.slice(2));

if (options.version) console.log('schema-engine-cli wasm');
else if (options.command) await runCommand(options.command);
else serve();

function parseArguments(args) {
  const parsed = { datamodels: [], url: process.env.DATABASE_URL, command: undefined, version: false };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--version') parsed.version = true;
    else if (args[i] === '--datamodels') parsed.datamodels.push(args[++i]);
    else if (args[i] === '--datasource') parsed.url = JSON.parse(args[++i]).url ?? parsed.url;
    else if (args[i] === 'cli') parsed.command = args[++i];
    else if (args[i].startsWith('--')) i++;
  }
  return parsed;
}

/** `cli create-database` and `cli can-connect-to-database`: one answer as log lines on standard error, and the exit code. */
async function runCommand(command) {
  const log = (level, message, fields) =>
    process.stderr.write(
      `${JSON.stringify({ level, target: 'schema_engine::logger', fields: { message, ...fields } })}\n`,
    );
  log('INFO', `schema-engine cli ${command}`); // The Prisma CLI ignores the first line.
  try {
    if (command === 'create-database') await createDatabase(options.url);
    else await withClient(options.url, () => {});
    log('INFO', 'ok');
  } catch (error) {
    log('ERROR', error.message || error.code, { error_code: errorCodes[error.code] ?? 'P1011', is_panic: false });
    process.exitCode = 1;
  }
}

async function withClient(connectionString, work) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function createDatabase(href) {
  const name = decodeURIComponent(new URL(href).pathname.slice(1)) || 'postgres';
  const admin = new URL(href);
  admin.pathname = '/postgres';
  admin.search = '';
  await withClient(admin.href, (client) => client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`)).catch(
    (error) => {
      const somebodyWasFaster = error.code === '42P04' || error.code === '23505';
      if (!somebodyWasFaster) throw error;
    },
  );
  return name;
}

/** Answers requests, one at a time and in order, until standard input ends. */
function serve() {
  const send = (message) =>
    new Promise((resolve) => {
      process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`, resolve);
    });
  let queue = Promise.resolve();
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const { id, method, params } = line.trim() ? JSON.parse(line) : {};
      if (!method) return;
      queue = queue.then(async () => send({ id, ...(await answer(method, params, send)) }));
    })
    .on('close', () => queue.then(() => process.exit(0)));
}

async function answer(method, params, send) {
  try {
    if (method === 'createDatabase') {
      return { result: { databaseName: await createDatabase(params.datasource.url ?? options.url) } };
    }
    const { engine } = await startEngine(method === 'diff');
    if (method === 'getDatabaseVersion') return { result: await engine.version(params ?? null) };
    const result = (await engine[method](params)) ?? {};
    if (method === 'diff' && result.stdout != null) {
      await send({ id: `print-${Date.now()}`, method: 'print', params: { content: result.stdout } });
    }
    return { result };
  } catch (error) {
    return { error: { code: 4466, message: 'An error happened.', data: await describeError(method, error) } };
  }
}

/** The engine knows driver errors by number only; the driver's own words are kept by the adapter. */
async function describeError(method, error) {
  const { registry, adapters } = (await starting?.catch(() => undefined)) ?? {};
  const cause = registry?.consumeError?.(error?.id)?.error;
  const message = String(cause?.message ?? error?.message ?? error);
  const migration = /migration_name="([^"]+)"/.exec(message)?.[1];
  if (method === 'applyMigrations' && migration && adapters?.lastScriptError) {
    return {
      is_panic: false,
      message: failedMigration(migration, adapters.lastScriptError),
      error_code: 'P3018',
      meta: null,
    };
  }
  return { is_panic: false, message, error_code: error?.code ?? errorCodes[cause?.code], meta: null };
}

/** In the words of the native engine, which the stand-in's engine has lost. */
function failedMigration(name, { code, message }) {
  return [
    'A migration failed to apply. New migrations cannot be applied before the error is recovered from. ' +
      'Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve',
    `Migration name: ${name}`,
    `Database error code: ${code}`,
    `Database error:\n${message}`,
  ].join('\n\n');
}

let starting;
/** `anyDatabase`: the request compares files, so the server's own database will do where ours does not exist yet. */
function startEngine(anyDatabase) {
  starting ??= connectEngine(anyDatabase);
  return starting;
}

async function connectEngine(anyDatabase) {
  const url = new URL(options.url);
  const schema = url.searchParams.get('schema') ?? undefined;
  url.searchParams.delete('schema');
  if (anyDatabase && !(await withClient(url.href, () => true).catch(() => false))) url.pathname = '/postgres';
  // Discrete fields: the adapter makes the shadow database's address by replacing `database`, and a connection string
  // would win over it, so that migrations were replayed on the real database.
  const adapters = new MigrationAdapterFactory(
    { ...parseIntoClientConfig(url.href), idleTimeoutMillis: 0 },
    { schema },
  );
  const factory = bindMigrationAwareSqlAdapterFactory(adapters);
  const { SchemaEngine } = await loadEngine();
  const datamodels = options.datamodels.map((path) => [path, readFileSync(path, 'utf8')]);
  const engine = await SchemaEngine.new(
    { datamodels: datamodels.length > 0 ? datamodels : undefined },
    () => {},
    factory,
  );
  return { engine, registry: factory.errorRegistry, adapters };
}

async function loadEngine() {
  const glueFile = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const glue = await import(pathToFileURL(glueFile).href);
  // The engine reports its panics here before it traps.
  globalThis.PRISMA_WASM_PANIC_REGISTRY = {
    set_message(message) {
      process.stderr.write(`${message}\n`);
    },
  };
  const module = new WebAssembly.Module(readFileSync(glueFile.replace(/\.js$/, '.wasm')));
  const instance = new WebAssembly.Instance(module, { './schema_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return glue;
}
