// Debian's packages, installed where that needs no password.

import { existsSync } from 'node:fs';
import { capture, mustRun } from './run.mjs';

export const isDebian = () => existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get');

/** Whether packages can be installed without asking anybody. */
export const canInstall = () => isDebian() && asRoot() !== undefined;

/** Installs packages; fails with `sentence`. Call it only where `canInstall()`. */
export async function install(packages, sentence, progress) {
  const run = (...command) =>
    mustRun('env', [...asRoot(), 'DEBIAN_FRONTEND=noninteractive', ...command], {}, sentence);
  progress('package lists');
  await run('dpkg', '--configure', '-a'); // an installation may have been interrupted
  await run('apt-get', '-q', 'update');
  progress('packages');
  await run('apt-get', '-y', '-q', '-o', 'DPkg::Lock::Timeout=300', 'install', '--no-install-recommends', ...packages);
}

/** What comes before a command to run it as root, or undefined. */
function asRoot() {
  if (process.getuid() === 0) return [];
  return capture('sudo', ['-n', 'true']) === undefined ? undefined : ['sudo', '-n', 'env'];
}
