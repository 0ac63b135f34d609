/** Servers that Debian's packages start when they are installed: Tapedeck runs its own, with settings of its own, so these stay off. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { run } from './terminal.mjs';

/** What apt-get runs with. In this runlevel packages start no servers, but systemd does not know of it. */
export const installEnvironment = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };

const stopping = (service) => ['systemctl', 'disable', '--now', service];

/** Whether systemd runs it, or will at the machine's next start. */
export function isInService(service) {
  if (!systemdRuns()) return false;
  const says = (question) => spawnSync('systemctl', [question, service], { stdio: 'ignore' }).status === 0;
  return says('is-active') || says('is-enabled');
}

/** Runs `install`, and takes out of service what it has put there, also when it failed half-way. What was in service before stays. */
export async function withoutItsService(service, install, prefix = []) {
  const somebodys = isInService(service);
  try {
    await install();
  } finally {
    if (!somebodys && isInService(service)) {
      const [command, ...args] = [...prefix, ...stopping(service)];
      await run(command, args);
    }
  }
}

/** The same as a line for a shell; `install` are the arguments of apt-get. */
export function lineWithoutItsService(service, install) {
  const line = `RUNLEVEL=${installEnvironment.RUNLEVEL} apt-get ${install.join(' ')}`;
  return systemdRuns() && !isInService(service) ? `${line} && ${stopping(service).join(' ')}` : line;
}

const systemdRuns = () => existsSync('/run/systemd/system');
