// Pictures of every view of the page: `npm run pictures`. Into docs/pictures/; the README has two of them.

import { spawnSync } from 'node:child_process';
import { build } from './build.mjs';
import { chromium } from './lib/chromium.mjs';
import { main } from './lib/main.mjs';
import { inRoot } from './lib/paths.mjs';
import { fail } from './lib/say.mjs';
import { buildSimulator } from './lib/upstream.mjs';

await main(import.meta.url, async () => {
  const CHROME_PATH = await chromium();
  await build();
  await buildSimulator();
  // It needs the harness of the tests, which lives inside node:test.
  const { status } = spawnSync(process.execPath, ['--test', inRoot('tests', 'pictures.mjs')], { stdio: 'inherit', env: { ...process.env, CHROME_PATH } });
  if (status !== 0) fail('The pictures could not be taken: see above.');
});
