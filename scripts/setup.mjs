/**
 * Brings a clone to where everything runs: npm packages, system programs, Temporal CLI, MediaMTX, generated code.
 * Runs before anything is installed, so it uses Node alone. Does nothing, quickly, when nothing is to be done.
 */
import { generate } from './generate.mjs';
import { withLock } from './setup/lock.mjs';
import { projectRoot } from './setup/machine.mjs';
import { ensureMediamtx } from './setup/mediamtx.mjs';
import { ensureNpmPackages } from './setup/npm-packages.mjs';
import { ensurePostgresUser, ensureSystemPackages } from './setup/system-packages.mjs';
import { ensureTemporalCli } from './setup/temporal-cli.mjs';
import { SetupError } from './setup/terminal.mjs';

const nodeMinimum = [20, 19];

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > nodeMinimum[0] || (major === nodeMinimum[0] && minor >= nodeMinimum[1])) return;
  throw new SetupError(
    `Node ${nodeMinimum.join('.')} or newer is needed, this is ${process.versions.node}. Install a newer Node.`,
  );
}

function checkSystem() {
  if (process.platform === 'linux') return;
  throw new SetupError(
    'Tapedeck records with Linux programs (Xvfb, PulseAudio). Run it on Linux: a container or a virtual machine will do.',
  );
}

async function setUp() {
  await ensureSystemPackages();
  await ensurePostgresUser();
  await ensureNpmPackages();
  await ensureTemporalCli();
  await ensureMediamtx();
  await generate();
}

const startedAt = Date.now();
try {
  checkNode();
  checkSystem();
  await withLock(`set-up of ${projectRoot}`, setUp, () =>
    console.log('  Another set-up is at work here; waiting for it …'),
  );
  console.log(`Set-up is complete (${((Date.now() - startedAt) / 1000).toFixed(1)} s).`);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`\n${error.message}\n\nSet-up is not complete.`);
  process.exitCode = 1;
}
