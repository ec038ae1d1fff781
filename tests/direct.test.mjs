// UPSTREAM=direct: without an AI Gateway, to the providers' own addresses. The simulator plays their
// hosts, and complains about every header that is the gateway's.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI, { toFile } from 'openai';
import { TOKEN, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: { main: { UPSTREAM: 'direct', GATEWAY_URL: undefined, CLOUDFLARE_ACCOUNT_ID: '0123abcd', AI_GATEWAY_TOKEN: 'never-sent' } },
  forbidden: ['never-sent'],
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const user = [{ role: 'user', content: 'hi' }];
const openai = (path = '/v1') => new OpenAI({ apiKey: TOKEN, baseURL: `${world.main.url}${path}`, maxRetries: 0 });
const seen = async () => (await world.sim.last()).path.replace('/__host/', '');

describe('each provider at its own address, with its key where it reads it', () => {
  for (const [provider, path, json, address] of [
    ['openai', 'chat/completions', { model: 'gpt-5-mini', messages: user }, 'api.openai.com/v1/chat/completions'],
    ['groq', 'chat/completions', { model: 'llama-3.1-8b-instant', messages: user }, 'api.groq.com/openai/v1/chat/completions'],
    ['openrouter', 'chat/completions', { model: 'openai/gpt-5-mini', messages: user }, 'openrouter.ai/api/v1/chat/completions'],
    ['grok', 'v1/chat/completions', { model: 'grok-4', messages: user }, 'api.x.ai/v1/chat/completions'],
    ['grok', 'chat/completions', { model: 'grok-4', messages: user }, 'api.x.ai/v1/chat/completions'],
    ['mistral', 'v1/chat/completions', { model: 'mistral-small-latest', messages: user }, 'api.mistral.ai/v1/chat/completions'],
    ['deepseek', 'chat/completions', { model: 'deepseek-chat', messages: user }, 'api.deepseek.com/chat/completions'],
    ['cerebras', 'chat/completions', { model: 'llama3.1-8b', messages: user }, 'api.cerebras.ai/v1/chat/completions'],
    ['perplexity-ai', 'chat/completions', { model: 'sonar', messages: user }, 'api.perplexity.ai/chat/completions'],
    ['fireworks', 'chat/completions', { model: 'accounts/fireworks/models/x', messages: user }, 'api.fireworks.ai/inference/v1/chat/completions'],
    ['google-ai-studio', 'v1beta/models/gemini-2.5-flash:generateContent', { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] }, 'generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent'],
    ['azure-openai', 'mine/gpt/chat/completions?api-version=1', { messages: user }, 'mine.openai.azure.com/openai/deployments/gpt/chat/completions'],
    ['workers-ai', 'v1/chat/completions', { model: '@cf/meta/llama-3.1-8b-instruct', messages: user }, 'api.cloudflare.com/client/v4/accounts/0123abcd/ai/v1/chat/completions'],
  ]) {
    test(`${provider}/${path}`, async () => {
      await world.keys(provider, 1);
      const answer = await world.main.api(`${provider}/${path}`, { json, headers: { 'cf-aig-cache-ttl': '60', 'cf-aig-metadata': '{}' } });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(await seen(), address);
      assert.equal(answer.headers.get('cf-aig-step'), null);
    });
  }
});

test('the SDKs at their own addresses', async () => {
  for (const provider of ['openai', 'anthropic', 'google-ai-studio']) await world.keys(provider, 1);
  const client = openai();
  let text = '';
  for await (const chunk of await client.chat.completions.create({ model: 'gpt-5-mini', messages: user, stream: true })) text += chunk.choices[0]?.delta.content ?? '';
  assert.equal(text, 'You said: hi');
  const audio = await toFile(Buffer.alloc(5000, 7), 'a.mp3');
  assert.ok((await client.audio.transcriptions.create({ model: 'openai/whisper-1', file: audio })).text.length > 0);
  assert.equal(await seen(), 'api.openai.com/v1/audio/transcriptions');
  const anthropic = new Anthropic({ apiKey: TOKEN, baseURL: world.main.url, maxRetries: 0 });
  const said = await anthropic.messages.create({ model: 'claude-haiku-4-5', max_tokens: 10, messages: user });
  assert.equal(said.content[0].text, 'You said: hi');
  assert.equal(await seen(), 'api.anthropic.com/v1/messages');
  const gemini = new GoogleGenAI({ apiKey: TOKEN, httpOptions: { baseUrl: world.main.url } });
  assert.equal((await gemini.models.generateContent({ model: 'gemini-2.5-flash', contents: 'hi' })).text, 'You said: hi');
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes('anthropic/claude-haiku-4-5'), names.join());
});

test('compat goes to the providers themselves', async () => {
  await world.keys('google-ai-studio', 1);
  const answer = await openai('/api/compat').chat.completions.create({ model: 'google-ai-studio/gemini-2.5-flash', messages: user });
  assert.equal(answer.choices[0].message.content, 'You said: hi');
  assert.equal(await seen(), 'generativelanguage.googleapis.com/v1beta/openai/chat/completions');
});

test('keys are judged as ever: a bad one is blocked, one over its quota cools', async () => {
  await world.keys('openai', [{ state: 'invalid' }, { rpm: 1 }, {}]);
  for (let n = 0; n < 3; n += 1) assert.equal((await world.main.ask('openai', 'gpt-5-mini')).status, 200);
  const states = (await world.main.list()).map((key) => key.state);
  assert.ok(states.filter((state) => state === 'blocked').length <= 1, states.join());
});

test('what cannot be reached without a gateway says so', async () => {
  await world.keys('custom-mine', 1);
  const answer = await world.main.api('custom-mine/v1/chat/completions', { json: { model: 'x', messages: user } });
  assert.equal(answer.status, 400);
  assert.match(answer.json.error.message, /UPSTREAM=direct/);
  for (const path of ['azure-openai/evil.example%2F/d/chat/completions', 'azure-openai/a.b/d/chat/completions']) {
    const refused = await world.main.api(path, { json: { messages: user } });
    assert.equal(refused.status, 400, path);
  }
  assert.equal(await world.sim.count(), 0);
});

test('the page and /healthz are told, and no gateway is asked for', async () => {
  assert.equal((await (await world.main.send('/healthz', { token: null })).json()).upstream, 'direct');
  const { upstream, gateway, problems } = await world.main.manage('GET', 'settings');
  assert.deepEqual([upstream, gateway, problems], ['direct', null, []]);
  const session = await world.main.manage('GET', 'session');
  assert.deepEqual([session.upstream, session.gateway], ['direct', null]);
});

test('a redirect is not followed', async () => {
  await world.keys('openai', 1);
  await world.sim.faults({ status: 302, headers: { location: 'https://evil.example/' }, body: '' });
  const answer = await world.main.send('/api/openai/models');
  assert.equal(answer.status, 302);
  assert.equal(await world.sim.count(), 1);
});
