/**
 * What tests of broadcasts need besides what Tapedeck needs: nginx with its RTMP module, as the far server.
 * `node scripts/setup/nginx-rtmp.mjs` brings it.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findProgram, isRoot } from './machine.mjs';
import { run, SetupError, step } from './terminal.mjs';

const debianPackages = ['nginx-core', 'libnginx-mod-rtmp'];
const module = '/usr/lib/nginx/modules/ngx_rtmp_module.so';

/** Debian and Ubuntu only. Throws SetupError with the line that installs it. */
export async function ensureNginxRtmp() {
  if (existsSync('/usr/sbin/nginx') && existsSync(module)) return;
  const line = `apt-get install -y --no-install-recommends ${debianPackages.join(' ')}`;
  const advice = `Tests of broadcasts need nginx with its RTMP module. Run \`${isRoot() ? '' : 'sudo '}${line}\`.`;
  if (!isRoot() || !findProgram('apt-get')) throw new SetupError(advice);
  // A server of its own that the package would start is in nobody's interest.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  await step('nginx with RTMP, for tests', async () => {
    await run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', 'update'], { env });
    await run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...line.split(' ').slice(1)], { env });
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
