/** `npm run key -- NAME`: makes an API key that may do everything, for an installation that has none yet. */

import { ensureDefaultProject } from '../src/auth/development.js';
import { loadConfig } from '../src/config.js';
import { createDatabase } from '../src/db.js';
import { createKeys } from '../src/services/keys.js';
import { embeddedDatabaseUrl } from './postgres.js';

const [name] = process.argv.slice(2);
if (!name) {
  console.error('Usage: npm run key -- NAME\nThe service must be running, or DATABASE_URL be set.');
  process.exit(2);
}
const config = loadConfig();
const url = config.databaseUrl ?? embeddedDatabaseUrl(config.dataDir, config.postgresPort);
if (!url) {
  console.error(`There is no database in ${config.dataDir} yet. Run npm start first, or set DATABASE_URL.`);
  process.exit(1);
}
const db = createDatabase(url, 1);
try {
  const projectId = await ensureDefaultProject(db);
  const viewer = { kind: 'key' as const, projectId, keyId: '', scopes: ['admin' as const] };
  const { key } = await createKeys({ db }).create({ name, scopes: ['admin'] }, viewer);
  console.log(`API key "${name}" of project default. It is not shown again:\n\n  ${key}\n`);
} catch (error) {
  console.error(`No key was made: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await db.$disconnect();
}
