/**
 * What tests of broadcasts need besides what Tapedeck needs: nginx with its RTMP module, as the far server.
 * `node scripts/setup/nginx-rtmp.mjs` brings it.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findProgram, isRoot } from './machine.mjs';
import { installEnvironment, isInService, lineWithoutItsService, withoutItsService } from './package-services.mjs';
import { run, SetupError, step } from './terminal.mjs';

const debianPackages = ['nginx-core', 'libnginx-mod-rtmp'];
const service = 'nginx';
const module = '/usr/lib/nginx/modules/ngx_rtmp_module.so';

/** Debian and Ubuntu only. Throws SetupError with the line that installs it. */
export async function ensureNginxRtmp() {
  if (existsSync('/usr/sbin/nginx') && existsSync(module)) return;
  const installArgs = ['install', '-y', '--no-install-recommends', ...debianPackages];
  const line = lineWithoutItsService(service, installArgs);
  const advice = `Tests of broadcasts need nginx with its RTMP module. Run \`${isRoot() ? line : `sudo sh -c '${line}'`}\`.`;
  // Installing the module makes an nginx that serves others start again with it.
  if (!isRoot() || !findProgram('apt-get') || isInService(service)) throw new SetupError(advice);
  const apt = (...args) =>
    run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], { env: { ...process.env, ...installEnvironment } });
  await step('nginx with RTMP, for tests', async () => {
    await apt('update');
    await withoutItsService(service, () => apt(...installArgs));
  }).catch((error) => {
    throw new SetupError(`${error.message}\n\n${advice}`);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await ensureNginxRtmp();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
