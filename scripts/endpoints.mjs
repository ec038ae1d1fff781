// Writes docs/endpoints.md from the list that is tested: `npm run endpoints`.

import { writeFileSync } from 'node:fs';
import { endpointsPage } from '../tests/endpoints.mjs';
import { main } from './lib/main.mjs';
import { inRoot } from './lib/paths.mjs';
import { say } from './lib/say.mjs';

await main(import.meta.url, async () => {
  writeFileSync(inRoot('docs', 'endpoints.md'), endpointsPage());
  say('Wrote docs/endpoints.md.');
});
