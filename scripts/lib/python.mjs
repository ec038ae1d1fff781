// Python with the SDKs that tests/python uses, installed once per user into the cache.

import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cache, inRoot, windows } from './paths.mjs';
import { capture, run } from './run.mjs';
import { say, step } from './say.mjs';
import { scratch } from './scratch.mjs';
import { hashOf } from './stamp.mjs';

const REQUIREMENTS = join('tests', 'python', 'requirements.txt');
const PYTHON = windows ? join('Scripts', 'python.exe') : join('bin', 'python');
/** What the newest of the SDKs asks for. */
const OLDEST = [3, 10];

/** The path of a Python with the SDKs; undefined, with a line that says why, where there can be none. */
export async function pythonClients() {
  const base = ['python3', 'python'].find(isNewEnough);
  if (!base) {
    say(`There is no Python ${OLDEST.join('.')} or newer: its clients are not tested.`);
    return undefined;
  }
  const home = join(cache, `python-clients-${hashOf(REQUIREMENTS).slice(0, 12)}`);
  if (!existsSync(home) && !(await install(base, home))) {
    say('The Python SDKs could not be installed: its clients are not tested.');
    return undefined;
  }
  return join(home, PYTHON);
}

function isNewEnough(python) {
  const version = capture(python, ['-c', 'import sys; print(sys.version_info.major, sys.version_info.minor)']);
  const [major, minor] = version?.split(' ').map(Number) ?? [0, 0];
  return major === OLDEST[0] && minor >= OLDEST[1];
}

const install = (base, home) =>
  step('Installing the Python SDKs', '1 minute', async (progress) => {
    // Into another folder first: `home` exists only when it is complete.
    const work = scratch('python');
    const options = { onLine: (line) => progress(line.trim().slice(0, 60)) };
    const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '-r', inRoot(REQUIREMENTS)];
    const steps = [[base, ['-m', 'venv', work]], [join(work, PYTHON), pip]];
    for (const [command, args] of steps) {
      const { ok, output } = await run(command, args, options);
      if (!ok) {
        say(output.slice(-20).join('\n'));
        return false;
      }
    }
    renameSync(work, home);
    return true;
  });
