/** The Temporal CLI, whose development server is the embedded engine. */
import { setting } from './machine.mjs';
import { ensureProgram, linesToGet } from './program.mjs';
import { SetupError } from './terminal.mjs';

const version = '1.5.1';
const arch = process.arch === 'x64' ? 'amd64' : process.arch;

/** @type {import('./program.mjs').Program} */
const temporalCli = {
  title: 'Temporal CLI',
  name: 'temporal',
  version,
  // Where the stack reads it.
  note: 'temporal-cli',
  goModule: `github.com/temporalio/cli/cmd/temporal@v${version}`,
  goName: 'temporal',
  buildTime: '3 to 4 minutes',
  downloadUrl: `https://temporal.download/cli/archive/v${version}?platform=${process.platform}&arch=${arch}`,
  archived: 'temporal',
  settingName: 'TEMPORAL_CLI_PATH',
  isItself: (answer) => /Server \d+\.\d+/.test(answer),
};

export async function ensureTemporalCli() {
  if (setting('TEMPORAL_ADDRESS') || (await ensureProgram(temporalCli))) return;
  throw new SetupError(
    'The Temporal CLI is missing, and neither its download nor Go 1.21 or newer is at hand. Do one of these, then run this again:\n\n  ' +
      `${linesToGet(temporalCli).join('\n  ')}\n\nOr set TEMPORAL_CLI_PATH to its file, or TEMPORAL_ADDRESS to a server of yours.`,
  );
}
