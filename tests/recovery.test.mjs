// What is not to be forgotten when nobody waits for it: a key that is good again, a stream that
// nobody reads any more.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { eventually, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: { main: {} },
  others: { looking: { CHECK_STREAMS: 'on', RETRY_EMPTY: 'on' } },
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main } = world;

/** A key that was blocked by what the provider said, with the time come to ask again. */
async function blocked(provider, model, state) {
  const [bad] = await world.keys(provider, [{ state }, {}]);
  await eventually(async () => {
    await main.ask(provider, model);
    assert.equal((await main.find(bad)).state, 'blocked');
  });
  return bad;
}

/** As if the time to ask again had come. */
const due = () => world.query('UPDATE provider_keys SET probe_at = ?1 WHERE probe_at IS NOT NULL', Date.now() - 1);

describe('blocked keys', () => {
  for (const [provider, model, state, asked] of [
    ['google-ai-studio', 'gemini-2.5-flash', 'invalid', 'GET /v1/account/one-balance/google-ai-studio/v1beta/models'],
    ['openai', 'gpt-5-mini', 'bare_401', 'GET /v1/account/one-balance/openai/models'],
    ['anthropic', 'claude-haiku-4-5', 'invalid', 'GET /v1/account/one-balance/anthropic/v1/models'],
    ['openrouter', 'openai/gpt-5-mini', 'bare_403', 'GET /v1/account/one-balance/openrouter/key'],
    ['groq', 'llama-3.1-8b-instant', 'invalid', 'GET /v1/account/one-balance/groq/models'],
  ]) {
    test(`${provider}: the provider is asked again for free, and a key that it accepts is put back`, async () => {
      const key = await blocked(provider, model, state);
      await world.sim.keys([{ provider, key }]);
      await due();
      const before = await world.sim.count();
      await main.cron();
      const questions = (await world.sim.requests()).slice(before);
      assert.deepEqual(questions.map(({ method, path }) => `${method} ${path}`), [asked]);
      assert.equal(questions[0].key, key);
      assert.deepEqual([(await main.find(key)).state, (await main.find(key)).reason], ['ready', null]);
      for (let request = 0; request < 2; request += 1) assert.equal((await main.ask(provider, model)).status, 200);
      assert.equal((await world.sim.requests()).slice(before + 1).filter((one) => one.key === key).length, 1, 'it serves at once');
    });
  }
});

describe('a stream that is looked into', () => {
  test('ends upstream as well when the caller hangs up', async () => {
    await world.use('looking');
    await world.keys('openai', 1);
    await world.sim.config({ stream_chunks: 100_000, stream_delay_ms: 20 });
    const response = await world.looking.send('/api/openai/chat/completions', {
      json: { model: 'gpt-5-mini', stream: true, messages: [{ role: 'user', content: 'hello '.repeat(10_000) }] },
    });
    const reader = response.body.getReader();
    for (let piece = 0; piece < 2; piece += 1) assert.equal((await reader.read()).done, false);
    assert.equal((await world.sim.stats()).in_flight, 1, 'the provider has not finished');
    await reader.cancel();
    await eventually(async () => assert.equal((await world.sim.stats()).in_flight, 0), { within: 5_000 });
  });
});
