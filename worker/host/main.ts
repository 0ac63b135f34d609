/** The recorder host's process: `node build/host/main.js <incarnation folder>`, which set-up makes of this. Needs no database and no Temporal. */
import { resolve } from 'node:path';
import { createEndRequest } from './end-request.js';
import { runHost } from './run.js';

const folder = process.argv[2];
if (!folder) {
  process.stderr.write('Usage: main.js <incarnation folder>, which holds spec.json and lease.json\n');
  process.exit(2);
}

const note = (text: string) => process.stderr.write(`${new Date().toISOString()} ${text.trim()}\n`);
const end = createEndRequest();
// A recording outlives the terminal it was started from.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', () => end.ask({ kind: 'suspended' }));

const outcome = await runHost(resolve(folder), end, note);
note(`ended: ${outcome.kind}`);
// Whatever a library still waits for, the recording is over.
process.exit(0);
