// COMPAT=native: what is sent to `compat` goes to the provider's own OpenAI-shaped paths.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import OpenAI from 'openai';
import { TOKEN, startWorld } from './harness.mjs';

const world = await startWorld({ isolates: { native: { COMPAT: 'native' }, gateway: { COMPAT: 'gateway' } } });
beforeEach(async () => {
  await world.fresh();
  await world.sim.config({ log_bodies: true });
});
afterEach(() => world.assertClean());

const openai = (isolate) => new OpenAI({ apiKey: TOKEN, baseURL: `${isolate.url}/api/compat`, maxRetries: 0 });
const chat = (isolate, model) => openai(isolate).chat.completions.create({ model, messages: [{ role: 'user', content: 'hi' }] });

async function seen() {
  const { path, body, headers } = await world.sim.last();
  return { path: path.replace('/v1/account/one-balance/', ''), model: JSON.parse(body).model, headers };
}

describe('native', () => {
  test('chats go to each provider’s own path, with its key where it reads it', async () => {
    for (const [model, path, own] of [
      ['openai/gpt-5-mini', 'openai/chat/completions', 'gpt-5-mini'],
      ['google-ai-studio/gemini-2.5-flash', 'google-ai-studio/v1beta/openai/chat/completions', 'gemini-2.5-flash'],
      ['anthropic/claude-haiku-4-5', 'anthropic/v1/chat/completions', 'claude-haiku-4-5'],
      ['groq/llama-3.1-8b-instant', 'groq/chat/completions', 'llama-3.1-8b-instant'],
      ['mistral/mistral-large-latest', 'mistral/v1/chat/completions', 'mistral-large-latest'],
      ['grok/grok-4', 'grok/v1/chat/completions', 'grok-4'],
      ['perplexity/sonar', 'perplexity-ai/chat/completions', 'sonar'],
      ['openrouter/deepseek/deepseek-r1:free', 'openrouter/chat/completions', 'deepseek/deepseek-r1:free'],
      ['workers-ai/@cf/meta/llama-3.1-8b-instruct', 'workers-ai/v1/chat/completions', '@cf/meta/llama-3.1-8b-instruct'],
    ]) {
      const [key] = await world.keys(path.split('/')[0], 1);
      const answer = await chat(world.native, model);
      assert.equal(answer.choices[0].message.content, 'You said: hi', model);
      const got = await seen();
      assert.deepEqual([got.path, got.model], [path, own], model);
      assert.equal(got.headers.authorization, `Bearer ${key}`, model);
    }
  });

  test('embeddings and models', async () => {
    await world.keys('openai', 1);
    await world.keys('google-ai-studio', 1);
    const client = openai(world.native);
    for (const [model, path] of [
      ['openai/text-embedding-3-small', 'openai/embeddings'],
      ['google-ai-studio/gemini-embedding-001', 'google-ai-studio/v1beta/openai/embeddings'],
    ]) {
      assert.equal((await client.embeddings.create({ model, input: ['a', 'b'] })).data.length, 2);
      assert.equal((await seen()).path, path);
    }
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    assert.ok(names.includes('openai/gpt-5-mini') && names.includes('google-ai-studio/gemini-2.5-flash'), names.join());
  });

  test('a provider without such paths is left to the gateway’s compat', async () => {
    await world.keys('google-vertex-ai', 1);
    const answer = await chat(world.native, 'google-vertex-ai/google/gemini-2.5-flash');
    assert.equal(answer.choices[0].message.content, 'You said: hi');
    const got = await seen();
    assert.deepEqual([got.path, got.model], ['compat/chat/completions', 'google-vertex-ai/google/gemini-2.5-flash']);
    const refused = await world.native.api('compat/embeddings', { json: { model: 'google-vertex-ai/google/x', input: 'a' } });
    assert.equal(refused.status, 400);
    assert.match(refused.json.error.message, /`\/api\/google-vertex-ai\/`/);
  });

  test('a model without a provider in front is refused with what to write', async () => {
    await world.keys('openai', 1);
    const answer = await world.native.api('compat/chat/completions', { json: { model: 'gpt-5-mini', messages: [] } });
    assert.equal(answer.status, 400);
    assert.match(answer.json.error.message, /Put the provider in front/);
    assert.equal(await world.sim.count(), 0);
  });
});

describe('gateway', () => {
  test('chats go to the gateway’s compat as they came; the rest to the provider itself', async () => {
    await world.keys('google-ai-studio', 1, 'gateway');
    await chat(world.gateway, 'google-ai-studio/gemini-2.5-flash');
    let got = await seen();
    assert.deepEqual([got.path, got.model], ['compat/chat/completions', 'google-ai-studio/gemini-2.5-flash']);
    await openai(world.gateway).embeddings.create({ model: 'google-ai-studio/gemini-embedding-001', input: 'a' });
    got = await seen();
    assert.deepEqual([got.path, got.model], ['google-ai-studio/v1beta/openai/embeddings', 'gemini-embedding-001']);
  });
});
