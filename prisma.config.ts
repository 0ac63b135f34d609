import { fileURLToPath } from 'node:url';
import { defineConfig } from 'prisma/config';
import { loadConfig } from './src/config.js';

// Prisma's own schema engine is a download; ours is the same engine as WebAssembly. An installed native one wins.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= fileURLToPath(new URL('./scripts/schema-engine.mjs', import.meta.url));
process.env.CHECKPOINT_DISABLE ??= '1';

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: loadConfig().databaseUrl ?? 'postgres://tapedeck@127.0.0.1:54329/tapedeck' },
});
