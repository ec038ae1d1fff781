// What happens behind the requests, and inside answers: blocked keys that the cron trigger asks
// about, and errors that hide in a success.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { eventually, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: {
    main: {},
    looking: { CHECK_STREAMS: 'on', RETRY_EMPTY: 'on' },
  },
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main } = world;
const MINUTE = 60_000;

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
const probeAt = async (key) => (await world.query('SELECT probe_at FROM provider_keys WHERE secret = ?1', key))[0].probe_at;

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

  test('before its time, nobody is asked', async () => {
    await blocked('openai', 'gpt-5-mini', 'invalid');
    const before = await world.sim.count();
    await main.cron();
    assert.equal(await world.sim.count(), before);
  });

  test('a key that is still refused stays blocked, and is asked about later and later', async () => {
    const key = await blocked('openai', 'gpt-5-mini', 'bare_401');
    const waits = [];
    for (let round = 0; round < 3; round += 1) {
      await due();
      await main.cron();
      assert.equal((await main.find(key)).state, 'blocked');
      waits.push((await probeAt(key)) - Date.now());
    }
    assert.ok(waits[0] > 5 * MINUTE && waits[1] > 2 * waits[0] && waits[2] > 2 * waits[1], waits.join(' '));
  });

  test('a provider that is down says nothing about a key: it stays blocked and is asked again soon', async () => {
    const key = await blocked('openai', 'gpt-5-mini', 'bare_401');
    for (const fault of [{ status: 503, body: 'down' }, { reset: true }, { case: 'gw-2009' }]) {
      await due();
      await world.sim.faults(fault);
      await main.cron();
      assert.equal((await main.find(key)).state, 'blocked');
      const wait = (await probeAt(key)) - Date.now();
      assert.ok(wait > 0 && wait <= 15 * MINUTE, String(wait));
    }
  });

  test('a key that an administrator disabled or deleted is not asked about', async () => {
    const key = await blocked('openai', 'gpt-5-mini', 'invalid');
    const { id } = await main.find(key);
    await main.manage('POST', 'keys/actions', { action: 'disable', ids: [id] });
    await world.query('UPDATE provider_keys SET probe_at = 1 WHERE id = ?1', id);
    const before = await world.sim.count();
    await main.cron();
    assert.equal(await world.sim.count(), before);
    assert.equal((await main.find(key)).state, 'disabled');
  });

  test('hundreds of blocked keys do not make one run too long', async () => {
    await main.addKeys('openai', Array.from({ length: 300 }, () => world.makeKey('openai')));
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'unauthorized', certain = 0, probe_at = 1");
    await main.cron();
    const calls = await world.sim.count();
    assert.ok(calls > 0 && calls <= 45, String(calls));
  });
});

describe('answers that hide something', () => {
  const stream = (isolate, provider = 'openai', model = 'gpt-5-mini', more = {}) => isolate.ask(provider, model, { stream: true, ...more });

  test('an error in the first event goes to the caller as it is, unless the operator wants it looked for', async () => {
    const keys = await world.keys('openrouter', 2);
    await world.sim.faults({ case: 'orr-200-sse', times: 2 });
    const plain = await stream(main, 'openrouter', 'openai/gpt-5-mini');
    assert.equal(plain.status, 200);
    assert.match(plain.text, /Provider returned error/);
    assert.equal(await world.sim.count(), 1);
    const looked = await stream(world.looking, 'openrouter', 'openai/gpt-5-mini');
    assert.equal(looked.status, 200, looked.text);
    assert.match(looked.text, /\[DONE\]/, 'another key has answered');
    assert.ok(!looked.text.includes('Provider returned error'));
    assert.equal(await world.sim.count(), 3);
    for (const key of keys) assert.notEqual((await main.find(key)).state, 'blocked');
  });

  for (const [provider, model] of [['openai', 'gpt-5-mini'], ['google-ai-studio', 'gemini-2.5-flash'], ['anthropic', 'claude-haiku-4-5']]) {
    test(`${provider}: a good stream that was looked into comes through byte for byte`, async () => {
      await world.keys(provider, 1);
      await world.sim.config({ stream_chunks: 50 });
      // Identifiers and times differ between any two answers.
      const alike = (text) => text.replaceAll(/"(id|created|responseId|promptTokenCount|totalTokenCount)":("[^"]*"|\d+)/g, '"$1":0');
      const text = 'ü😀 one two '.repeat(40);
      const plain = await stream(main, provider, model, { text });
      const looked = await stream(world.looking, provider, model, { text });
      assert.equal(looked.status, 200);
      assert.equal(alike(looked.text), alike(plain.text));
      assert.ok(looked.text.length > 2000);
    });
  }

  /** A stream that takes minutes, with its first two pieces read. */
  async function longStream(isolate) {
    await world.keys('openai', 1);
    await world.sim.config({ stream_chunks: 100_000, stream_delay_ms: 20 });
    const response = await isolate.send('/api/openai/chat/completions', {
      json: { model: 'gpt-5-mini', stream: true, messages: [{ role: 'user', content: 'hello '.repeat(10_000) }] },
    });
    const reader = response.body.getReader();
    for (let piece = 0; piece < 2; piece += 1) assert.equal((await reader.read()).done, false);
    assert.equal((await world.sim.stats()).in_flight, 1, 'the provider has not finished');
    return reader;
  }

  test('a stream that is looked into still arrives piece by piece', async () => {
    await (await longStream(world.looking)).cancel();
  });

  test('a stream that is looked into ends upstream as well when the caller hangs up', async () => {
    await (await longStream(world.looking)).cancel();
    await eventually(async () => assert.equal((await world.sim.stats()).in_flight, 0));
  });

  test('an empty answer of Gemini is asked for once more when the operator wants that', async () => {
    const empty = { candidates: [{ content: { role: 'model' }, finishReason: 'STOP', index: 0 }], usageMetadata: { promptTokenCount: 3, totalTokenCount: 3 }, modelVersion: 'gemini-2.5-flash' };
    const keys = await world.keys('google-ai-studio', 3);
    const ask = (isolate) => isolate.ask('google-ai-studio', 'gemini-2.5-flash');
    await world.sim.faults({ status: 200, body: empty });
    assert.deepEqual((await ask(main)).json, empty, 'passed on, when nothing is said');
    await world.sim.faults({ status: 200, body: empty });
    const again = await ask(world.looking);
    assert.equal(again.json.candidates[0].content.parts[0].text, 'You said: Hello');
    assert.equal(again.headers.get('one-balance-attempts'), '2');
    await world.sim.faults({ status: 200, body: empty, times: null });
    const before = await world.sim.count();
    const never = await ask(world.looking);
    assert.deepEqual([never.status, never.json], [200, empty], 'the empty answer itself, when it is all there is');
    assert.equal(await world.sim.count(), before + 2);
    for (const key of keys) assert.equal((await main.find(key)).state, 'ready');
  });

  test('a prompt that Gemini blocks is answered, not empty: it is asked once', async () => {
    await world.keys('google-ai-studio', 2);
    const answer = await world.looking.ask('google-ai-studio', 'gemini-2.5-flash', { text: 'BLOCK_ME' });
    assert.equal(answer.json.promptFeedback.blockReason, 'PROHIBITED_CONTENT');
    assert.equal(await world.sim.count(), 1);
  });
});
