// The addresses that clients know by themselves: the official SDKs with nothing but our host, and
// what people make of a base URL.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI, { toFile } from 'openai';
import { TOKEN, errorOf, fnv1a, startWorld } from './harness.mjs';

const ONE = 'token-for-openrouter-only-1a2b3c';
const world = await startWorld({ isolates: { main: { AUTH_KEY: `${TOKEN};${ONE}=openrouter` } }, forbidden: [ONE] });
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const openai = (path = '/v1', apiKey = TOKEN) => new OpenAI({ apiKey, baseURL: `${world.main.url}${path}`, maxRetries: 0 });
const gemini = () => new GoogleGenAI({ apiKey: TOKEN, httpOptions: { baseUrl: world.main.url } });
const anthropic = (path = '', more = { apiKey: TOKEN }) => new Anthropic({ apiKey: null, ...more, baseURL: `${world.main.url}${path}`, maxRetries: 0 });

const user = (content) => [{ role: 'user', content }];
const chat = (client, model, content = 'hi') => client.chat.completions.create({ model, messages: user(content) });
const gatewayPath = (entry) => entry.path.replace('/v1/account/one-balance/', '');

/** What arrived: the gateway's path and the model in the body. */
async function seen() {
  const entry = await world.sim.last();
  return [gatewayPath(entry), entry.body ? JSON.parse(entry.body).model : undefined];
}

describe('OpenAI clients at /v1', () => {
  beforeEach(() => world.sim.config({ log_bodies: true }));

  test('the model’s prefix, or its name alone, leads to a provider’s own OpenAI-shaped path', async () => {
    for (const provider of ['openai', 'google-ai-studio', 'anthropic', 'groq', 'mistral', 'deepseek', 'grok', 'perplexity-ai']) await world.keys(provider);
    for (const [model, path, own] of [
      ['openai/gpt-5-mini', 'openai/chat/completions', 'gpt-5-mini'],
      ['gpt-5-mini', 'openai/chat/completions', 'gpt-5-mini'],
      ['google-ai-studio/gemini-2.5-flash', 'google-ai-studio/v1beta/openai/chat/completions', 'gemini-2.5-flash'],
      ['gemini/gemini-2.5-flash', 'google-ai-studio/v1beta/openai/chat/completions', 'gemini-2.5-flash'],
      ['gemini-2.5-flash', 'google-ai-studio/v1beta/openai/chat/completions', 'gemini-2.5-flash'],
      ['anthropic/claude-haiku-4-5', 'anthropic/v1/chat/completions', 'claude-haiku-4-5'],
      ['claude-haiku-4-5', 'anthropic/v1/chat/completions', 'claude-haiku-4-5'],
      ['groq/openai/gpt-oss-20b', 'groq/chat/completions', 'openai/gpt-oss-20b'],
      ['mistral-large-latest', 'mistral/v1/chat/completions', 'mistral-large-latest'],
      ['deepseek-chat', 'deepseek/chat/completions', 'deepseek-chat'],
      ['xai/grok-4', 'grok/v1/chat/completions', 'grok-4'],
      ['perplexity/sonar', 'perplexity-ai/chat/completions', 'sonar'],
    ]) {
      const answer = await chat(openai(), model, 'Grüße 😀');
      assert.equal(answer.choices[0].message.content, 'You said: Grüße 😀', model);
      assert.deepEqual(await seen(), [path, own], model);
    }
  });

  test('a bare name that says nothing is found in the providers’ lists, which are asked for once', async () => {
    await world.keys('groq');
    await world.keys('cerebras');
    await world.keys('perplexity-ai');
    for (const text of ['one', 'two']) {
      const answer = await chat(openai(), 'llama3.1-8b', text);
      assert.equal(answer.choices[0].message.content, `You said: ${text}`);
      assert.equal((await seen())[0], 'cerebras/chat/completions');
    }
    assert.equal(await world.sim.count({ path: '/v1/account/one-balance/groq/models' }), 1);
    assert.equal(await world.sim.count({ path: '/v1/account/one-balance/cerebras/models' }), 1);
  });

  test('vendor/model is OpenRouter’s when the vendor has no keys here', async () => {
    await world.keys('openrouter');
    await chat(openai(), 'openai/gpt-5-mini');
    assert.deepEqual(await seen(), ['openrouter/chat/completions', 'openai/gpt-5-mini']);
    await chat(openai(), 'qwen/qwen3-coder:free');
    assert.deepEqual(await seen(), ['openrouter/chat/completions', 'qwen/qwen3-coder:free']);
    // A key that an administrator adds counts at once.
    await world.keys('openai');
    await chat(openai(), 'openai/gpt-5-mini');
    assert.deepEqual(await seen(), ['openai/chat/completions', 'gpt-5-mini']);
    await chat(openai(), 'openrouter/openai/gpt-5-mini');
    assert.deepEqual(await seen(), ['openrouter/chat/completions', 'openai/gpt-5-mini']);
    // A token sees only what it may use.
    await chat(openai('/v1', ONE), 'openai/gpt-5-mini');
    assert.deepEqual(await seen(), ['openrouter/chat/completions', 'openai/gpt-5-mini']);
  });

  test('a model that nobody here has is a 404 that lists what is there', async () => {
    const nothing = await errorOf(() => chat(openai(), 'gpt-5-mini'));
    assert.ok(nothing instanceof OpenAI.InternalServerError, String(nothing));
    assert.equal(nothing.status, 503);
    assert.match(nothing.message, /no usable key of `openai`/);
    await world.keys('groq');
    const missing = await errorOf(() => chat(openai(), 'gpt-5-mini'));
    assert.ok(missing instanceof OpenAI.NotFoundError, String(missing));
    assert.equal(missing.code, 'model_not_found');
    assert.match(missing.message, /a model of `openai`.*Providers with keys here: `groq`.*`groq\/llama-3.1-8b-instant`/);
    const unknown = await errorOf(() => chat(openai(), 'no-such-model'));
    assert.equal(unknown.code, 'model_not_found');
    assert.match(unknown.message, /no provider here lists it/);
    const named = await errorOf(() => chat(openai(), 'anthropic/claude-haiku-4-5'));
    assert.equal(named.status, 503);
    assert.match(named.message, /no usable key of `anthropic`/);
    const none = await errorOf(() => openai().chat.completions.create({ messages: user('hi') }));
    assert.ok(none instanceof OpenAI.BadRequestError, String(none));
    assert.match(none.message, /names no model/);
  });

  test('all that the SDK can do, with the provider in front of the model', async () => {
    await world.keys('openai', 1);
    const client = openai();
    let text = '';
    for await (const chunk of await client.chat.completions.create({ model: 'openai/gpt-5-mini', messages: user('one two three'), stream: true })) {
      text += chunk.choices[0]?.delta.content ?? '';
    }
    assert.equal(text, 'You said: one two three');
    assert.equal((await client.responses.create({ model: 'openai/gpt-5-mini', input: 'hi there' })).output_text, 'You said: hi there');
    assert.equal((await client.embeddings.create({ model: 'openai/text-embedding-3-small', input: ['a', 'b'] })).data.length, 2);
    assert.ok((await client.moderations.create({ input: 'x' })).results.length > 0);
    assert.equal((await client.models.retrieve('openai/gpt-5-mini')).id, 'gpt-5-mini');
    assert.ok((await client.audio.speech.create({ model: 'openai/tts-1', voice: 'alloy', input: 'hello' })).ok);
    const audio = await toFile(Buffer.alloc(5000, 7), 'a.mp3');
    assert.ok((await client.audio.transcriptions.create({ model: 'openai/whisper-1', file: audio })).text.length > 0);
    assert.equal((await world.sim.last()).model, 'whisper-1');
    assert.ok((await client.images.generate({ model: 'openai/gpt-image-1', prompt: 'a cat' })).data.length > 0);
    const file = await client.files.create({ file: await toFile(Buffer.from('{}\n'), 'b.jsonl'), purpose: 'batch' });
    assert.equal(await (await client.files.content(file.id)).text(), '{}\n');
  });

  test('a body is changed in no byte but the model’s name, and not at all when that stays', async () => {
    await world.keys('openai', 1);
    const big = 'x\u00e9😀"\\'.repeat(15_000);
    const make = (model) => `\n{ "messages":[{"role":"user","content":${JSON.stringify(big)},"model":"no"}],\t"model" : ${model} , "max_tokens":1.50 }`;
    const send = async (model) => {
      const answer = await world.main.send('/v1/chat/completions', { body: make(model), headers: { 'content-type': 'application/json' } });
      assert.equal(answer.status, 200, await answer.text());
      return (await world.sim.last()).body_fnv;
    };
    const plain = fnv1a(Buffer.from(make('"gpt-5-mini"')));
    assert.equal(await send('"gpt-5-mini"'), plain);
    assert.equal(await send('"openai/gpt-5-mini"'), plain);
    assert.equal(await send('"openai\\/gpt\\u002d5-mini"'), plain);
  });

  test('what people make of a base URL', async () => {
    await world.keys('groq', 1);
    const json = { model: 'groq/llama-3.1-8b-instant', messages: user('hi') };
    for (const path of [
      '/v1/chat/completions',
      '/v1/v1/chat/completions',
      '/v1//chat/completions',
      '/v1/chat/completions/',
      '/chat/completions',
      '/v1/chat/completions/chat/completions',
      '/v1/chat/completions/v1/chat/completions',
      '/openai/v1/chat/completions',
      '/api/v1/chat/completions',
      '/inference/v1/chat/completions',
    ]) {
      const answer = await world.main.send(path, { json });
      assert.equal(answer.status, 200, `${path}: ${await answer.text()}`);
      assert.equal((await seen())[0], 'groq/chat/completions', path);
    }
  });

  test('the token where other clients have it', async () => {
    await world.keys('openai', 1);
    const json = { model: 'gpt-5-mini', messages: user('hi') };
    for (const headers of [{ authorization: `Bearer ${TOKEN}` }, { 'x-api-key': TOKEN }, { 'api-key': TOKEN }, { 'x-goog-api-key': TOKEN }]) {
      const answer = await world.main.send('/v1/chat/completions', { json, headers, token: null });
      assert.equal(answer.status, 200, JSON.stringify(Object.keys(headers)));
    }
    const refused = await world.main.send('/v1/chat/completions', { json, token: null });
    assert.equal(refused.status, 401);
    assert.equal((await refused.json()).error.code, 'token_missing');
  });

  test('a cooling that was earned at /v1 counts for the provider itself', async () => {
    await world.keys('openai', 1);
    await world.sim.faults({ status: 429, headers: { 'retry-after': '600' }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } });
    const limited = await errorOf(() => chat(openai(), 'openai/gpt-5-mini'));
    assert.ok(limited instanceof OpenAI.RateLimitError, String(limited));
    const before = await world.sim.count();
    assert.equal((await world.main.ask('openai', 'gpt-5-mini')).status, 429);
    assert.equal(await world.sim.count(), before);
  });
});

describe('Gemini clients at /v1beta', () => {
  test('generate, stream, count, get', async () => {
    await world.keys('google-ai-studio', 1);
    const client = gemini();
    const model = 'gemini-2.5-flash';
    assert.equal((await client.models.generateContent({ model, contents: 'hi' })).text, 'You said: hi');
    let text = '';
    for await (const chunk of await client.models.generateContentStream({ model, contents: 'one two three' })) text += chunk.text ?? '';
    assert.equal(text, 'You said: one two three');
    assert.ok((await client.models.countTokens({ model, contents: 'hello' })).totalTokens > 0);
    assert.equal((await client.models.get({ model })).name, `models/${model}`);
  });

  test('the token in the header, as a Bearer, or in the query', async () => {
    await world.keys('google-ai-studio', 1);
    const json = { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] };
    const path = '/v1beta/models/gemini-2.5-flash:generateContent';
    for (const [query, headers] of [['', { 'x-goog-api-key': TOKEN }], ['', { authorization: `Bearer ${TOKEN}` }], [`?key=${TOKEN}`, {}]]) {
      const answer = await world.main.send(path + query, { json, headers, token: null });
      assert.equal(answer.status, 200, await answer.text());
    }
    const stable = await world.main.send('/v1/models/gemini-2.5-flash:generateContent', { json, headers: { 'x-goog-api-key': TOKEN }, token: null });
    assert.equal(stable.status, 200);
    assert.equal(gatewayPath(await world.sim.last()), 'google-ai-studio/v1/models/gemini-2.5-flash:generateContent');
    const layer = await world.main.send('/v1beta/openai/chat/completions', { json: { model: 'gemini-2.5-flash', messages: user('hi') } });
    assert.equal(layer.status, 200);
    const refused = await world.main.send(path, { json, token: 'wrong' });
    assert.equal((await refused.json()).error.status, 'UNAUTHENTICATED');
  });
});

describe('Anthropic clients', () => {
  const model = 'claude-haiku-4-5';
  const say = (content) => ({ model, max_tokens: 100, messages: user(content) });

  for (const [name, path] of [['/v1/messages', ''], ['/anthropic', '/anthropic']]) {
    test(`at ${name}: messages, streams, token counts, models`, async () => {
      await world.keys('anthropic', 1);
      // The SDK’s key goes into x-api-key, its token (and Claude Code’s) into Authorization.
      for (const how of [{ apiKey: TOKEN }, { authToken: TOKEN }]) {
        const client = anthropic(path, how);
        assert.equal((await client.messages.create(say('hi'))).content[0].text, 'You said: hi');
        const done = await client.messages.stream(say('one two three')).finalMessage();
        assert.equal(done.content[0].text, 'You said: one two three');
        assert.ok((await client.messages.countTokens({ model, messages: user('hello') })).input_tokens > 0);
        assert.equal((await client.models.retrieve(model)).id, model);
        assert.equal(gatewayPath(await world.sim.last()), `anthropic/v1/models/${model}`);
      }
    });
  }

  test('Claude Code’s ways: HEAD of the root, ?beta=true, its headers', async () => {
    await world.keys('anthropic', 1);
    const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'claude-code-20250219', 'x-app': 'cli' };
    const answer = await world.main.send('/v1/messages?beta=true', { headers, json: { ...say('hi'), metadata: { user_id: 'u' } } });
    assert.equal(answer.status, 200, await answer.text());
    const entry = await world.sim.last();
    assert.equal(gatewayPath(entry), 'anthropic/v1/messages');
    assert.equal(entry.query, 'beta=true');
    assert.ok((await world.main.send('/', { method: 'HEAD', token: null })).status < 500);
  });

  test('other providers that speak like Anthropic', async () => {
    await world.sim.config({ log_bodies: true });
    for (const provider of ['grok', 'openrouter', 'deepseek', 'openai']) await world.keys(provider);
    for (const [wanted, path, own] of [
      ['grok/grok-4', 'grok/v1/messages', 'grok-4'],
      ['grok-4', 'grok/v1/messages', 'grok-4'],
      ['deepseek/deepseek-chat', 'deepseek/anthropic/v1/messages', 'deepseek-chat'],
      ['anthropic/claude-haiku-4-5', 'openrouter/messages', 'anthropic/claude-haiku-4-5'],
    ]) {
      const answer = await anthropic().messages.create({ ...say('hi'), model: wanted });
      assert.equal(answer.content[0].text, 'You said: hi', wanted);
      assert.deepEqual(await seen(), [path, own], wanted);
    }
    const missing = await errorOf(() => anthropic().messages.create({ ...say('hi'), model: 'gpt-5-mini' }));
    assert.ok(missing instanceof Anthropic.NotFoundError, String(missing));
    assert.equal(missing.error.error.type, 'not_found_error');
  });
});
