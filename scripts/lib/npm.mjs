// The npm packages: installed when package-lock.json has changed since the last time.

import { basename } from 'node:path';
import { inRoot, windows } from './paths.mjs';
import { mustRun } from './run.mjs';
import { step } from './say.mjs';
import { hashOf, isStamped, stamp } from './stamp.mjs';

// `npm ci` removes node_modules first, and this with it.
const STAMP = inRoot('node_modules', '.one-balance');

export async function npmPackages() {
  const wanted = `${process.platform}-${process.arch} ${hashOf('package-lock.json')}`;
  if (isStamped(STAMP, wanted)) return;
  await step('Installing the npm packages', '30 seconds', async (progress) => {
    let fetched = 0;
    await npm(
      // No package needs its install script. `http` is the log level that shows progress.
      ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=http'],
      (line) => {
        if (line.startsWith('npm http fetch')) progress(`${++fetched} files`);
      },
    );
    stamp(STAMP, wanted);
  });
}

function npm(args, onLine) {
  const options = { onLine, quiet: /^npm (http|warn)/i };
  const sentence = 'The npm packages could not be installed: see above, then run this again.';
  // The npm that runs this script, if one does: it needs no shell to be started on Windows.
  const cli = process.env.npm_execpath ?? '';
  if (basename(cli) === 'npm-cli.js') return mustRun(process.execPath, [cli, ...args], options, sentence);
  return mustRun('npm', args, { ...options, shell: windows }, sentence);
}
