// What a 200 can hide: an error in the first event of a stream, an error further on, an answer with
// nothing in it. Looked for only where the operator asks for it.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { eventually, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: { main: { CHECK_STREAMS: 'on', RETRY_EMPTY: 'on' }, plain: {}, odd: { CHECK_STREAMS: 'perhaps' } },
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const events = (...list) => ({
  status: 200,
  headers: { 'content-type': 'text/event-stream' },
  body: list.map((event) => `${event}\n\n`).join(''),
});
const failed = {
  openai: events('event: response.failed\ndata: {"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"Rate limit reached. Please try again in 30s."}}}'),
  anthropic: events('event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'),
  openrouter: events('data: {"error":{"code":429,"message":"Rate limit exceeded: free-models-per-min"}}'),
  'google-ai-studio': events('data: {"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaValue":"10"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"20s"}]}}'),
};
const empty = {
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: { candidates: [{ content: { role: 'model' }, finishReason: 'STOP', index: 0 }], usageMetadata: { promptTokenCount: 4 } },
};

describe('an error in the first event', () => {
  for (const [provider, fault] of Object.entries(failed)) {
    test(`${provider}: another key answers, and the key pays if it is at fault`, async () => {
      const keys = await world.keys(provider, 2);
      await world.sim.faults({ match: { provider }, times: 1, ...fault });
      const answer = await world.main.ask(provider, 'm-1', { stream: true });
      assert.equal(answer.status, 200);
      assert.match(answer.text, /said/);
      assert.doesNotMatch(answer.text, /error/i);
      assert.equal(answer.headers.get('one-balance-attempts'), '2');
      const [first] = await world.sim.requests();
      const cooled = async () => (await world.main.find(first.key)).coolings.length;
      if (provider === 'anthropic') assert.equal(await cooled(), 0, 'an overload is nobody’s fault');
      else await eventually(async () => (await cooled()) === 1);
      assert.ok(keys.includes(first.key));
    });
  }

  test('when every key hides one, the caller gets the provider’s own stream', async () => {
    await world.keys('openai', 2);
    await world.sim.faults({ match: { provider: 'openai' }, times: null, ...failed.openai });
    const answer = await world.main.ask('openai', 'gpt-5-mini', { stream: true });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /event-stream/);
    assert.equal(answer.text, failed.openai.body);
  });

  test('without the option the answer is passed on as it is', async () => {
    await world.keys('openai', 2, 'plain');
    await world.sim.faults({ match: { provider: 'openai' }, times: 1, ...failed.openai });
    const answer = await world.plain.ask('openai', 'gpt-5-mini', { stream: true });
    assert.equal(answer.text, failed.openai.body);
    assert.equal(await world.sim.count({}), 1);
  });
});

describe('content', () => {
  test('is byte for byte the same with and without the option, streamed or not, of every provider', async () => {
    for (const provider of Object.keys(failed)) {
      await world.keys(provider, 1);
      for (const stream of [true, false]) {
        const texts = [];
        for (const isolate of [world.main, world.plain]) {
          const answer = await isolate.ask(provider, 'm-1', { stream });
          assert.equal(answer.status, 200);
          texts.push(answer.text.replaceAll(/sim[0-9a-f]+/g, 'sim').replaceAll(/"created\w*":\d+/g, ''));
        }
        assert.equal(texts[0], texts[1], `${provider} ${stream}`);
      }
    }
  });

  test('arrives while the rest is still being made', async () => {
    await world.keys('openai', 1);
    await world.sim.config({ stream_chunks: 6, stream_delay_ms: 250 });
    const response = await world.main.send('/api/openai/chat/completions', {
      json: { model: 'gpt-5-mini', stream: true, messages: [{ role: 'user', content: 'Hello' }] },
    });
    const reader = response.body.getReader();
    const { value } = await reader.read();
    assert.match(new TextDecoder().decode(value), /chat\.completion\.chunk/);
    assert.equal((await world.sim.stats()).in_flight, 1, 'the first chunk is here, the last one is not made');
    await reader.cancel();
  });
});

test('an error in the midst of a stream reaches the caller, and its key is cooled behind it', async () => {
  for (const provider of ['openai', 'google-ai-studio']) {
    const [key] = await world.keys(provider, 1);
    await world.sim.config({ stream_chunks: 6, stream_delay_ms: 60 });
    const limited = failed[provider].body;
    await world.sim.faults({ match: { provider }, times: 1, error_after_chunks: 4, body: limited });
    const answer = await world.main.ask(provider, 'm-1', { stream: true });
    assert.equal(answer.status, 200);
    assert.ok(answer.text.endsWith(limited), answer.text);
    const { coolings } = await eventually(async () => {
      const known = await world.main.find(key);
      return known.coolings.length > 0 && known;
    });
    assert.equal(coolings.length, 1);
    assert.equal(coolings[0].model, 'm-1');
    assert.equal(coolings[0].source, 'stated');
  }
});

describe('an answer with nothing in it', () => {
  test('is asked for once more, with another key', async () => {
    await world.keys('google-ai-studio', 2);
    await world.sim.faults({ match: { provider: 'google-ai-studio' }, times: 1, ...empty });
    const answer = await world.main.ask('google-ai-studio', 'gemini-2.5-pro');
    assert.equal(answer.status, 200);
    assert.match(answer.text, /said/);
    const used = (await world.sim.requests()).map(({ key }) => key);
    assert.equal(new Set(used).size, 2);
    assert.deepEqual((await world.main.manage('GET', 'events')).events.filter((event) => event.key_id > 0), [], 'no key pays for it');
  });

  test('is passed on when it comes again, and no third time is tried', async () => {
    await world.keys('google-ai-studio', 3);
    await world.sim.faults({ match: { provider: 'google-ai-studio' }, times: null, ...empty });
    const answer = await world.main.ask('google-ai-studio', 'gemini-2.5-pro');
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, empty.body);
    assert.equal(await world.sim.count({}), 2);
  });

  test('is passed on at once without the option, and where Gemini says why', async () => {
    await world.keys('google-ai-studio', 2);
    await world.sim.faults({ match: { provider: 'google-ai-studio' }, times: 1, ...empty });
    assert.deepEqual((await world.plain.ask('google-ai-studio', 'gemini-2.5-pro')).json, empty.body);
    const why = { ...empty, body: { promptFeedback: { blockReason: 'SAFETY' } } };
    await world.sim.faults({ match: { provider: 'google-ai-studio' }, times: 1, ...why });
    assert.deepEqual((await world.main.ask('google-ai-studio', 'gemini-2.5-pro')).json, why.body);
    assert.equal(await world.sim.count({}), 2);
  });
});

test('an option that is neither on nor off is off, and the page is told', async () => {
  const { problems } = await world.odd.manage('GET', 'session');
  assert.ok(problems.some((sentence) => sentence.includes('CHECK_STREAMS')), JSON.stringify(problems));
});
