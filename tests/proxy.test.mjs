// The way of one request through the Worker and back: what arrives at the gateway, what comes back.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import WebSocket, { WebSocketServer } from 'ws';
import { TOKEN, attemptsOf, eventually, fnv1a, startWorld } from './harness.mjs';

// A gateway of the test's own, for what the simulator does not play. It stands where the isolate
// `own` looks for the AI Gateway.
const own = { seen: [], answer: (_request, response) => response.end() };
const server = http.createServer((request, response) => {
  own.seen.push({ path: request.url, headers: request.headers });
  request.resume();
  own.answer(request, response);
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket, request) => {
  own.seen.push({ path: request.url, headers: request.headers });
  socket.on('message', (data) => socket.send(`echo: ${data}`));
});

await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const world = await startWorld({
  isolates: { main: {} },
  others: {
    gated: { AI_GATEWAY_TOKEN: 'cloudflare-token-of-the-gateway' },
    own: { GATEWAY_URL: `http://127.0.0.1:${server.address().port}/v1/account/one-balance` },
  },
});
after(() => {
  for (const socket of sockets.clients) socket.terminate();
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  own.seen = [];
  own.answer = (_request, response) => response.end();
  await world.fresh();
});
afterEach(() => world.assertClean());

// JSON as no serializer writes it, so that a body that was parsed and written again is noticed.
const odd = (model, field = 'model') =>
  `{ "stream" :false,\n  "n": 1.0e0, "messages":[ {"role":"user","content":"\\u00fc ü 😀 \\/ \\"model\\": \\"no\\""} ],\t"${field}" : "${model}" , "big":12345678901234567890}\r\n`;

// provider, what follows it, where the key belongs, the model that is cooled, the body
const PROVIDERS = [
  ['openai', 'chat/completions', 'authorization', 'Bearer ', 'gpt-5-mini', odd('gpt-5-mini')],
  ['openai', 'responses', 'authorization', 'Bearer ', 'gpt-5-mini', '{"input":"hi","model":"gpt-5-mini"}'],
  ['google-ai-studio', 'v1beta/models/gemini-2.5-flash:generateContent', 'x-goog-api-key', '', 'gemini-2.5-flash', '{"contents":[{"parts":[{"text":"hi"}]}],"model":"models/other"}'],
  ['google-ai-studio', 'v1beta/openai/chat/completions', 'authorization', 'Bearer ', 'gemini-2.5-flash', odd('gemini-2.5-flash')],
  ['anthropic', 'v1/messages', 'x-api-key', '', 'claude-haiku-4-5', '{"max_tokens":8,"messages":[{"role":"user","content":"hi"}],"model":"claude-haiku-4-5"}'],
  ['groq', 'chat/completions', 'authorization', 'Bearer ', 'openai/gpt-oss-20b', odd('openai/gpt-oss-20b')],
  ['openrouter', 'chat/completions', 'authorization', 'Bearer ', 'qwen/qwen3-coder:free', odd('qwen/qwen3-coder:free')],
  ['mistral', 'v1/chat/completions', 'authorization', 'Bearer ', 'mistral-small-latest', odd('mistral-small-latest')],
  ['perplexity-ai', 'chat/completions', 'authorization', 'Bearer ', 'sonar', odd('sonar')],
  ['deepseek', 'chat/completions', 'authorization', 'Bearer ', 'deepseek-chat', odd('deepseek-chat')],
  ['cerebras', 'chat/completions', 'authorization', 'Bearer ', 'gpt-oss-120b', odd('gpt-oss-120b')],
  ['grok', 'v1/chat/completions', 'authorization', 'Bearer ', 'grok-4', odd('grok-4')],
  ['fireworks', 'chat/completions', 'authorization', 'Bearer ', 'accounts/f/models/x', odd('accounts/f/models/x')],
  ['baseten', 'v1/chat/completions', 'authorization', 'Bearer ', 'deepseek-ai/V3', odd('deepseek-ai/V3')],
  ['workers-ai', '@cf/meta/llama-3.1-8b-instruct', 'authorization', 'Bearer ', '@cf/meta/llama-3.1-8b-instruct', '{"prompt":"hi"}'],
  ['workers-ai', 'v1/chat/completions', 'authorization', 'Bearer ', '@cf/meta/llama', odd('@cf/meta/llama')],
  ['azure-openai', 'resource/deployment/chat/completions?api-version=2024-10-21', 'api-key', '', 'deployment', odd('ignored')],
  ['google-vertex-ai', 'v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro:generateContent', 'authorization', 'Bearer ', 'gemini-2.5-pro', '{"contents":[{"parts":[{"text":"hi"}]}]}'],
  ['aws-bedrock', 'bedrock-runtime/us-east-1/model/us.anthropic.claude-x/invoke', 'authorization', 'Bearer ', 'us.anthropic.claude-x', '{"max_tokens":8,"messages":[]}'],
  ['cohere', 'v2/chat', 'authorization', 'Bearer ', 'command-r', odd('command-r')],
  ['huggingface', 'org/model', 'authorization', 'Bearer ', 'org/model', '{"inputs":"hi"}'],
  ['replicate', 'models/owner/name/predictions', 'authorization', 'Bearer ', 'owner/name', '{"input":{"prompt":"hi"}}'],
  ['fal', 'fal-ai/flux/dev', 'authorization', 'Key ', 'fal-ai/flux/dev', '{"prompt":"hi"}'],
  ['ideogram', 'v1/ideogram-v3/generate', 'api-key', '', 'ideogram-v3', '{"prompt":"hi"}'],
  ['cartesia', 'tts/bytes', 'x-api-key', '', 'sonic-2', '{"model_id":"sonic-2","transcript":"hi"}'],
  ['elevenlabs', 'v1/text-to-speech/voice', 'xi-api-key', '', 'eleven_v3', '{"text":"hi","model_id":"eleven_v3"}'],
  ['deepgram', 'v1/speak?model=aura-2', 'authorization', 'Token ', 'aura-2', '{"text":"hi"}'],
  ['parallel', 'v1beta/chat/completions', 'x-api-key', '', 'speed', odd('speed')],
  ['custom-mine', 'v1/chat/completions', 'authorization', 'Bearer ', 'own-model', odd('own-model')],
];

describe('providers', () => {
  for (const [provider, path, header, scheme, model, body] of PROVIDERS) {
    test(`${provider}/${path.split('?')[0]}: the pool's key goes into ${header}, everything else arrives as it was sent`, async () => {
      const [key] = await world.keys(provider, 1);
      const answer = await world.main.api(`${provider}/${path}`, {
        body,
        headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', 'cartesia-version': '2024-06-10', 'x-own-header': 'kept' },
      });
      assert.ok(answer.status === 200 || answer.status === 201, answer.text);
      assert.equal(attemptsOf(answer), 1);
      const seen = await world.sim.last();
      const [upstream, query = ''] = path.split('?');
      assert.equal(seen.method, 'POST');
      assert.equal(seen.path, `/v1/account/one-balance/${provider}/${upstream}`);
      assert.equal(seen.query, query);
      assert.equal(seen.headers[header], scheme + key);
      assert.equal(seen.headers['x-own-header'], 'kept');
      assert.equal(seen.headers['content-type'], 'application/json');
      assert.equal(seen.body_len, Buffer.byteLength(body));
      assert.equal(seen.body_fnv, fnv1a(Buffer.from(body)));
      if (model !== null) assert.equal(seen.model, model);
    });
  }

  test('a Claude subscription token goes into Authorization instead of x-api-key', async () => {
    const key = 'sk-ant-oat01-0123456789abcdef';
    await world.sim.keys([{ provider: 'anthropic', key }]);
    await world.main.addKeys('anthropic', [key]);
    const answer = await world.main.ask('anthropic', 'claude-haiku-4-5');
    assert.equal(answer.status, 200, answer.text);
    const seen = await world.sim.last();
    assert.equal(seen.headers.authorization, `Bearer ${key}`);
    assert.equal(seen.headers['x-api-key'], undefined);
  });
});

describe('what must not arrive', () => {
  test('credentials of the client go nowhere, wherever they stand', async () => {
    const [key] = await world.keys('openai', 1);
    const answer = await world.main.api(`openai/chat/completions?key=${TOKEN}&api_key=${TOKEN}&access_token=${TOKEN}&KEY=${TOKEN}&user=u`, {
      json: { model: 'gpt-5-mini', messages: [{ role: 'user', content: 'hi' }] },
      headers: {
        authorization: `Bearer ${TOKEN}`,
        'x-api-key': TOKEN,
        'x-goog-api-key': 'placeholder',
        'api-key': TOKEN,
        'xi-api-key': TOKEN,
        cookie: `auth_key=${TOKEN}; session=1`,
        'proxy-authorization': `Basic ${TOKEN}`,
        'cf-access-client-secret': TOKEN,
        'x-auth-token': TOKEN,
      },
    });
    assert.equal(answer.status, 200, answer.text);
    const seen = await world.sim.last();
    assert.equal(seen.headers.authorization, `Bearer ${key}`);
    assert.equal(seen.query, 'user=u');
    for (const name of ['x-api-key', 'x-goog-api-key', 'api-key', 'xi-api-key', 'cookie', 'proxy-authorization', 'cf-access-client-secret', 'x-auth-token']) {
      assert.equal(seen.headers[name], undefined, name);
    }
  });

  test('where the client is stays here', async () => {
    await world.keys('openai', 1);
    await world.main.ask('openai', 'gpt-5-mini', {
      headers: {
        'cf-connecting-ip': '203.0.113.7',
        'x-forwarded-for': '203.0.113.7',
        'x-real-ip': '203.0.113.7',
        'cf-ipcountry': 'XX',
        'true-client-ip': '203.0.113.7',
        forwarded: 'for=203.0.113.7',
        origin: 'https://app.example',
        referer: 'https://app.example/page',
      },
    });
    const { headers } = await world.sim.last();
    assert.ok(!JSON.stringify(headers).includes('203.0.113.7'), JSON.stringify(headers));
    assert.ok(!JSON.stringify(headers).includes('app.example'), JSON.stringify(headers));
  });

  test('of the gateway controls a client may set those about caching, logs and labels, and no others', async () => {
    await world.keys('openai', 1);
    await world.main.ask('openai', 'gpt-5-mini', {
      headers: {
        'cf-aig-cache-ttl': '3600',
        'cf-aig-skip-cache': 'true',
        'cf-aig-collect-log': 'false',
        'cf-aig-metadata': '{"team":"a"}',
        'cf-aig-max-attempts': '5',
        'cf-aig-no-wholesale': 'false',
        'cf-aig-byok-alias': 'production',
        'cf-aig-authorization': 'Bearer of-the-client',
      },
    });
    const { headers } = await world.sim.last();
    assert.equal(headers['cf-aig-cache-ttl'], '3600');
    assert.equal(headers['cf-aig-skip-cache'], 'true');
    assert.equal(headers['cf-aig-collect-log'], 'false');
    assert.equal(headers['cf-aig-metadata'], '{"team":"a"}');
    assert.equal(headers['cf-aig-max-attempts'], '1');
    assert.equal(headers['cf-aig-no-wholesale'], 'true');
    assert.equal(headers['cf-aig-byok-alias'], undefined);
    assert.equal(headers['cf-aig-authorization'], undefined);
  });

  test('headers that would lead the key elsewhere, or act for another account, stay here', async () => {
    await world.keys('openai', 1);
    await world.main.ask('openai', 'gpt-5-mini', {
      headers: {
        'x-fal-target-url': 'https://evil.example/',
        'x-http-method-override': 'DELETE',
        'openai-organization': 'org-of-the-client',
        'openai-project': 'proj-of-the-client',
        'x-goog-user-project': 'project-of-the-client',
      },
    });
    const { headers } = await world.sim.last();
    for (const name of ['x-fal-target-url', 'x-http-method-override', 'openai-organization', 'openai-project', 'x-goog-user-project']) {
      assert.equal(headers[name], undefined, name);
    }
  });

  test('AI_GATEWAY_TOKEN opens a gateway that asks for a token', async () => {
    await world.use('gated');
    await world.sim.config({ gateway_token: 'cloudflare-token-of-the-gateway' });
    await world.keys('openai', 1);
    assert.equal((await world.gated.ask('openai', 'gpt-5-mini')).status, 200);
    const { headers } = await world.sim.last();
    assert.equal(headers['cf-aig-authorization'], 'Bearer cloudflare-token-of-the-gateway');
  });
});

describe('query, method and body', () => {
  test('the query arrives byte for byte, without the credential in it', async () => {
    await world.keys('google-ai-studio', 1);
    const query = 'alt=sse&b=%20x%2F&a=1&b=2&empty=&flag&%24x=%C3%BC+ü'.replace('ü', '%C3%BC');
    const path = 'google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent';
    const answer = await world.main.api(`${path}?key=${TOKEN}&${query}`, {
      token: null,
      json: { contents: [{ parts: [{ text: 'hi' }] }] },
    });
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await world.sim.last()).query, query);
  });

  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
    test(`${method} stays ${method}`, async () => {
      await world.keys('custom-mine', 1);
      const body = method === 'GET' ? undefined : '{"a":1}';
      const answer = await world.main.api('custom-mine/v2/things/7', { method, body, headers: { 'content-type': 'application/json' } });
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(answer.json, { ok: true, path: 'v2/things/7', echo: body ? { a: 1 } : null });
      assert.equal((await world.sim.last()).method, method);
    });
  }

  test('requests that name no model are served: lists, one model, files', async () => {
    await world.keys('openai', 1);
    await world.keys('google-ai-studio', 1);
    await world.keys('anthropic', 1);
    const openai = await world.main.api('openai/models');
    assert.ok(openai.json.data.some(({ id }) => id === 'gpt-5-mini'), openai.text);
    const gemini = await world.main.api('google-ai-studio/v1beta/models?pageSize=2');
    assert.equal(gemini.json.models.length, 2, gemini.text);
    const anthropic = await world.main.api('anthropic/v1/models', { headers: { 'anthropic-version': '2023-06-01' } });
    assert.equal(anthropic.json.has_more, false, anthropic.text);
    const form = new FormData();
    form.set('purpose', 'batch');
    form.set('file', new Blob(['{"model":"not-this"}\n']), 'batch.jsonl');
    const file = await world.main.api('openai/files', { body: form });
    assert.equal(file.status, 200, file.text);
    assert.equal((await world.sim.last()).model, null);
    const removed = await world.main.api(`openai/files/${file.json.id}`, { method: 'DELETE' });
    assert.equal(removed.json.deleted, true, removed.text);
  });

  test('a body of 5 MB with the model at its end arrives whole, and the model is found', async () => {
    await world.keys('openai', [{ models: { 'gpt-5-mini': { rpm: 100 } } }]);
    const image = 'A'.repeat(5 * 1024 * 1024);
    const body = `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,${image}"}},{"type":"text","text":"\\"model\\":\\"wrong\\""}]}],"nested":{"model":"wrong"},"model":"gpt-5-mini"}`;
    const answer = await world.main.api('openai/chat/completions', { body, headers: { 'content-type': 'application/json' } });
    assert.equal(answer.status, 200, answer.text.slice(0, 500));
    const seen = await world.sim.last();
    assert.equal(seen.model, 'gpt-5-mini');
    assert.equal(seen.body_len, body.length);
    assert.equal(seen.body_fnv, fnv1a(Buffer.from(body)));
  });

  test('what is cooled is the model that the provider reads: escapes, nesting and texts do not fool us', async () => {
    const [key] = await world.keys('openai', 1);
    const bodies = [
      ['{"mod\\u0065l":"esc-1","messages":[{"role":"user","content":"x"}]}', 'esc-1'],
      ['{"a":{"model":"wrong"},"model":"nest-2","b":[{"model":"wrong"}],"messages":[{"role":"user","content":"x"}]}', 'nest-2'],
      ['{"content":"\\"model\\":\\"wrong\\"","model":"text-3"}', 'text-3'],
      ['\ufeff {"model":"caf\\u00e9\\/4"}', 'café/4'],
      ['{"content":"\\\\","model":"slash-5"}', 'slash-5'],
    ];
    for (const [body, model] of bodies) {
      await world.sim.faults({ status: 429, headers: { 'retry-after': '600' }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } });
      const answer = await world.main.api('openai/chat/completions', { body, headers: { 'content-type': 'application/json' } });
      assert.equal(answer.status, 429, answer.text);
      await eventually(async () => {
        const { coolings } = await world.main.find(key);
        assert.ok(coolings.some((cooling) => cooling.model === model), `${model} in ${JSON.stringify(coolings)}`);
      });
    }
    const { coolings } = await world.main.find(key);
    assert.deepEqual(coolings.map((cooling) => cooling.model).sort(), bodies.map(([, model]) => model).sort());
  });

  test('the model of a multipart form is found, and its bytes arrive as they were sent', async () => {
    await world.keys('openai', 1);
    const boundary = 'xYzZY';
    const audio = Buffer.from(Array.from({ length: 3000 }, (_, index) => (index * 7) % 256));
    const part = (name, value) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const body = Buffer.concat([
      Buffer.from(`${part('language', 'en')}--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n`),
      audio,
      Buffer.from(`\r\n${part('model', 'whisper-1')}--${boundary}--\r\n`),
    ]);
    const answer = await world.main.api('openai/audio/transcriptions', {
      body,
      headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    });
    assert.equal(answer.status, 200, answer.text);
    const seen = await world.sim.last();
    assert.equal(seen.model, 'whisper-1');
    assert.equal(seen.body_fnv, fnv1a(body));
    assert.equal(seen.headers['content-type'], `multipart/form-data; boundary=${boundary}`);
  });

  test('the model of a multipart form is the one that is cooled', async () => {
    const [key] = await world.keys('openai', 1);
    await world.sim.faults({ status: 429, headers: { 'retry-after': '600' }, body: { error: { message: 'Rate limit', code: 'rate_limit_exceeded' } } });
    const form = new FormData();
    form.set('file', new Blob([new Uint8Array(2000)]), 'a.mp3');
    form.set('model', 'whisper-1');
    await world.main.api('openai/audio/transcriptions', { body: form });
    await eventually(async () => {
      const { coolings } = await world.main.find(key);
      assert.deepEqual(coolings.map(({ model }) => model), ['whisper-1']);
    });
  });

  test('bodies that are not JSON arrive as they are: bytes, text, nothing', async () => {
    await world.keys('deepgram', 1);
    const audio = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 31) % 256));
    const heard = await world.main.api('deepgram/v1/listen?model=nova-3&smart_format=true', {
      body: audio,
      headers: { 'content-type': 'audio/wav' },
    });
    assert.equal(heard.status, 200, heard.text);
    const seen = await world.sim.last();
    assert.equal(seen.body_fnv, fnv1a(audio));
    assert.equal(seen.model, 'nova-3');
    assert.equal(seen.query, 'model=nova-3&smart_format=true');
    await world.keys('custom-mine', 1);
    const empty = await world.main.api('custom-mine/run', { method: 'POST' });
    assert.equal(empty.status, 200, empty.text);
    assert.equal((await world.sim.last()).body_len, 0);
  });

  test('a body that is too large is refused before it is read', async () => {
    const answer = await world.main.raw({
      method: 'POST',
      path: '/api/openai/files',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/octet-stream', 'content-length': String(200 * 1024 * 1024) },
    });
    assert.equal(answer.status, 413, answer.text);
    assert.match(answer.json.error.message, /MiB/);
    assert.equal(await world.sim.count(), 0);
  });

  test('a model name that cannot be one is refused, or at least not kept', async () => {
    await world.keys('openai', 1);
    for (const model of ['x'.repeat(20_000), 'a\u0000b', '']) {
      await world.sim.faults({ status: 429, headers: { 'retry-after': '600' }, body: { error: { message: 'limit', code: 'rate_limit_exceeded' } } });
      await world.main.api('openai/chat/completions', { json: { model, messages: [{ role: 'user', content: 'x' }] } });
      await world.sim.clearFaults();
    }
    const [{ longest }] = await world.query('SELECT max(length(model)) AS longest FROM coolings');
    assert.ok((longest ?? 0) < 1000, String(longest));
  });

  test('broken JSON is the caller’s mistake: the provider’s own answer comes back', async () => {
    await world.keys('openai', 1);
    const answer = await world.main.api('openai/chat/completions', { body: '{"model":', headers: { 'content-type': 'application/json' } });
    assert.equal(answer.status, 400);
    assert.match(answer.json.error.message, /could not parse the JSON body/);
    assert.equal(await world.sim.count(), 1);
  });
});

describe('compat', () => {
  const chat = (model, path = 'compat/chat/completions') => world.main.api(path, { body: odd(model), headers: { 'content-type': 'application/json' } });

  for (const [model, provider, bare] of [
    ['openai/gpt-5-mini', 'openai', 'gpt-5-mini'],
    ['openrouter/deepseek/deepseek-r1:free', 'openrouter', 'deepseek/deepseek-r1:free'],
    ['workers-ai/@cf/meta/llama-3.1-8b-instruct', 'workers-ai', '@cf/meta/llama-3.1-8b-instruct'],
    ['google-ai-studio/gemini-2.5-flash', 'google-ai-studio', 'gemini-2.5-flash'],
    ['anthropic/claude-haiku-4-5', 'anthropic', 'claude-haiku-4-5'],
    ['perplexity/sonar', 'perplexity-ai', 'sonar'],
    ['grok/grok-4', 'grok', 'grok-4'],
    ['custom-mine/a/b/c', 'custom-mine', 'a/b/c'],
  ]) {
    test(`the model ${model} is ${bare} of ${provider}, with its key as a bearer token`, async () => {
      const [key] = await world.keys(provider, 1);
      await world.keys('fireworks', 1);
      const answer = await chat(model);
      assert.equal(answer.status, 200, answer.text);
      const seen = await world.sim.last();
      assert.equal(seen.path, '/v1/account/one-balance/compat/chat/completions');
      assert.equal(seen.provider, provider);
      assert.equal(seen.model, bare);
      assert.equal(seen.headers.authorization, `Bearer ${key}`);
      assert.equal(seen.body_fnv, fnv1a(Buffer.from(odd(model))));
    });
  }

  test('a cooling that was earned through compat counts for the provider itself, and for that model only', async () => {
    const [key] = await world.keys('openrouter', 1);
    await world.sim.faults({ status: 429, headers: { 'retry-after': '600' }, body: { error: { message: 'Provider returned error', code: 429 } } });
    assert.equal((await chat('openrouter/deepseek/deepseek-r1')).status, 429);
    const calls = await world.sim.count();
    const direct = await world.main.ask('openrouter', 'deepseek/deepseek-r1');
    assert.equal(direct.status, 429, direct.text);
    assert.equal(await world.sim.count(), calls, 'no call to a key that is known to be exhausted');
    assert.equal((await chat('openrouter/deepseek/deepseek-v3')).status, 200);
    await eventually(async () => {
      const { coolings } = await world.main.find(key);
      assert.deepEqual(coolings.map(({ model }) => model), ['deepseek/deepseek-r1']);
    });
  });

  test('a model without a provider in front, or with an unknown one, is refused with a sentence that helps', async () => {
    for (const model of ['gpt-5-mini', 'nobody/gpt-5-mini', '/gpt', 'gemini/gemini-2.5-flash']) {
      const answer = await chat(model);
      assert.equal(answer.status, 400, `${model}: ${answer.text}`);
      assert.match(answer.json.error.message, /provider/);
    }
    assert.match((await chat('gemini/gemini-2.5-flash')).json.error.message, /google-ai-studio\/gemini-2\.5-flash/);
    assert.equal(await world.sim.count(), 0);
  });

  test('a base URL that ends in /v1 works', async () => {
    await world.keys('openai', 1);
    const answer = await chat('openai/gpt-5-mini', 'compat/v1/chat/completions');
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await world.sim.last()).path, '/v1/account/one-balance/compat/chat/completions');
  });

  test('a dynamic route runs on the gateway’s own keys: none of ours goes along', async () => {
    await world.keys('openai', 1);
    const answer = await chat('dynamic/support');
    assert.ok([200, 400].includes(answer.status), answer.text);
    for (const seen of await world.sim.requests()) assert.equal(seen.key, null);
  });
});

describe('base URLs as clients write them', () => {
  for (const [sent, arrives, provider] of [
    ['openai/v1/chat/completions', 'openai/chat/completions', 'openai'],
    ['openai//v1///chat/completions', 'openai/chat/completions', 'openai'],
    ['groq/openai/v1/chat/completions', 'groq/chat/completions', 'groq'],
    ['groq/v1/chat/completions', 'groq/chat/completions', 'groq'],
    ['openrouter/api/v1/chat/completions', 'openrouter/chat/completions', 'openrouter'],
    ['mistral/chat/completions', 'mistral/v1/chat/completions', 'mistral'],
    ['anthropic/messages', 'anthropic/v1/messages', 'anthropic'],
    ['anthropic/v1/v1/messages', 'anthropic/v1/messages', 'anthropic'],
    ['google-ai-studio/models/gemini-2.5-flash:generateContent', 'google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent', 'google-ai-studio'],
    ['google-ai-studio/v1beta/v1beta/models/gemini-2.5-flash:generateContent', 'google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent', 'google-ai-studio'],
    ['google-ai-studio/v1beta/openai/v1/chat/completions', 'google-ai-studio/v1beta/openai/chat/completions', 'google-ai-studio'],
    ['google-ai-studio/chat/completions', 'google-ai-studio/v1beta/openai/chat/completions', 'google-ai-studio'],
  ]) {
    test(`${sent} becomes ${arrives}`, async () => {
      await world.keys(provider, 1);
      const json = sent.includes('generateContent')
        ? { contents: [{ parts: [{ text: 'hi' }] }] }
        : { model: 'some-model', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] };
      const answer = await world.main.api(sent, { json, headers: { 'anthropic-version': '2023-06-01' } });
      assert.equal(answer.status, 200, answer.text);
      assert.equal((await world.sim.last()).path, `/v1/account/one-balance/${arrives}`);
    });
  }
});

describe('answers', () => {
  test('a streamed answer arrives piece by piece: the first one is here while the provider still speaks', async () => {
    await world.keys('openai', 1);
    await world.sim.config({ stream_chunks: 100_000, stream_delay_ms: 20 });
    const response = await world.main.send('/api/openai/chat/completions', {
      json: { model: 'gpt-5-mini', stream: true, messages: [{ role: 'user', content: 'hello '.repeat(10_000) }] },
    });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
    const reader = response.body.getReader();
    const { value, done } = await reader.read();
    assert.equal(done, false);
    assert.match(Buffer.from(value).toString(), /^data: \{"id":"chatcmpl-/);
    assert.equal((await world.sim.stats()).in_flight, 1, 'the provider has not finished');
    await reader.cancel();
    // The caller has hung up: the provider must be told, or it goes on and bills for it.
    await eventually(async () => assert.equal((await world.sim.stats()).disconnected, 1));
  });

  for (const [provider, model, end] of [
    ['openai', 'gpt-5-mini', /data: \[DONE\]\n\n$/],
    ['google-ai-studio', 'gemini-2.5-flash', /"finishReason":"STOP".*\r\n\r\n$/s],
    ['anthropic', 'claude-haiku-4-5', /event: message_stop\ndata: .*\n\n$/],
  ]) {
    test(`a whole stream of ${provider} comes through`, async () => {
      await world.keys(provider, 1);
      await world.sim.config({ stream_chunks: 200 });
      const answer = await world.main.ask(provider, model, { stream: true, text: 'ü😀'.repeat(300) });
      assert.equal(answer.status, 200, answer.text);
      assert.match(answer.text, end);
      const said = [...answer.text.matchAll(/"(?:content|text)":"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => JSON.parse(`"${text}"`)).join('');
      assert.ok(said.includes('ü😀'.repeat(300)), `every piece is there: ${said.slice(0, 100)}`);
    });
  }

  test('a stream that breaks off upstream is not repeated, and does not end as if it were whole', async () => {
    await world.keys('openai', 3);
    await world.sim.config({ stream_chunks: 10, stream_delay_ms: 5 });
    await world.sim.faults({ cut_after_chunks: 3 });
    const answer = await world.main.ask('openai', 'gpt-5-mini', { stream: true }).catch((error) => error);
    if (answer.status === 200) {
      assert.equal(answer.text.split('data: ').length - 1, 3, answer.text);
      assert.ok(!answer.text.includes('[DONE]'));
    }
    assert.equal(await world.sim.count(), 1, 'what has begun is not repeated');
  });

  test('bytes come through as they are', async () => {
    await world.keys('elevenlabs', 1);
    const response = await world.main.send('/api/elevenlabs/v1/text-to-speech/voice', { json: { text: 'x'.repeat(1600), model_id: 'eleven_v3' } });
    assert.equal(response.headers.get('content-type'), 'audio/mpeg');
    const bytes = Buffer.from(await response.arrayBuffer());
    const frame = Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0x00]), Buffer.alloc(413)]);
    assert.ok(bytes.equals(Buffer.concat(Array.from({ length: 100 }, () => frame))), `${bytes.length} bytes`);
  });

  test('a compressed answer stays readable', async () => {
    await world.use('own');
    const text = JSON.stringify({ data: 'ü'.repeat(5000) });
    own.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(gzipSync(text));
    };
    await world.main.addKeys('openai', ['sk-0123456789abcdef']);
    assert.equal((await world.own.api('openai/models')).text, text);
  });

  test('a compressed error stays readable', async () => {
    await world.use('own');
    own.answer = (_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(gzipSync('{"error":{"message":"no such thing"}}'));
    };
    await world.main.addKeys('openai', ['sk-0123456789abcdef']);
    const answer = await world.own.api('openai/files/x');
    assert.equal(answer.status, 404);
    assert.equal(answer.json?.error.message, 'no such thing', answer.text);
  });

  test('a redirect is handed to the caller: a key never follows it', async () => {
    await world.use('own');
    own.answer = (_request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${server.address().port}/elsewhere` });
      response.end();
    };
    await world.main.addKeys('openai', ['sk-0123456789abcdef']);
    const response = await world.own.send('/api/openai/files/x/content');
    assert.equal(response.status, 302);
    await response.text();
    assert.deepEqual(own.seen.map(({ path }) => path), ['/v1/account/one-balance/openai/files/x/content']);
  });

  test('answers without a body and unusual statuses come through', async () => {
    await world.use('own');
    await world.main.addKeys('openai', ['sk-0123456789abcdef']);
    for (const status of [202, 204, 304]) {
      own.answer = (_request, response) => {
        response.writeHead(status);
        response.end();
      };
      const answer = await world.own.api('openai/files/x');
      assert.equal(answer.status, status);
    }
  });

  test('the provider’s headers come through but for cookies, and ours are added', async () => {
    await world.keys('openai', 1);
    await world.sim.faults({ status: 200, body: { ok: true }, headers: { 'set-cookie': '__cf_bm=1', 'x-request-id': 'req-1', 'openai-processing-ms': '7' } });
    const answer = await world.main.ask('openai', 'gpt-5-mini');
    assert.equal(answer.headers.get('x-request-id'), 'req-1');
    assert.equal(answer.headers.get('openai-processing-ms'), '7');
    assert.equal(answer.headers.get('cf-aig-cache-status'), 'MISS');
    assert.equal(answer.headers.get('set-cookie'), null);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    assert.equal(answer.headers.get('one-balance-attempts'), '1');
  });

  test('an error inside a stream is the caller’s to see, and costs no key', async () => {
    const [key] = await world.keys('openai', 1);
    await world.sim.faults({ error_after_chunks: 2 });
    const answer = await world.main.ask('openai', 'gpt-5-mini', { stream: true });
    assert.equal(answer.status, 200);
    assert.match(answer.text, /server_error/);
    assert.equal((await world.main.find(key)).state, 'ready');
  });
});

describe('browsers', () => {
  test('a preflight is answered without a token and without a call upstream', async () => {
    const answer = await world.main.api('openai/chat/completions', {
      method: 'OPTIONS',
      token: null,
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-stainless-os',
      },
    });
    assert.ok(answer.status === 204 || answer.status === 200, String(answer.status));
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    assert.match(answer.headers.get('access-control-allow-headers'), /authorization/i);
    assert.match(answer.headers.get('access-control-allow-headers'), /x-stainless-os/i);
    assert.match(answer.headers.get('access-control-allow-methods'), /POST/);
    assert.match(answer.headers.get('access-control-allow-methods'), /DELETE/);
    assert.equal(await world.sim.count(), 0);
  });

  test('our own errors can be read by a page as well', async () => {
    const answer = await world.main.api('openai/chat/completions', { token: 'wrong', json: {} });
    assert.equal(answer.status, 401);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
  });
});

describe('addresses', () => {
  test('an unknown provider is told, with the one that was probably meant', async () => {
    const unknown = await world.main.api('nobody/v1/chat/completions', { json: { model: 'x' } });
    assert.equal(unknown.status, 404);
    assert.match(unknown.json.error.message, /no provider `nobody`/);
    const nickname = await world.main.api('gemini/v1beta/models/x:generateContent', { json: {} });
    assert.equal(nickname.status, 404);
    assert.match(nickname.json.error.message, /google-ai-studio/);
    assert.equal(await world.sim.count(), 0);
  });

  test('addresses that lead nowhere say where to go', async () => {
    for (const path of ['/nothing', '/v1', '/groq/chat/completions', '/api', '/api/', '/admin', '/.env']) {
      const response = await world.main.send(path);
      assert.ok([400, 404].includes(response.status), `${path}: ${response.status}`);
      assert.match(await response.text(), /\/api\//, path);
    }
    assert.equal(await world.sim.count(), 0);
  });

  test('no path leaves the provider’s folder at the gateway', async () => {
    await world.keys('openai', 1);
    const paths = [
      '/api/openai/../anthropic/v1/models',
      '/api/openai/%2e%2e/%2e%2e/other/models',
      '/api/openai/%252e%252e/%252e%252e/other',
      '/api/openai/%25252e%25252e/x',
      '/api/openai/..%2f..%2fother',
      '/api/openai/..%252fother',
      '/api/openai/a%5c..%5c..%5cb',
      '/api/openai/..\\..\\other',
      '/api/openai/..;/other',
      '/api/openai/.%2e/x',
      '/api/openai/models%0d%0aX-Injected:%20yes',
      '/api/openai/models%00',
      '/api/openai/models%09/..%09',
      '/api/..%2fopenai/models',
      '/api/openai@evil.example/models',
      '/api/custom-..%2f/models',
      '//evil.example/api/openai/models',
      '/api/openai/models?x=%0d%0aX-Injected:yes',
      '/api/%6fpenai/models',
      '/api/openai/models#fragment',
    ];
    for (const path of paths) {
      const answer = await world.main.raw({ path, headers: { authorization: `Bearer ${TOKEN}` } });
      assert.ok(answer.status < 500 || answer.status === 503, `${path}: ${answer.status} ${answer.text}`);
    }
    for (const seen of await world.sim.requests()) {
      assert.match(seen.path, /^\/v1\/account\/one-balance\/(openai|anthropic)\//, seen.path);
      assert.ok(!/\.\.|%2e|%5c|\\|%00|%0d|%0a/i.test(seen.path), seen.path);
      assert.equal(seen.headers['x-injected'], undefined);
    }
  });

  test('slashes too many are forgiven', async () => {
    await world.keys('openai', 1);
    for (const path of ['//api/openai/models', '/api//openai//models', '/api/openai/models']) {
      const answer = await world.main.raw({ path, headers: { authorization: `Bearer ${TOKEN}` } });
      assert.equal(answer.status, 200, `${path}: ${answer.text}`);
      assert.equal((await world.sim.last()).path, '/v1/account/one-balance/openai/models');
    }
  });

  test('hostile headers and odd methods break nothing', async () => {
    await world.keys('openai', 1);
    const odd = [
      { method: 'TRACE', path: '/api/openai/models' },
      { method: 'PURGE', path: '/api/openai/models' },
      { path: '/api/openai/models', headers: { 'x-latin': 'caf\u00e9', 'x-empty': '' } },
      { path: `/api/openai/models?${'a=1&'.repeat(3000)}` },
      { path: '/api/openai/models', headers: { range: 'bytes=0-1', te: 'trailers', 'accept-encoding': 'br;q=1, *;q=0' } },
      { path: '/api/openai/models', headers: { authorization: `Bearer   ${TOKEN}  ` } },
      { path: '/api/openai/models', headers: { authorization: 'Bearer ü'.normalize() } },
    ];
    for (const { headers, ...request } of odd) {
      const answer = await world.main.raw({ ...request, headers: { authorization: `Bearer ${TOKEN}`, ...headers } });
      assert.ok(answer.status < 500 || answer.status === 501, `${JSON.stringify(request)}: ${answer.status} ${answer.text}`);
    }
    assert.equal((await world.main.api('openai/models')).status, 200, 'and the next request is served');
  });
});

describe('sockets', () => {
  beforeEach(() => world.use('own'));
  const talk = (path, options = {}, protocols = []) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`${world.own.url.replace('http', 'ws')}${path}`, protocols, options);
      socket.on('open', () => socket.send('hello'));
      socket.on('message', (data) => {
        resolve(String(data));
        socket.close();
      });
      socket.on('unexpected-response', (_request, response) => reject(new Error(`status ${response.statusCode}`)));
      socket.on('error', reject);
    });

  test('a realtime socket is connected with a key of the pool', async () => {
    const key = 'sk-0123456789abcdef';
    await world.main.addKeys('openai', [key]);
    const said = await talk('/api/openai/realtime?model=gpt-realtime', { headers: { authorization: `Bearer ${TOKEN}` } });
    assert.equal(said, 'echo: hello');
    const [{ path, headers }] = own.seen;
    assert.equal(path, '/v1/account/one-balance/openai?model=gpt-realtime');
    assert.equal(headers.authorization, `Bearer ${key}`);
    assert.ok(!JSON.stringify(own.seen).includes(TOKEN));
  });

  test('a browser, which can set no headers, may put its token among the protocols', async () => {
    const key = 'sk-0123456789abcdef';
    await world.main.addKeys('openai', [key]);
    const said = await talk('/api/openai/realtime?model=gpt-realtime', {}, ['realtime', `openai-insecure-api-key.${TOKEN}`]);
    assert.equal(said, 'echo: hello');
    assert.equal(own.seen[0].headers.authorization, `Bearer ${key}`);
    assert.ok(!JSON.stringify(own.seen).includes(TOKEN));
  });

  test('a socket without a token is refused', async () => {
    await world.main.addKeys('openai', ['sk-0123456789abcdef']);
    await assert.rejects(talk('/api/openai/realtime?model=gpt-realtime'), /status 401/);
    assert.deepEqual(own.seen, []);
  });
});
