// Lists of models, put together from those of several providers, in the language of whoever asks.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { TOKEN, startWorld } from './harness.mjs';

const LIMITED = 'token-with-limits-4f5e6d7c8b';
const world = await startWorld({
  isolates: { main: { AUTH_KEY: `${TOKEN};${LIMITED}=groq,llama-3.1*&openai` } },
  forbidden: [LIMITED],
});
const cached = await startWorld({ cache: true });
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const gateway = (path) => ({ path: `/v1/account/one-balance/${path}` });
const whole = async (response) => ({ status: response.status, headers: response.headers, json: await response.json() });
const ids = async (path, init) => (await whole(await world.main.send(path, init))).json.data.map((model) => model.id);

/** Everything that a client's own paging brings. */
async function all(list) {
  const found = [];
  for await (const one of list) found.push(one.id ?? one.name);
  return found;
}

describe('OpenAI clients', () => {
  test('get the models of every provider that has keys, with the provider in front', async () => {
    await world.keys('groq', 2);
    await world.keys('google-ai-studio', 1);
    await world.keys('perplexity-ai', 1);
    const client = new OpenAI({ apiKey: TOKEN, baseURL: `${world.main.url}/v1`, maxRetries: 0 });
    const names = await all(client.models.list());
    for (const name of ['groq/llama-3.1-8b-instant', 'groq/openai/gpt-oss-20b', 'google-ai-studio/gemini-2.5-flash', 'perplexity-ai/sonar']) {
      assert.ok(names.includes(name), `${name} in ${names.join()}`);
    }
    assert.ok(names.every((name) => /^(groq|google-ai-studio|perplexity-ai)\//.test(name)), names.join());
    assert.equal(new Set(names).size, names.length);
    // Every name leads to a model.
    const answer = await client.chat.completions.create({ model: 'groq/openai/gpt-oss-20b', messages: [{ role: 'user', content: 'hi' }] });
    assert.equal(answer.choices[0].message.content, 'You said: hi');
  });

  test('“fetch models” of Cherry Studio, Open WebUI and LibreChat: GET below every base, with a Bearer', async () => {
    await world.keys('groq', 1);
    for (const path of ['/v1/models', '/models', '/v1/v1/models', '/v1/models/', '/api/v1/models', '/openai/v1/models', '/api/compat/models', '/api/compat/v1/models']) {
      assert.ok((await ids(path)).includes('groq/llama-3.1-8b-instant'), path);
    }
    assert.equal(await world.sim.count(gateway('groq/models')), 1, 'one question for all of them');
    const refused = await world.main.send('/v1/models', { token: 'wrong' });
    assert.equal(refused.status, 401);
  });

  test('a token sees what it may use', async () => {
    for (const provider of ['groq', 'openai', 'mistral']) await world.keys(provider, 1);
    const names = await ids('/v1/models', { token: LIMITED });
    assert.ok(names.includes('openai/gpt-5-mini'));
    assert.deepEqual(names.filter((name) => !name.startsWith('openai/')), ['groq/llama-3.1-8b-instant']);
    assert.equal(await world.sim.count(gateway('mistral/v1/models')), 0);
  });

  test('a pool without usable keys is not in the list; a new key is at once', async () => {
    assert.deepEqual(await ids('/v1/models'), []);
    await world.keys('groq', 1);
    assert.equal((await ids('/v1/models')).length, 4);
    const [key] = await world.main.list();
    await world.main.manage('PATCH', `keys/${key.id}`, { state: 'disabled' });
    assert.deepEqual(await ids('/v1/models'), []);
  });

  test('one broken provider breaks no list', async () => {
    for (const provider of ['groq', 'openai', 'mistral', 'deepseek', 'cerebras']) await world.keys(provider, 2);
    await world.sim.faults(
      { times: null, match: { provider: 'groq' }, status: 500, body: { error: { message: 'down' } } },
      { times: null, match: { provider: 'mistral' }, reset: true },
      { times: null, match: { provider: 'deepseek' }, status: 200, headers: { 'content-type': 'text/html' }, body: '<html>hello</html>' },
    );
    const answer = await whole(await world.main.send('/v1/models'));
    assert.equal(answer.status, 200);
    const providers = new Set(answer.json.data.map((model) => model.owned_by));
    assert.deepEqual([...providers].sort(), ['cerebras', 'openai']);
    assert.deepEqual(answer.headers.get('one-balance-incomplete').split(', ').sort(), ['deepseek', 'groq', 'mistral']);
    // What failed just now is not asked again at once.
    const before = await world.sim.count();
    await ids('/v1/models');
    assert.equal(await world.sim.count(), before);
    // And no key was the cause.
    assert.ok((await world.main.list()).every((key) => key.state === 'ready'));
  });

  test('a request asks eight providers at most, the next one the others', async () => {
    const providers = ['openai', 'google-ai-studio', 'anthropic', 'openrouter', 'groq', 'grok', 'mistral', 'deepseek', 'cerebras', 'fireworks'];
    for (const provider of providers) await world.keys(provider, 1);
    const first = await whole(await world.main.send('/v1/models'));
    assert.equal(await world.sim.count(), 8);
    assert.equal(first.headers.get('one-balance-incomplete').split(', ').length, 2);
    const second = await whole(await world.main.send('/v1/models'));
    assert.equal(await world.sim.count(), 10);
    assert.equal(second.headers.get('one-balance-incomplete'), null);
    assert.deepEqual([...new Set(second.json.data.map((model) => model.owned_by))].sort(), [...providers].sort());
  });

  test('a question for a list is a request like any other: a bad key is blocked, the next one asked', async () => {
    await world.keys('openai', [{ state: 'invalid' }, { state: 'valid' }]);
    for (let n = 0; n < 3; n += 1) {
      await world.restart();
      assert.ok((await ids('/v1/models')).length > 0);
    }
  });
});

describe('Gemini clients', () => {
  test('get Google’s entries, whole and in pages', async () => {
    await world.keys('google-ai-studio', 1);
    await world.keys('openai', 1);
    const client = new GoogleGenAI({ apiKey: TOKEN, httpOptions: { baseUrl: world.main.url } });
    const names = [];
    for await (const model of await client.models.list({ config: { pageSize: 2 } })) {
      assert.ok(model.inputTokenLimit > 0, JSON.stringify(model));
      names.push(model.name);
    }
    assert.ok(names.length > 4 && names.includes('models/gemini-2.5-flash'), names.join());
    assert.equal(new Set(names).size, names.length);
    assert.equal(await world.sim.count(), 1, 'pages are ours');
    const stable = await whole(await world.main.send('/v1/models?pageSize=1', { token: null, headers: { 'x-goog-api-key': TOKEN } }));
    assert.equal(stable.json.models.length, 1);
    assert.equal(stable.json.nextPageToken, '1');
    const bad = await whole(await world.main.send('/v1beta/models?pageToken=nonsense'));
    assert.equal(bad.json.error.status, 'INVALID_ARGUMENT');
  });
});

describe('Anthropic clients', () => {
  test('get Anthropic’s models by their own names, others with the provider in front, in pages', async () => {
    for (const provider of ['anthropic', 'grok', 'openai']) await world.keys(provider, 1);
    const client = new Anthropic({ apiKey: TOKEN, baseURL: world.main.url, maxRetries: 0 });
    const names = await all(client.models.list({ limit: 2 }));
    assert.deepEqual(names, ['claude-opus-4-5', 'claude-sonnet-4-5', 'claude-haiku-4-5', 'grok/grok-4', 'grok/grok-3-mini']);
    const page = await client.models.list({ limit: 2, after_id: 'claude-sonnet-4-5' });
    assert.deepEqual(page.data.map((model) => model.id), ['claude-haiku-4-5', 'grok/grok-4']);
    assert.equal(page.has_more, true);
    assert.match(page.data[0].created_at, /^\d{4}-\d\d-\d\dT/);
  });
});

describe('the Cache API', () => {
  test('keeps lists for isolates that start', async () => {
    await cached.keys('groq', 1);
    const list = async () => (await (await cached.main.send('/v1/models')).json()).data.length;
    assert.equal(await list(), 4);
    for (let n = 0; n < 3; n += 1) {
      await cached.restart();
      assert.equal(await list(), 4);
    }
    const asked = await cached.sim.count(gateway('groq/models'));
    assert.ok(asked <= 2, `${asked} questions in four starts`); // written behind the first answer
    await cached.assertClean();
  });
});
