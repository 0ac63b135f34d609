/** Servers that Debian's packages start by themselves, with settings of their own: Tapedeck starts its own, so they are kept from running. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** What apt-get runs with. In this runlevel no package starts a server, unless systemd is the init. */
export const installEnvironment = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };

const systemdRuns = () => existsSync('/run/systemd/system');

/** Whether systemd runs this service, or will when the machine starts: one from before is somebody's. */
export function isInService(service) {
  if (!systemdRuns()) return false;
  const says = (question) => spawnSync('systemctl', ['--quiet', question, service], { stdio: 'ignore' }).status === 0;
  return says('is-active') || says('is-enabled');
}

/** The command that takes out of service what installing its package puts into service; undefined where nothing is to be undone. */
export function undoing(service) {
  return systemdRuns() && !isInService(service) ? ['systemctl', 'disable', '--now', service] : undefined;
}
