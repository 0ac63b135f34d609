import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

test('with nothing to do, set-up changes nothing and prints one line', () => {
  const setUp = () => spawnSync(process.execPath, ['scripts/setup.mjs'], { cwd: projectRoot, encoding: 'utf8' });
  expect(setUp()).toMatchObject({ status: 0 });
  const made = [
    'build/workflows.js',
    'build/generated.json',
    'build/temporal-cli',
    'build/mediamtx',
    'src/generated/prisma/client.ts',
  ];
  const before = made.map((path) => statSync(join(projectRoot, path)).mtimeMs);
  const again = setUp();
  expect(again.stdout).toMatch(/^Set-up is complete \(\d+\.\d s\)\.\n$/);
  expect(made.map((path) => statSync(join(projectRoot, path)).mtimeMs)).toEqual(before);
});

describe('on a machine that lacks something', () => {
  /** A clone with nothing but the scripts, whose PATH leads to what a test puts there. */
  let clone: string;
  let bin: string;

  beforeEach(() => {
    clone = mkdtempSync(join(tmpdir(), 'tapedeck-clone-'));
    bin = join(clone, 'bin');
    mkdirSync(bin);
    mkdirSync(join(clone, 'node_modules'));
    cpSync(join(projectRoot, 'scripts'), join(clone, 'scripts'), { recursive: true });
    for (const file of ['package-lock.json', 'node_modules/.package-lock.json']) {
      writeFileSync(join(clone, file), '{"packages":{}}');
    }
  });
  afterEach(() => rmSync(clone, { recursive: true, force: true }));

  function program(name: string, script = 'exit 0', folder = bin) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }

  function recordingPrograms() {
    for (const name of [
      'chromium',
      'ffmpeg',
      'ffprobe',
      'Xvfb',
      'pulseaudio',
      'pactl',
      'srt-live-transmit',
      'setpriv',
      'janus',
    ])
      program(name);
  }

  /** Runs set-up as an ordinary user without a network, on a machine with systemd or with another init. */
  function setUp({ systemd = false } = {}) {
    const init = `import fs from'node:fs';import{syncBuiltinESMExports}from'node:module';const{existsSync}=fs;
      fs.existsSync=(path)=>path==='/run/systemd/system'?${systemd}:existsSync(path);syncBuiltinESMExports();`;
    const offline = `process.getuid=()=>1000;globalThis.fetch=async()=>{throw new Error("offline")}`;
    const preload = `data:text/javascript,${encodeURIComponent(init + offline)}`;
    const env = { PATH: bin, HOME: join(clone, 'home') };
    return spawnSync(process.execPath, ['--import', preload, 'scripts/setup.mjs'], {
      cwd: clone,
      env,
      encoding: 'utf8',
    });
  }

  test('without rights to install, it prints the exact line that installs the Debian packages', () => {
    program('apt-get');
    const { status, stderr } = setUp();
    expect(status).toBe(1);
    expect(stderr).toContain(
      'Missing programs: chromium, ffmpeg, ffprobe, Xvfb, pulseaudio, pactl, srt-live-transmit, setpriv, janus.',
    );
    expect(stderr).toContain(
      "sudo sh -c 'apt-get update && RUNLEVEL=1 apt-get install -y --no-install-recommends chromium ffmpeg xvfb pulseaudio pulseaudio-utils srt-tools fonts-dejavu-core util-linux janus'",
    );
    program('systemctl', 'exit 1');
    expect(setUp({ systemd: true }).stderr).toContain(" util-linux janus && systemctl disable --now janus'");
  });

  test('with sudo that asks no password, it installs them itself', () => {
    program('apt-get');
    program('sudo', `printf '%s\\n' "$*" >> ${clone}/sudo.log`);
    setUp();
    expect(readFileSync(join(clone, 'sudo.log'), 'utf8')).toMatch(
      /apt-get .*update\n.*apt-get .*install -y --no-install-recommends chromium /,
    );
  });

  describe("the server that Debian's janus starts", () => {
    const commands = () => readFileSync(join(clone, 'sudo.log'), 'utf8');
    beforeEach(() => {
      program('apt-get');
      program('sudo', `printf '%s\\n' "$*" >> ${clone}/sudo.log`);
    });

    test('is not started, and taken out of service where systemd has started it nevertheless', () => {
      program(
        'systemctl',
        `test "$1 $2" = 'is-enabled janus' && exec /bin/grep -q ' install .*janus' ${clone}/sudo.log`,
      );
      setUp({ systemd: true });
      expect(commands()).toMatch(/ RUNLEVEL=1 apt-get .* janus\n.* systemctl disable --now janus\n$/);
    });

    test('is left alone where it was in service before', () => {
      program('systemctl');
      setUp({ systemd: true });
      expect(commands()).not.toContain('systemctl');
    });

    test('does not come when the program is here, whatever else is missing', () => {
      recordingPrograms();
      rmSync(join(bin, 'chromium'));
      setUp({ systemd: true });
      expect(commands()).toContain(' install ');
      expect(commands()).not.toContain('janus');
    });
  });

  test('on another distribution, it says what is needed', () => {
    const { status, stderr } = setUp();
    expect(status).toBe(1);
    expect(stderr).toMatch(/Missing programs: .*\nInstall them with this system's package manager/);
  });

  test('without a Temporal CLI, download and Go, it prints the lines that get one', () => {
    recordingPrograms();
    program('go', 'echo go1.18');
    const { status, stderr } = setUp();
    expect(status).toBe(1);
    expect(stderr).toContain('go install github.com/temporalio/cli/cmd/temporal@v1.5.1');
    expect(stderr).toContain('https://temporal.download/cli/archive/v1.5.1?platform=linux');
    expect(stderr).toContain('TEMPORAL_ADDRESS');
  });

  test('a broken Temporal CLI in the cache is replaced by one built with Go', () => {
    recordingPrograms();
    const cache = join(clone, 'home', '.cache', 'tapedeck');
    program('temporal-1.5.1', 'exit 1', cache);
    program('mediamtx', 'echo v1.12.3');
    const working = 'echo "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"';
    program('go', `test "$1" = env && echo go1.24 || { printf '#!/bin/sh\\n${working}' > "$GOBIN/temporal"; }`);
    expect(setUp()).toMatchObject({ status: 0 });
    expect(readFileSync(join(cache, 'temporal-1.5.1'), 'utf8')).toContain('Server 1.29.1');
    expect(readFileSync(join(clone, 'build', 'temporal-cli'), 'utf8').trim()).toBe(join(cache, 'temporal-1.5.1'));
  });

  test('without MediaMTX, set-up is complete with a warning', () => {
    recordingPrograms();
    program('go', 'echo go1.18');
    program('temporal', 'echo "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"');
    const { status, stdout, stderr } = setUp();
    expect(status).toBe(0);
    expect(stdout).toContain('Set-up is complete');
    expect(stderr).toContain('MediaMTX is missing');
  });

  test('a TEMPORAL_CLI_PATH that does not work is named, not passed over', () => {
    recordingPrograms();
    writeFileSync(join(clone, '.env'), 'TEMPORAL_CLI_PATH=/nowhere/temporal\n');
    const { status, stderr } = setUp();
    expect(status).toBe(1);
    expect(stderr).toContain('TEMPORAL_CLI_PATH is /nowhere/temporal');
  });
});
