/** Programs that tests need and no package manager has: how they are come by on a machine that lacks them. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const arch = process.arch === 'x64' ? { go: 'amd64', uname: 'x86_64' } : { go: process.arch, uname: process.arch };

let clone: string;
let cache: string;
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'tapedeck-clone-'));
  cache = join(clone, 'home', '.cache', 'tapedeck');
  mkdirSync(join(clone, 'bin'));
  cpSync(join(projectRoot, 'scripts'), join(clone, 'scripts'), { recursive: true });
});
afterEach(() => rmSync(clone, { recursive: true, force: true }));

const answering = (text: string) => `#!/bin/sh\necho "${text}"\n`;

function program(folder: string, name: string, script: string): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), script);
  chmodSync(join(folder, name), 0o755);
  return join(folder, name);
}

/** Runs it on a machine whose web is the given files by URL. */
function bring(web: Record<string, string> = {}) {
  const answer = `async (url)=>web[url]?new Response(require('node:fs').readFileSync(web[url])):Promise.reject(new Error('offline'))`;
  const preload = `import{createRequire}from'node:module';const require=createRequire('/');const web=${JSON.stringify(web)};globalThis.fetch=${answer}`;
  const env = { PATH: `${join(clone, 'bin')}:/usr/bin:/bin`, HOME: join(clone, 'home') };
  const args = [
    '--import',
    `data:text/javascript,${encodeURIComponent(preload)}`,
    join(clone, 'scripts/setup/go-tools.mjs'),
  ];
  return spawnSync(process.execPath, args, { cwd: clone, env, encoding: 'utf8' });
}

const noted = (name: string) => readFileSync(join(clone, 'build', name), 'utf8').trim();

test("they are downloaded from their makers where these can be reached, into the user's cache, and noted", () => {
  const name = `versitygw_v1.8.0_Linux_${arch.uname}`;
  program(join(clone, name), 'versitygw', answering('Version  : v1.8.0'));
  spawnSync('tar', ['-czf', 'archive.tar.gz', name], { cwd: clone });
  const proxy = program(clone, 'downloaded', answering('toxiproxy-server version 2.5.0'));
  const result = bring({
    [`https://github.com/versity/versitygw/releases/download/v1.8.0/${name}.tar.gz`]: join(clone, 'archive.tar.gz'),
    [`https://github.com/Shopify/toxiproxy/releases/download/v2.5.0/toxiproxy-server-linux-${arch.go}`]: proxy,
  });
  expect(result).toMatchObject({ status: 0, stderr: '' });
  expect(noted('versitygw')).toBe(join(cache, 'versitygw-1.8.0'));
  expect(noted('toxiproxy-server')).toBe(join(cache, 'toxiproxy-server-2.5.0'));
  expect(bring()).toMatchObject({ status: 0, stdout: `${noted('versitygw')}\n${noted('toxiproxy-server')}\n` });
});

test('they are built with Go where only its modules can be reached, whatever Go calls them', () => {
  program(join(clone, 'bin'), 'versitygw', answering('Version  : v1.8.0'));
  const build = `printf '#!/bin/sh\\necho "toxiproxy-server version git"' > "$GOBIN/server"`;
  program(join(clone, 'bin'), 'go', `#!/bin/sh\ntest "$1" = env && echo go1.24 || { ${build}; }\n`);
  expect(bring()).toMatchObject({ status: 0 });
  expect(noted('versitygw')).toBe(join(clone, 'bin', 'versitygw'));
  expect(noted('toxiproxy-server')).toBe(join(cache, 'toxiproxy-server-2.5.0'));
});

test('without either, it prints the lines that get them', () => {
  program(join(clone, 'bin'), 'go', answering('go1.18'));
  const { status, stderr } = bring();
  expect(status).toBe(1);
  expect(stderr).toContain('go install github.com/versity/versitygw/cmd/versitygw@v1.8.0');
  expect(stderr).toContain('curl -fL');
});
