// Browsers: what they ask before a request, and what they may read of its answer.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { startWorld } from './harness.mjs';

const world = await startWorld();
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const ORIGIN = 'https://app.example';
const DOORS = [
  '/v1/chat/completions',
  '/v1/models',
  '/v1/messages',
  '/chat/completions',
  '/v1beta/models/m:generateContent',
  '/upload/v1beta/files',
  '/anthropic/v1/messages',
  '/api/openai/chat/completions',
  '/api/compat/chat/completions',
];

test('a preflight is answered at every address of clients, without a token', async () => {
  for (const path of DOORS) {
    const wanted = 'authorization, content-type, x-stainless-lang';
    const answer = await world.main.send(path, {
      method: 'OPTIONS',
      token: null,
      headers: { origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': wanted },
    });
    assert.equal(answer.status, 204, path);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*', path);
    assert.equal(answer.headers.get('access-control-allow-headers'), wanted, path);
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) assert.ok(answer.headers.get('access-control-allow-methods').includes(method), path);
    assert.ok(Number(answer.headers.get('access-control-max-age')) > 0, path);
    assert.equal(answer.headers.get('access-control-allow-credentials'), null, path);
  }
  assert.equal(await world.sim.count(), 0);
});

test('a page may read answers and errors, ours and the provider’s, with the headers that matter', async () => {
  await world.keys('openai', 1);
  const json = { model: 'gpt-5-mini', messages: [{ role: 'user', content: 'hi' }] };
  const readable = (answer, path) => {
    assert.equal(answer.headers.get('access-control-allow-origin'), '*', path);
    const exposed = answer.headers.get('access-control-expose-headers').split(/, */);
    // By name as well, for those who do not know the star.
    for (const name of ['*', 'retry-after', 'x-should-retry', 'one-balance-attempts', 'x-goog-upload-url', 'x-request-id', 'request-id']) {
      assert.ok(exposed.includes(name), `${path}: ${name} in ${exposed}`);
    }
  };
  for (const path of ['/v1/chat/completions', '/api/openai/chat/completions']) {
    for (const token of [undefined, 'wrong']) {
      const answer = await world.main.send(path, { json, token, headers: { origin: ORIGIN } });
      assert.equal(answer.status, token ? 401 : 200);
      readable(answer, path);
    }
  }
  readable(await world.main.send('/v1/models', { headers: { origin: ORIGIN } }), '/v1/models');
  await world.sim.faults({ status: 400, body: { error: { message: 'no' } } });
  const refused = await world.main.send('/v1/chat/completions', { json });
  assert.equal(refused.status, 400);
  readable(refused, 'an error of the provider');
});

test('nobody else’s page may use the administrator’s API', async () => {
  for (const [method, path] of [['OPTIONS', 'keys'], ['GET', 'keys'], ['GET', 'status'], ['POST', 'keys']]) {
    const answer = await world.main.send(`/admin/api/${path}`, { method, headers: { origin: ORIGIN }, ...(method === 'POST' ? { json: {} } : {}) });
    await answer.text();
    for (const [name] of answer.headers) assert.ok(!name.startsWith('access-control-'), `${method} ${path}: ${name}`);
  }
});
