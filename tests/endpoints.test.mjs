// Every endpoint of the list in tests/endpoints.mjs, and the page that is made of it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { ENDPOINTS, endpointsPage } from './endpoints.mjs';
import { root, startWorld } from './harness.mjs';

const world = await startWorld();
before(async () => {
  for (const provider of new Set(ENDPOINTS.map((one) => one.provider))) await world.keys(provider, 1);
});

for (const { provider, method, address, what, sends } of ENDPOINTS) {
  test(`${provider}: ${method} ${address}: ${what}`, async () => {
    const init = { method, headers: sends.headers, json: sends.json, body: sends.body };
    if (sends.form) {
      init.body = new FormData();
      for (const [name, value] of Object.entries(sends.form)) init.body.set(name, value, ...(value instanceof Blob ? ['a.mp3'] : []));
    }
    const answer = await world.main.send(address, init);
    assert.ok(answer.ok, `${answer.status}: ${answer.ok ? '' : await answer.text()}`);
    await answer.arrayBuffer();
    const entry = await world.sim.last();
    if (!address.endsWith('/v1/models') && !address.endsWith('/v1beta/models')) assert.equal(entry.provider, provider);
  });
}

test('nothing arrived that never may', () => world.assertClean());

test('docs/endpoints.md is what the list says', () => {
  assert.equal(readFileSync(join(root, 'docs/endpoints.md'), 'utf8'), endpointsPage(), 'run `npm run endpoints`');
});
