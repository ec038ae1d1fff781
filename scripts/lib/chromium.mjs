// A Chromium or Chrome for the tests of the page.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { canInstall, install } from './apt.mjs';
import { windows } from './paths.mjs';
import { fail, step } from './say.mjs';

const { env } = process;

const USUAL = windows
  ? [env.ProgramFiles, env['ProgramFiles(x86)'], env.LOCALAPPDATA]
      .filter(Boolean)
      .flatMap((folder) => [
        join(folder, 'Google', 'Chrome', 'Application', 'chrome.exe'),
        join(folder, 'Chromium', 'Application', 'chrome.exe'),
        join(folder, 'Microsoft', 'Edge', 'Application', 'msedge.exe'),
      ])
  : process.platform === 'darwin'
    ? ['Google Chrome', 'Chromium', 'Microsoft Edge'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`)
    : ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'microsoft-edge'].flatMap((name) => [
        join('/usr/bin', name),
        join('/usr/local/bin', name),
        join('/snap/bin', name),
      ]);

/** The path of one: CHROME_PATH, one in a usual place, or Debian's, which is installed. */
export async function chromium() {
  if (env.CHROME_PATH) {
    if (existsSync(env.CHROME_PATH)) return env.CHROME_PATH;
    fail(`CHROME_PATH is ${env.CHROME_PATH}, where there is nothing.`);
  }
  const found = USUAL.find((path) => existsSync(path));
  if (found) return found;
  if (!canInstall()) return missing();
  await step('Installing Chromium for the tests of the page', '1 minute', (progress) =>
    install(['chromium'], MISSING, progress),
  );
  return USUAL.find((path) => existsSync(path)) ?? missing();
}

const MISSING =
  'The tests of the page need Chromium or Chrome: install one, or say where it is with CHROME_PATH, and run this again.';

const missing = () => fail(MISSING);
