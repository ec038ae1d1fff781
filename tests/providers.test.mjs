// The providers that are like no other, each as a client of its own asks it: through the simulated
// gateway and at the provider's own address. The simulator refuses what the real ones refuse: another
// path, another method, another kind of body, a missing header.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { eventually, fnv1a, startWorld } from './harness.mjs';

const ACCOUNT = '0123abcd';
const world = await startWorld({
  isolates: { main: {}, direct: { UPSTREAM: 'direct', GATEWAY_URL: undefined, CLOUDFLARE_ACCOUNT_ID: ACCOUNT } },
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const user = [{ role: 'user', content: 'hi' }];
const json = 'application/json';
const sound = { body: Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 31) % 256)), headers: { 'content-type': 'audio/mpeg' } };
const form = (fields) => {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value, ...(value instanceof Blob ? ['a.mp3'] : []));
  return { method: 'POST', body: form };
};
const blob = new Blob([new Uint8Array(2000)], { type: 'audio/mpeg' });
const version = { 'cartesia-version': '2025-04-16' };

// Where the key is; the model, as the provider has it; what a 429 of the provider cools (the model unless
// said); requests with where they go directly and what comes of them; and what is refused with what.
const PROVIDERS = {
  'aws-bedrock': {
    key: ['authorization', 'Bearer '],
    model: 'us.amazon.nova-lite-v1:0',
    requests: [
      ['bedrock-runtime/us-east-1/model/us.amazon.nova-lite-v1%3A0/converse', { json: { messages: [{ role: 'user', content: [{ text: 'hi' }] }] } },
        'bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse', json, /end_turn/],
      ['bedrock-runtime/us-east-1/model/us.amazon.nova-lite-v1%3A0/converse-stream', { json: { messages: [{ role: 'user', content: [{ text: 'hi' }] }] } },
        'bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse-stream', 'application/vnd.amazon.eventstream', /messageStop/],
      ['bedrock-runtime/eu-west-1/model/us.amazon.nova-lite-v1%3A0/invoke-with-response-stream', { json: { max_tokens: 9, messages: user } },
        'bedrock-runtime.eu-west-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/invoke-with-response-stream', 'application/vnd.amazon.eventstream', /chunk/],
    ],
    refuses: [
      ['bedrock-runtime/us-east-1/model/us.amazon.nova-lite-v1%3A0/chat', { json: { messages: [] } }, 404, /UnknownOperationException/],
      ['bedrock-runtime/us-east-1/model/us.amazon.nova-lite-v1%3A0/converse', { json: { prompt: 'hi' } }, 400, /messages/],
      ['bedrock-runtime/us-east-1/model/us.amazon.nova-lite-v1%3A0/converse', { body: 'hi', headers: { 'content-type': 'text/plain' } }, 400, /Malformed/],
    ],
  },
  replicate: {
    key: ['authorization', 'Bearer '],
    model: 'black-forest-labs/flux-schnell',
    cools: '*',
    requests: [
      ['models/black-forest-labs/flux-schnell/predictions', { json: { input: { prompt: 'a cat' } }, headers: { prefer: 'wait' } },
        'api.replicate.com/v1/models/black-forest-labs/flux-schnell/predictions', json, /"status":"succeeded"/, 201],
      ['predictions', { json: { version: 'black-forest-labs/flux-schnell', input: {} } }, 'api.replicate.com/v1/predictions', json, /succeeded/, 201],
    ],
    refuses: [
      ['prediction', { json: { version: 'x', input: {} } }, 404, /could not be found/],
      ['predictions', { method: 'PUT', json: { version: 'x', input: {} } }, 405, /not allowed/],
      ['predictions', { json: { input: {} } }, 422, /version is required/],
      ['predictions', { body: 'version=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415, /Unsupported media type/],
    ],
  },
  fal: {
    key: ['authorization', 'Key '],
    model: 'fal-ai/flux/dev',
    requests: [['fal-ai/flux/dev', { json: { prompt: 'a cat' } }, 'fal.run/fal-ai/flux/dev', json, /sim\.png/]],
    refuses: [
      ['flux', { json: { prompt: 'a cat' } }, 404, /not found/],
      ['fal-ai/flux/dev', {}, 405, /Method Not Allowed/],
      ['fal-ai/flux/dev', { body: 'a cat', headers: { 'content-type': 'text/plain' } }, 422, /valid dictionary/],
    ],
  },
  deepgram: {
    key: ['authorization', 'Token '],
    model: 'nova-3',
    cools: '*',
    requests: [
      ['v1/listen?model=nova-3&smart_format=true', sound, 'api.deepgram.com/v1/listen', json, /You sent 5000 bytes/],
      ['v1/listen?model=nova-3', { json: { url: 'https://sounds.example/a.mp3' } }, 'api.deepgram.com/v1/listen', json, /transcript/],
      ['v1/speak?model=nova-3', { json: { text: 'hi' } }, 'api.deepgram.com/v1/speak', 'audio/mpeg', /./],
    ],
    refuses: [
      ['v1/hear?model=nova-3', sound, 404, /NOT_FOUND/],
      ['v1/listen?model=nova-3', { method: 'POST' }, 400, /corrupt or unsupported/],
      ['v1/speak?model=nova-3', { json: { speech: 'hi' } }, 400, /PAYLOAD_ERROR/],
    ],
  },
  cartesia: {
    key: ['x-api-key', ''],
    model: 'sonic-2',
    cools: '*',
    requests: [
      ['tts/bytes', { json: { model_id: 'sonic-2', transcript: 'hi', voice: { mode: 'id', id: 'a-voice-id' } }, headers: version }, 'api.cartesia.ai/tts/bytes', 'audio/mpeg', /./],
      ['tts/sse', { json: { model_id: 'sonic-2', transcript: 'hi', voice: { mode: 'id', id: 'a-voice-id' } }, headers: version }, 'api.cartesia.ai/tts/sse', 'text/event-stream', /event: chunk/],
    ],
    refuses: [
      ['tts/bytes', { json: { model_id: 'sonic-2', transcript: 'hi' } }, 400, /Cartesia-Version/],
      ['tts/file', { json: { model_id: 'sonic-2', transcript: 'hi' }, headers: version }, 404, /not found/],
      ['tts/bytes', { json: { model_id: 'sonic-2' }, headers: version }, 400, /transcript is required/],
    ],
  },
  elevenlabs: {
    key: ['xi-api-key', ''],
    model: 'eleven_multilingual_v2',
    cools: '*',
    requests: [
      ['v1/text-to-speech/voice-1?output_format=mp3_44100_128', { json: { text: 'hi', model_id: 'eleven_multilingual_v2' } }, 'api.elevenlabs.io/v1/text-to-speech/voice-1', 'audio/mpeg', /./],
      ['v1/text-to-speech/voice-1/stream', { json: { text: 'hi', model_id: 'eleven_multilingual_v2' } }, 'api.elevenlabs.io/v1/text-to-speech/voice-1/stream', 'audio/mpeg', /./],
      ['v1/speech-to-text', () => form({ model_id: 'eleven_multilingual_v2', file: blob }), 'api.elevenlabs.io/v1/speech-to-text', json, /You sent/],
    ],
    refuses: [
      ['v1/text-to-voices/x', { json: { text: 'hi', model_id: 'eleven_multilingual_v2' } }, 404, /Not Found/],
      ['v1/text-to-speech/voice-1', { json: { model_id: 'eleven_multilingual_v2' } }, 422, /Field required/],
      ['v1/text-to-speech/voice-1', { method: 'PUT', json: { text: 'hi' } }, 405, /Method Not Allowed/],
      ['v1/speech-to-text', () => form({ file: blob }), 422, /model_id/],
    ],
  },
  'workers-ai': {
    key: ['authorization', 'Bearer '],
    model: '@cf/meta/llama-3.1-8b-instruct',
    quota: { rpd: 0 },
    cools: '*',
    // A token is of one account, which is in the address.
    home: 'account',
    requests: [
      ['@cf/meta/llama-3.1-8b-instruct', { json: { prompt: 'hi' } }, `api.cloudflare.com/client/v4/accounts/${ACCOUNT}/ai/run/@cf/meta/llama-3.1-8b-instruct`, json, /"success":true/],
      ['@cf/meta/llama-3.1-8b-instruct', { json: { prompt: 'hi', stream: true } }, `api.cloudflare.com/client/v4/accounts/${ACCOUNT}/ai/run/@cf/meta/llama-3.1-8b-instruct`, 'text/event-stream', /data: \[DONE\]/],
      ['v1/chat/completions', { json: { model: '@cf/meta/llama-3.1-8b-instruct', messages: user } }, `api.cloudflare.com/client/v4/accounts/${ACCOUNT}/ai/v1/chat/completions`, json, /You said: hi/],
    ],
    refuses: [
      ['v1/chat', { json: { model: '@cf/meta/llama-3.1-8b-instruct', messages: user } }, 400, /No route for that URI/],
      ['v1/chat/completions', { json: { model: '@cf/meta/llama-3.1-8b-instruct' } }, 400, /required properties/],
      ['@cf/meta/llama-3.1-8b-instruct', { method: 'POST' }, 400, /required properties/],
      ['@cf/meta/does-not-exist', { json: { prompt: 'hi' } }, 400, /No such model/],
    ],
  },
  huggingface: {
    key: ['authorization', 'Bearer '],
    model: 'bigcode/starcoder',
    requests: [
      ['bigcode/starcoder', { json: { inputs: 'hi' } }, 'router.huggingface.co/hf-inference/models/bigcode/starcoder', json, /You said: hi/],
      ['bigcode/starcoder', sound, 'router.huggingface.co/hf-inference/models/bigcode/starcoder', json, /generated_text/],
    ],
    refuses: [
      ['starcoder', { json: { inputs: 'hi' } }, 404, /Not Found/],
      ['bigcode/does-not-exist', { json: { inputs: 'hi' } }, 404, /does not exist/],
    ],
  },
  ideogram: {
    key: ['api-key', ''],
    model: 'ideogram-v3',
    requests: [
      ['v1/ideogram-v3/generate', () => form({ prompt: 'a cat', rendering_speed: 'TURBO' }), 'api.ideogram.ai/v1/ideogram-v3/generate', json, /is_image_safe/],
      ['v1/ideogram-v3/generate', { json: { prompt: 'a cat' } }, 'api.ideogram.ai/v1/ideogram-v3/generate', json, /is_image_safe/],
    ],
    refuses: [
      ['v1/ideogram-v3/paint', { json: { prompt: 'a cat' } }, 404, /Not found/],
      ['v1/ideogram-v3/generate', { json: { text: 'a cat' } }, 400, /prompt is required/],
      ['v1/ideogram-v3/edit', { json: { prompt: 'a cat' } }, 415, /Unsupported media type/],
    ],
  },
  parallel: {
    key: ['x-api-key', ''],
    model: 'lite',
    requests: [
      ['v1/tasks/runs', { json: { processor: 'lite', input: 'hi' } }, 'api.parallel.ai/v1/tasks/runs', json, /"run_id"/, 202],
      ['v1beta/chat/completions', { json: { model: 'lite', messages: user } }, 'api.parallel.ai/v1beta/chat/completions', json, /You said: hi/],
    ],
    refuses: [
      ['v1/tasks', { json: { processor: 'lite', input: 'hi' } }, 404, /"ref_id"/],
      ['v1/tasks/runs', { json: { processor: 'lite' } }, 422, /validation error/],
    ],
  },
  baseten: {
    key: ['authorization', 'Bearer '],
    model: 'abc123',
    requests: [
      ['model/abc123', { json: { prompt: 'hi' } }, 'model-abc123.api.baseten.co/production/predict', json, /output/],
      ['model/abc123/environments/staging/predict', { json: { prompt: 'hi' } }, 'model-abc123.api.baseten.co/environments/staging/predict', json, /output/],
      ['v1/chat/completions', { json: { model: 'abc123', messages: user } }, 'inference.baseten.co/v1/chat/completions', json, /You said: hi/],
    ],
    refuses: [
      ['v1/responses', { json: { model: 'abc123', input: 'hi' } }, 404, /Not found/],
      ['v1/chat/completions', { json: { model: 'abc123' } }, 400, /messages is required/],
    ],
  },
  'custom-mine': {
    key: ['authorization', 'Bearer '],
    model: 'own-model',
    requests: [['v1/chat/completions', { json: { model: 'own-model', messages: user } }, null, json, /You said: hi/]],
    refuses: [['v1/chat/completions', { json: { model: 'does-not-exist', messages: user } }, 404, /does not exist/]],
  },
};

const sent = (init) => (typeof init === 'function' ? init() : init);
const ask = (isolate, provider, [path, init]) => world[isolate].send(`/api/${provider}/${path}`, sent(init));

/** The same request to the simulator itself: what the Worker should have passed on. */
async function unproxied({ uri, method, header }, init, key) {
  const { json, body, headers } = sent(init);
  const all = { ...headers, ...(json ? { 'content-type': 'application/json' } : {}), [header[0]]: header[1] + key, 'cf-aig-max-attempts': '1', 'cf-aig-no-wholesale': 'true' };
  return fetch(`${world.sim.base}/${uri}`, { method, headers: all, body: json ? JSON.stringify(json) : body });
}

for (const [provider, { key: header, model, cools = model, quota = { rpm: 0 }, home, requests, refuses }] of Object.entries(PROVIDERS)) {
  describe(provider, () => {
    for (const request of requests) {
      const [path, init, address, type, says, status = 200] = request;
      test(`${path.split('?')[0]}, ${type}: what arrives, and what comes back`, async () => {
        const [key] = await world.keys(provider, 1);
        const answer = await ask('main', provider, request);
        const bytes = Buffer.from(await answer.arrayBuffer());
        assert.equal(answer.status, status, bytes.toString());
        assert.ok(answer.headers.get('content-type').startsWith(type), answer.headers.get('content-type'));
        assert.match(bytes.toString('latin1'), says);
        const seen = await world.sim.last();
        const [upstream, query = ''] = path.split('?');
        assert.equal(seen.path, `/v1/account/one-balance/${provider}/${upstream}`);
        assert.deepEqual([seen.query, seen.headers[header[0]], seen.model], [query, header[1] + key, model]);
        const { json, body } = sent(init);
        if (json || Buffer.isBuffer(body)) assert.equal(seen.body_fnv, fnv1a(json ? Buffer.from(JSON.stringify(json)) : body));
        if (type === 'application/json') return; // there are times and ids in it
        const expected = await unproxied({ uri: `${provider}/${path}`, method: 'POST', header }, init, key);
        assert.ok(bytes.equals(Buffer.from(await expected.arrayBuffer())), 'byte for byte');
      });

      if (address) {
        test(`${path.split('?')[0]} directly at ${address}`, async () => {
          const [key] = await world.keys(provider, 1);
          const answer = await ask('direct', provider, request);
          assert.equal(answer.status, status, await answer.text());
          const seen = await world.sim.last();
          assert.equal(seen.path, `/__host/${address}`);
          assert.deepEqual([seen.query, seen.headers[header[0]], seen.model], [path.split('?')[1] ?? '', header[1] + key, model]);
        });
      }
    }

    test('over its quota: the key cools, and the next one answers', async () => {
      const [limited] = await world.keys(provider, [quota, {}]);
      for (let turn = 0; turn < 2; turn += 1) {
        const answer = await ask('main', provider, requests[0]);
        assert.ok(answer.ok, await answer.text());
      }
      await eventually(async () => {
        const { state, coolings } = await world.main.find(limited);
        assert.notEqual(state, 'blocked');
        assert.deepEqual(coolings.map((one) => one.model), [cools]);
      });
    });

    for (const isolate of provider.startsWith('custom-') ? ['main'] : ['main', 'direct']) {
      test(`rejected: the key is blocked, and the next one answers (${isolate})`, async () => {
        const [rejected, good] = await world.keys(provider, [{ state: 'invalid' }, {}]);
        for (let turn = 0; turn < 2; turn += 1) {
          const answer = await ask(isolate, provider, requests[0]);
          assert.ok(answer.ok, await answer.text());
        }
        await eventually(async () => (await world.main.find(rejected)).state === 'blocked');
        assert.equal((await world.main.find(good)).state, 'ready');
      });
    }

    for (const [path, init, status, says] of refuses) {
      test(`${path.split('?')[0]}: ${status} ${says} is the caller’s, and no key’s fault`, async () => {
        const keys = await world.keys(provider, 2);
        const answer = await ask('main', provider, [path, init]);
        const text = await answer.text();
        assert.equal(answer.status, status, text);
        assert.match(text, says);
        assert.equal(await world.sim.count(), 1);
        for (const key of keys) {
          const { state, coolings } = await world.main.find(key);
          assert.deepEqual([state, coolings], ['ready', []]);
        }
      });
    }

    if (home) {
      test('a key of another account is rejected, and the next one answers', async () => {
        const [stranger] = await world.keys(provider, [{ home: 'elsewhere' }, { home }]);
        for (let turn = 0; turn < 2; turn += 1) {
          const answer = await ask('main', provider, requests[0]);
          assert.ok(answer.ok, await answer.text());
        }
        await eventually(async () => (await world.main.find(stranger)).state === 'blocked');
      });
    }
  });
}

describe('fal’s queue', () => {
  const app = 'fal-ai/flux/dev';
  const base = 'https://queue.fal.run';
  // As fal's own client asks a proxy, and as an address of its own.
  const ways = {
    'the address in a header': (url, init = {}) => ['/api/fal/proxy', { ...init, headers: { 'x-fal-target-url': url } }],
    'an address of ours': (url, init = {}) => [`/api/fal/${url.slice('https://'.length)}`, init],
  };

  for (const isolate of ['main', 'direct']) {
    for (const [way, made] of Object.entries(ways)) {
      test(`${way}: a request stays on the key that put it there (${isolate})`, async () => {
        const keys = await world.keys('fal', 4);
        const call = async (url, init, by = isolate) => {
          const answer = await world[by].send(...made(url, init));
          return { status: answer.status, json: await answer.json(), seen: await world.sim.last() };
        };
        const put = await call(`${base}/${app}?fal_webhook=x`, { json: { prompt: 'a cat' } });
        assert.equal(put.status, 200, JSON.stringify(put.json));
        assert.equal(put.json.status, 'IN_QUEUE');
        assert.equal(put.seen.model, app);
        assert.equal(put.seen.headers.authorization, `Key ${put.seen.key}`);
        assert.ok(keys.includes(put.seen.key));
        if (isolate === 'main') {
          assert.deepEqual([put.seen.path, put.seen.headers['x-fal-target-url']], ['/v1/account/one-balance/fal', `${base}/${app}?fal_webhook=x`]);
        } else {
          assert.deepEqual([put.seen.path, put.seen.query, put.seen.headers['x-fal-target-url']], [`/__host/queue.fal.run/${app}`, 'fal_webhook=x', undefined]);
        }
        await eventually(async () => (await world.query('SELECT * FROM objects')).length === 1);
        const { request_id: id, status_url: status, response_url: response, cancel_url: cancel } = put.json;
        for (const by of [isolate, isolate, isolate === 'main' ? 'direct' : 'main']) {
          for (const [url, init, wanted] of [[`${status}?logs=1`, {}, 200], [response, {}, 200], [cancel, { method: 'PUT' }, 202]]) {
            const used = await call(url, init, by);
            assert.equal(used.status, wanted, `${by}: ${url}: ${JSON.stringify(used.json)}`);
            assert.equal(used.seen.key, put.seen.key, `${by}: ${url}`);
          }
        }
        assert.equal((await call(`${base}/fal-ai/flux/requests/${id.replace(/.$/, 'x')}/status`)).status, 404, 'nobody’s');
      });
    }

    test(`over its quota: the next key puts the request there (${isolate})`, async () => {
      const [limited] = await world.keys('fal', [{ rpm: 0 }, {}]);
      for (let turn = 0; turn < 2; turn += 1) assert.equal((await world[isolate].send(...ways['the address in a header'](`${base}/${app}`, { json: { prompt: 'a cat' } }))).status, 200);
      await eventually(async () => (await world.main.find(limited)).coolings.some(({ model }) => model === app));
    });
  }

  test('what is run at once may be named in the header, too', async () => {
    await world.keys('fal', 1);
    const answer = await world.main.send(...ways['the address in a header'](`https://fal.run/${app}`, { json: { prompt: 'a cat' } }));
    assert.equal(answer.status, 200, await answer.text());
    const { path, headers } = await world.sim.last();
    assert.equal(path, `/v1/account/one-balance/fal/${app}`);
    assert.equal(headers['x-fal-target-url'], undefined);
  });

  test('no other address is: the key goes nowhere', async () => {
    await world.keys('fal', 1);
    for (const url of ['https://evil.example/a/b', 'http://queue.fal.run/a/b', 'https://queue.fal.run.evil.example/a/b', 'https://queue.fal.run@evil.example/a/b', 'https://queue.fal.run/../x', 'queue.fal.run/a/b']) {
      for (const isolate of ['main', 'direct']) {
        const answer = await world[isolate].send(...ways['the address in a header'](url, { json: { prompt: 'a cat' } }));
        assert.equal(answer.status, 400, url);
      }
    }
    assert.equal(await world.sim.count(), 0);
  });
});

test('Parallel’s chat in OpenAI’s way: a bearer token, with and without the version', async () => {
  const [key] = await world.keys('parallel', 1);
  for (const path of ['chat/completions', 'v1/chat/completions']) {
    const answer = await world.main.api(`parallel/${path}`, { json: { model: 'speed', messages: user } });
    assert.equal(answer.status, 200, answer.text);
    const seen = await world.sim.last();
    assert.ok(seen.path.endsWith('/parallel/chat/completions'), seen.path);
    assert.equal(seen.headers.authorization, `Bearer ${key}`);
  }
});

test('a token may be held to one processor of Parallel', async () => {
  await world.keys('parallel', 1);
  await world.main.api('parallel/v1/tasks/runs', { json: { processor: 'ultra', input: 'hi' } });
  assert.equal((await world.sim.last()).model, 'ultra');
});
