/** The programs that record: browser, encoder, display and sound server, and the media server of rooms, from the system's package manager. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findProgram, isRoot, setting } from './machine.mjs';
import { installEnvironment, lineWithoutItsService, withoutItsService } from './package-services.mjs';
import { run, SetupError, step } from './terminal.mjs';

const debianPackages = [
  'chromium',
  'ffmpeg',
  'xvfb',
  'pulseaudio',
  'pulseaudio-utils',
  'srt-tools',
  'fonts-dejavu-core',
  'util-linux',
];
/** The name of a package, its program and its service, which is open to the network with secrets that everybody knows. */
const janus = 'janus';

/** Names of what is missing; a setting may point to another place than the PATH. */
export function missingPrograms() {
  const programs = {
    chromium: setting('CHROMIUM_PATH') ?? 'chromium',
    ffmpeg: setting('FFMPEG_PATH') ?? 'ffmpeg',
    ffprobe: setting('FFPROBE_PATH') ?? 'ffprobe',
    Xvfb: 'Xvfb',
    pulseaudio: 'pulseaudio',
    pactl: 'pactl',
    'srt-live-transmit': 'srt-live-transmit',
    setpriv: 'setpriv',
    // Nobody needs one here who has one elsewhere.
    ...(setting('JANUS_URL') ? {} : { janus: 'janus' }),
  };
  return Object.keys(programs).filter((name) => !findProgram(programs[name]));
}

export async function ensureSystemPackages() {
  const missing = missingPrograms();
  // A browser without any font draws pages without any text.
  const fonts = existsSync('/usr/share/fonts') || existsSync('/usr/local/share/fonts');
  if (missing.length === 0 && fonts) return;
  const wanted = [...missing, ...(fonts ? [] : ['a font'])].join(', ');
  // One that is here is left as it is: an upgrade would start it again, in the middle of what it does for others.
  const bringsJanus = missing.includes(janus);
  const packages = [...debianPackages, ...(bringsJanus ? [janus] : [])];
  const installArgs = ['install', '-y', '--no-install-recommends', ...packages];
  const byHand = `apt-get update && ${bringsJanus ? lineWithoutItsService(janus, installArgs) : `apt-get ${installArgs.join(' ')}`}`;
  const note = bringsJanus
    ? '\n\nThe package janus starts a server of its own, open to the network; Tapedeck does without it, so the line keeps it off.'
    : '';
  if (!findProgram('apt-get')) {
    throw new SetupError(
      `Missing programs: ${wanted}.\nInstall them with this system's package manager (on Debian the packages are ${packages.join(' ')}), then run this again.`,
    );
  }
  const prefix = isRoot() ? [] : sudoWithoutPassword();
  if (!prefix) {
    throw new SetupError(
      `Missing programs: ${wanted}.\nRun this line, then run set-up again:\n\n  sudo sh -c '${byHand}'${note}`,
    );
  }
  await step(`Debian packages (missing: ${wanted})`, async () => {
    const apt = (...args) => {
      // Another package manager may be at work, on a machine that has just booted for instance.
      const [command, ...rest] = [...prefix, 'apt-get', '-o', 'DPkg::Lock::Timeout=300', ...args];
      return run(command, rest, { env: { ...process.env, ...installEnvironment } });
    };
    const install = () => apt(...installArgs);
    await apt('update');
    await (bringsJanus ? withoutItsService(janus, install, prefix) : install()).catch((error) => {
      throw new SetupError(
        `${error.message}\n\nWhere there is no package chromium (on Ubuntu it is a snap), install Google Chrome and the other packages yourself and set CHROMIUM_PATH=google-chrome-stable.`,
      );
    });
  });
  const still = missingPrograms();
  if (still.length > 0) {
    throw new SetupError(
      `The Debian packages are installed, but these programs are not on the PATH: ${still.join(', ')}.\nInstall them another way, or set CHROMIUM_PATH, FFMPEG_PATH or FFPROBE_PATH to where they are.`,
    );
  }
}

function sudoWithoutPassword() {
  const works = findProgram('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  const environment = Object.entries(installEnvironment).map(([name, value]) => `${name}=${value}`);
  return works ? ['sudo', '-n', 'env', ...environment] : undefined;
}

/** Postgres refuses to run as root: it then runs as this user. */
export async function ensurePostgresUser() {
  if (!isRoot() || spawnSync('id', ['postgres'], { stdio: 'ignore' }).status === 0) return;
  await step('system user postgres', () =>
    run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']),
  );
}
