// Writes docs/endpoints.md, and the table in the READMEs, from the list that is tested: `npm run endpoints`.

import { readFileSync, writeFileSync } from 'node:fs';
import { endpointsPage, withEndpoints } from '../tests/endpoints.mjs';
import { main } from './lib/main.mjs';
import { inRoot } from './lib/paths.mjs';
import { say } from './lib/say.mjs';

await main(import.meta.url, async () => {
  writeFileSync(inRoot('docs', 'endpoints.md'), endpointsPage());
  for (const name of ['README.md', 'README.zh.md']) writeFileSync(inRoot(name), withEndpoints(readFileSync(inRoot(name), 'utf8')));
  say('Wrote docs/endpoints.md and the table in the READMEs.');
});
