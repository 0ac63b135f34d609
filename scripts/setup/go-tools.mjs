/**
 * What tests and fault runs need besides what Tapedeck needs: an S3 server, and a proxy that makes a network bad.
 * `node scripts/setup/go-tools.mjs` brings both.
 */
import { fileURLToPath } from 'node:url';
import { ensureProgram, linesToGet } from './program.mjs';
import { SetupError } from './terminal.mjs';

const goArch = process.arch === 'x64' ? 'amd64' : process.arch;
const unameArch = process.arch === 'x64' ? 'x86_64' : process.arch;

/** @type {import('./program.mjs').Program} */
const versitygw = {
  title: 'versitygw',
  name: 'versitygw',
  version: '1.8.0',
  note: 'versitygw',
  goModule: 'github.com/versity/versitygw/cmd/versitygw@v1.8.0',
  goName: 'versitygw',
  buildTime: 'about a minute',
  downloadUrl: `https://github.com/versity/versitygw/releases/download/v1.8.0/versitygw_v1.8.0_Linux_${unameArch}.tar.gz`,
  archived: `versitygw_v1.8.0_Linux_${unameArch}/versitygw`,
  isItself: (answer) => /version/i.test(answer),
};

/** @type {import('./program.mjs').Program} */
const toxiproxy = {
  title: 'Toxiproxy',
  name: 'toxiproxy-server',
  version: '2.5.0',
  note: 'toxiproxy-server',
  goModule: 'github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0',
  goName: 'server',
  buildTime: 'about a minute',
  downloadUrl: `https://github.com/Shopify/toxiproxy/releases/download/v2.5.0/toxiproxy-server-linux-${goArch}`,
  isItself: (answer) => /toxiproxy/.test(answer),
};

/** The path of versitygw, an S3 server over a folder; `build/versitygw` holds it too. Throws SetupError. */
export const ensureVersitygw = () => ensure(versitygw, 'tests of the storage');

/** The path of Toxiproxy's server; `build/toxiproxy-server` holds it too. Throws SetupError. */
export const ensureToxiproxy = () => ensure(toxiproxy, 'faults of the network');

async function ensure(program, use) {
  const path = await ensureProgram(program);
  if (path) return path;
  throw new SetupError(
    `${program.title} is missing, which ${use} need, and neither its download nor Go 1.21 or newer is at hand. ` +
      `Do one of these, then run this again:\n\n  ${linesToGet(program).join('\n  ')}`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    console.log(await ensureVersitygw());
    console.log(await ensureToxiproxy());
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
