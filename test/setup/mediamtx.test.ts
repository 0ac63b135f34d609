/** The server that encoders send to, built from a module that lacks what its makers generate. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

let clone: string;
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'tapedeck-clone-'));
  mkdirSync(join(clone, 'bin'));
  cpSync(join(projectRoot, 'scripts'), join(clone, 'scripts'), { recursive: true });
});
afterEach(() => rmSync(clone, { recursive: true, force: true }));

function program(name: string, script: string): void {
  writeFileSync(join(clone, 'bin', name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(clone, 'bin', name), 0o755);
}

/** Set-up's step, on a machine without a web. */
function bring() {
  const script = `globalThis.fetch = () => Promise.reject(new Error('offline'));
    const { ensureMediamtx } = await import('${join(clone, 'scripts/setup/mediamtx.mjs')}'); await ensureMediamtx();`;
  const env = { PATH: `${join(clone, 'bin')}:/usr/bin:/bin`, HOME: join(clone, 'home') };
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: clone, env, encoding: 'utf8' });
}

test('it is built from a completed copy of its module, which stays as it was', () => {
  const module = join(clone, 'module');
  mkdirSync(module);
  writeFileSync(join(module, 'go.mod'), 'module mediamtx\n');
  chmodSync(join(module, 'go.mod'), 0o444);
  chmodSync(module, 0o555);
  program(
    'go',
    `case "$1" in
  env) echo go1.24 ;;
  mod) echo '{"Dir":"${module}"}' ;;
  build)
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho %s' "$(cat internal/core/VERSION)" > "$2" ;;
esac`,
  );
  expect(bring()).toMatchObject({ status: 0, stderr: '' });
  const path = readFileSync(join(clone, 'build', 'mediamtx'), 'utf8').trim();
  expect(spawnSync(path, { encoding: 'utf8' }).stdout).toMatch(/^v1\.12\.\d+\n$/);
  expect(existsSync(join(module, 'internal'))).toBe(false);
});

test('one on the PATH is taken, unless it is older or newer than our settings', () => {
  const note = join(clone, 'build', 'mediamtx');
  program('go', 'echo go1.18');
  for (const version of ['v1.11.3', 'v1.13.0', 'v1.120.0']) {
    program('mediamtx', `echo ${version}`);
    bring();
    expect(existsSync(note), version).toBe(false);
  }
  program('mediamtx', 'echo v1.12.0');
  expect(bring()).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(readFileSync(note, 'utf8').trim()).toBe(join(clone, 'bin', 'mediamtx'));
});

test('without one, set-up goes on, and says what is missing and how to get it', () => {
  program('go', 'echo go1.18');
  const { status, stderr } = bring();
  expect(status).toBe(0);
  expect(stderr).toContain('Encoders cannot publish into rooms (RTMP, SRT): MediaMTX is missing');
  expect(stderr).toContain('curl -fL');
});
