// The official SDKs, unmodified: only the base URL and the token are ours.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { ApiError, GoogleGenAI } from '@google/genai';
import OpenAI, { toFile } from 'openai';
import { TOKEN, errorOf, startWorld } from './harness.mjs';

const SCOPED = 'scoped-token-1a2b3c4d5e6f';
const world = await startWorld({ isolates: { main: { AUTH_KEY: `${TOKEN};${SCOPED}=custom-other` } }, forbidden: [SCOPED] });
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

// Retries of the SDKs themselves would hide what the Worker answers.
const openai = (path = 'openai', apiKey = TOKEN) => new OpenAI({ apiKey, baseURL: `${world.main.url}/api/${path}`, maxRetries: 0 });
const gemini = (apiKey = TOKEN) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: `${world.main.url}/api/google-ai-studio` } });
const anthropic = (apiKey = TOKEN) => new Anthropic({ apiKey, baseURL: `${world.main.url}/api/anthropic`, maxRetries: 0 });

const user = (content) => [{ role: 'user', content }];
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

describe('openai', () => {
  for (const [path, provider, model] of [
    ['openai', 'openai', 'gpt-5-mini'],
    ['openai/v1', 'openai', 'gpt-5-mini'],
    ['groq', 'groq', 'llama-3.1-8b-instant'],
    ['openrouter', 'openrouter', 'deepseek/deepseek-r1:free'],
    ['compat', 'openai', 'openai/gpt-5-mini'],
    ['compat', 'google-ai-studio', 'google-ai-studio/gemini-2.5-flash'],
    ['google-ai-studio/v1beta/openai', 'google-ai-studio', 'gemini-2.5-flash'],
  ]) {
    test(`chat through /api/${path} with ${model}: whole, streamed, and with tools`, async () => {
      await world.keys(provider, 2);
      const client = openai(path);
      const whole = await client.chat.completions.create({ model, messages: user('Grüße 😀') });
      assert.equal(whole.choices[0].message.content, 'You said: Grüße 😀');
      let text = '';
      let pieces = 0;
      for await (const chunk of await client.chat.completions.create({ model, messages: user('one two three four'), stream: true })) {
        text += chunk.choices[0]?.delta.content ?? '';
        pieces += 1;
      }
      assert.equal(text, 'You said: one two three four');
      assert.ok(pieces > 2, `${pieces} pieces`);
      const tools = [{ type: 'function', function: { name: 'get_weather', parameters } }];
      const asked = await client.chat.completions.create({ model, messages: user('How is the weather?'), tools });
      const [call] = asked.choices[0].message.tool_calls;
      assert.equal(call.function.name, 'get_weather');
      assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Paris' });
      const told = await client.chat.completions.create({
        model,
        tools,
        messages: [...user('How is the weather?'), asked.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' }],
      });
      assert.equal(told.choices[0].message.content, 'The tool said: sunny');
    });
  }

  test('responses: whole and streamed', async () => {
    await world.keys('openai', 1);
    const whole = await openai().responses.create({ model: 'gpt-5-mini', input: 'hi there' });
    assert.equal(whole.output_text, 'You said: hi there');
    const kinds = new Set();
    let text = '';
    for await (const event of await openai().responses.create({ model: 'gpt-5-mini', input: 'hi there', stream: true })) {
      kinds.add(event.type);
      if (event.type === 'response.output_text.delta') text += event.delta;
    }
    assert.equal(text, 'You said: hi there');
    assert.ok(kinds.has('response.created') && kinds.has('response.completed'), [...kinds].join());
  });

  test('embeddings, moderations, models, speech, transcription, pictures, files', async () => {
    await world.keys('openai', 1);
    const client = openai();
    const { data } = await client.embeddings.create({ model: 'text-embedding-3-small', input: ['a', 'b'] });
    assert.equal(data.length, 2);
    assert.ok(data[0].embedding.every(Number.isFinite));
    assert.ok((await client.moderations.create({ input: 'x' })).results.length > 0);
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.ok(ids.includes('gpt-5-mini'));
    assert.equal((await client.models.retrieve('gpt-5-mini')).id, 'gpt-5-mini');
    const speech = await client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'hello' });
    assert.deepEqual([...new Uint8Array(await speech.arrayBuffer()).slice(0, 2)], [0xff, 0xfb]);
    const audio = await toFile(Buffer.alloc(5000, 7), 'a.mp3');
    assert.ok((await client.audio.transcriptions.create({ model: 'whisper-1', file: audio })).text.length > 0);
    const picture = await client.images.generate({ model: 'gpt-image-1', prompt: 'a cat' });
    assert.ok(picture.data[0].b64_json ?? picture.data[0].url);
    const file = await client.files.create({ file: await toFile(Buffer.from('{}\n'), 'b.jsonl'), purpose: 'batch' });
    assert.equal((await client.files.retrieve(file.id)).id, file.id);
    assert.equal(await (await client.files.content(file.id)).text(), '{}\n');
    assert.equal((await client.files.delete(file.id)).deleted, true);
  });

  test('errors arrive as the SDK’s own types', async () => {
    const ask = (client, model = 'gpt-5-mini', messages = user('hi')) => client.chat.completions.create({ model, messages });
    const empty = await errorOf(() => ask(openai()));
    assert.ok(empty instanceof OpenAI.InternalServerError, String(empty));
    assert.match(empty.message, /no usable key/);
    await world.keys('openai', 2);
    const unknown = await errorOf(() => ask(openai('openai', 'wrong-token')));
    assert.ok(unknown instanceof OpenAI.AuthenticationError, String(unknown));
    assert.equal(unknown.code, 'invalid_api_key');
    const scoped = await errorOf(() => ask(openai('openai', SCOPED)));
    assert.ok(scoped instanceof OpenAI.PermissionDeniedError, String(scoped));
    const missing = await errorOf(() => ask(openai(), 'model-does-not-exist'));
    assert.ok(missing instanceof OpenAI.NotFoundError, String(missing));
    assert.equal(missing.code, 'model_not_found');
    const bad = await errorOf(() => ask(openai(), 'gpt-5-mini', []));
    assert.ok(bad instanceof OpenAI.BadRequestError, String(bad));
    assert.equal(bad.param, 'messages');
    await world.sim.faults({ times: null, status: 429, headers: { 'retry-after': '300' }, body: { error: { message: 'Rate limit reached', type: 'requests', code: 'rate_limit_exceeded' } } });
    for (const who of ['the provider', 'the pool']) {
      const limited = await errorOf(() => ask(openai()));
      assert.ok(limited instanceof OpenAI.RateLimitError, `${who}: ${limited}`);
      assert.ok(Number(limited.headers.get('retry-after')) > 200, who);
      assert.equal(limited.code, 'rate_limit_exceeded', who);
    }
  });

  test('the SDK does not hammer an exhausted pool: it is told not to try again by itself', async () => {
    await world.keys('openai', 1);
    await world.sim.faults({ status: 429, headers: { 'retry-after': '3600' }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } });
    const eager = new OpenAI({ apiKey: TOKEN, baseURL: `${world.main.url}/api/openai`, maxRetries: 5 });
    await errorOf(() => openai().chat.completions.create({ model: 'gpt-5-mini', messages: user('hi') }));
    const error = await errorOf(() => eager.chat.completions.create({ model: 'gpt-5-mini', messages: user('hi') }));
    assert.ok(error instanceof OpenAI.RateLimitError, String(error));
    assert.equal(error.headers.get('x-should-retry'), 'false');
    assert.equal(await world.sim.count(), 1);
  });

  test('a bad key and an exhausted one in the pool are not seen by the SDK', async () => {
    await world.keys('openai', [{ state: 'invalid' }, { state: 'no_credit' }, {}]);
    for (let request = 0; request < 3; request += 1) {
      const answer = await openai().chat.completions.create({ model: 'gpt-5-mini', messages: user('hi') });
      assert.equal(answer.choices[0].message.content, 'You said: hi');
    }
  });
});

describe('@google/genai', () => {
  const model = 'gemini-2.5-flash';

  test('content: whole, streamed, and with tools', async () => {
    await world.keys('google-ai-studio', 2);
    const { models } = gemini();
    const whole = await models.generateContent({ model, contents: 'Grüße 😀' });
    assert.equal(whole.text, 'You said: Grüße 😀');
    let text = '';
    let pieces = 0;
    for await (const chunk of await models.generateContentStream({ model, contents: 'one two three four' })) {
      text += chunk.text ?? '';
      pieces += 1;
    }
    assert.equal(text, 'You said: one two three four');
    assert.ok(pieces > 1, `${pieces} pieces`);
    const asked = await models.generateContent({
      model,
      contents: 'How is the weather?',
      config: { tools: [{ functionDeclarations: [{ name: 'get_weather', parametersJsonSchema: parameters }] }] },
    });
    assert.deepEqual(asked.functionCalls.map(({ name, args }) => [name, args]), [['get_weather', { city: 'Paris' }]]);
  });

  test('chats, token counts, embeddings, the model list and speech', async () => {
    await world.keys('google-ai-studio', 1);
    const client = gemini();
    const chat = client.chats.create({ model });
    assert.equal((await chat.sendMessage({ message: 'first' })).text, 'You said: first');
    assert.equal((await chat.sendMessage({ message: 'second' })).text, 'You said: second');
    assert.ok((await client.models.countTokens({ model, contents: 'hello' })).totalTokens > 0);
    const { embeddings } = await client.models.embedContent({ model: 'gemini-embedding-001', contents: ['a', 'b'] });
    assert.equal(embeddings.length, 2);
    const names = [];
    for await (const one of await client.models.list({ config: { pageSize: 2 } })) names.push(one.name);
    assert.ok(names.includes(`models/${model}`) && names.length > 2, names.join());
    assert.equal((await client.models.get({ model })).name, `models/${model}`);
    const speech = await client.models.generateContent({ model: 'gemini-2.5-flash-preview-tts', contents: 'hello', config: { responseModalities: ['AUDIO'] } });
    assert.ok(speech.data.length > 0);
  });

  test('errors arrive as the SDK’s own type, with the status and the words', async () => {
    const ask = (client = gemini(), name = model) => client.models.generateContent({ model: name, contents: 'hi' });
    const empty = await errorOf(() => ask());
    assert.ok(empty instanceof ApiError, String(empty));
    assert.equal(empty.status, 503);
    await world.keys('google-ai-studio', 2);
    for (const [client, name, status, words] of [
      [gemini('wrong-token'), model, 401, /UNAUTHENTICATED/],
      [gemini(SCOPED), model, 403, /PERMISSION_DENIED/],
      [gemini(), 'model-does-not-exist', 404, /NOT_FOUND/],
    ]) {
      const error = await errorOf(() => ask(client, name));
      assert.ok(error instanceof ApiError, String(error));
      assert.equal(error.status, status);
      assert.match(error.message, words);
    }
    const bad = await errorOf(() => world.sim.faults({ case: 'gai-400-field' }).then(() => ask()));
    assert.equal(bad.status, 400);
    assert.match(bad.message, /INVALID_ARGUMENT/);
    await world.sim.faults({ times: null, match: { path_contains: 'generateContent' }, case: 'gai-429-rpd-paidtier2' });
    for (const who of ['the provider', 'the pool']) {
      const limited = await errorOf(() => ask());
      assert.ok(limited instanceof ApiError, `${who}: ${limited}`);
      assert.equal(limited.status, 429, who);
      assert.match(limited.message, /RESOURCE_EXHAUSTED/, who);
    }
  });
});

describe('@anthropic-ai/sdk', () => {
  const model = 'claude-haiku-4-5';
  const say = (content) => ({ model, max_tokens: 100, messages: user(content) });

  test('messages: whole, streamed, and with tools', async () => {
    await world.keys('anthropic', 2);
    const { messages } = anthropic();
    const whole = await messages.create(say('Grüße 😀'));
    assert.equal(whole.content[0].text, 'You said: Grüße 😀');
    const stream = messages.stream(say('one two three four'));
    let pieces = 0;
    stream.on('text', () => (pieces += 1));
    const done = await stream.finalMessage();
    assert.equal(done.content[0].text, 'You said: one two three four');
    assert.ok(pieces > 1, `${pieces} pieces`);
    const asked = await messages.create({ ...say('How is the weather?'), tools: [{ name: 'get_weather', input_schema: parameters }] });
    assert.equal(asked.stop_reason, 'tool_use');
    assert.deepEqual(asked.content[0].input, { city: 'Paris' });
  });

  test('token counts and the model list', async () => {
    await world.keys('anthropic', 1);
    const client = anthropic();
    assert.ok((await client.messages.countTokens({ model, messages: user('hello') })).input_tokens > 0);
    const ids = [];
    for await (const one of client.models.list({ limit: 2 })) ids.push(one.id);
    assert.ok(ids.includes(model), ids.join());
    assert.equal((await client.models.retrieve(model)).id, model);
  });

  test('errors arrive as the SDK’s own types', async () => {
    const ask = (client = anthropic(), more = {}) => client.messages.create({ ...say('hi'), ...more });
    const empty = await errorOf(() => ask());
    assert.ok(empty instanceof Anthropic.InternalServerError, String(empty));
    await world.keys('anthropic', 2);
    for (const [client, more, type, word] of [
      [anthropic('wrong-token'), {}, Anthropic.AuthenticationError, 'authentication_error'],
      [anthropic(SCOPED), {}, Anthropic.PermissionDeniedError, 'permission_error'],
      [anthropic(), { model: 'model-does-not-exist' }, Anthropic.NotFoundError, 'not_found_error'],
      [anthropic(), { max_tokens: undefined }, Anthropic.BadRequestError, 'invalid_request_error'],
    ]) {
      const error = await errorOf(() => ask(client, more));
      assert.ok(error instanceof type, `${word}: ${error}`);
      assert.equal(error.error?.error?.type, word);
    }
    await world.sim.faults({ times: null, status: 429, headers: { 'retry-after': '300' }, body: { type: 'error', error: { type: 'rate_limit_error', message: 'limit' } } });
    for (const who of ['the provider', 'the pool']) {
      const limited = await errorOf(() => ask());
      assert.ok(limited instanceof Anthropic.RateLimitError, `${who}: ${limited}`);
      assert.equal(limited.error?.error?.type, 'rate_limit_error', who);
      assert.ok(Number(limited.headers.get('retry-after')) > 200, who);
    }
  });
});
