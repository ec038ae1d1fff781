// WebSockets with real clients, through the Worker to the simulated gateway, which wants each provider's
// key where the real one does, and without a gateway to the providers' own hosts.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { GoogleGenAI, Modality } from '@google/genai';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import WebSocket from 'ws';
import { TOKEN, eventually, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: { main: {}, direct: { UPSTREAM: 'direct', GATEWAY_URL: undefined } },
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const address = (path, isolate = 'main') => `${world[isolate].url.replace('http', 'ws')}${path.startsWith('/') ? '' : '/api/'}${path}`;
const bearer = { headers: { authorization: `Bearer ${TOKEN}` } };
const ended = () => world.sim.control('GET', 'sockets');
/** Handshakes that arrived. */
const handshakes = async () => (await world.sim.requests()).filter(({ headers }) => headers.upgrade === 'websocket');

/** An open socket, or the error with the status and body of the answer instead. */
function open(path, { protocols = [], isolate, ...options } = bearer) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address(path, isolate), protocols, { perMessageDeflate: false, ...options });
    socket.heard = [];
    socket.on('message', (data, binary) => socket.heard.push(binary ? data : String(data)));
    socket.on('open', () => resolve(socket));
    socket.on('unexpected-response', (_request, response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => reject(Object.assign(new Error(`status ${response.statusCode}`), { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() })));
    });
    socket.on('error', reject);
  });
}

const closed = (socket) => new Promise((resolve) => socket.on('close', (code, reason) => resolve({ code, reason: String(reason) })));

/** Where each provider is reached, with what a browser can and an SDK does send, and what arrives. */
const PROVIDERS = [
  ['openai', 'openai/realtime?model=gpt-realtime', '/openai', (key, { headers }) => headers.authorization === `Bearer ${key}`],
  ['openai', 'openai/v1/realtime?model=gpt-realtime', '/openai', (key, { headers }) => headers.authorization === `Bearer ${key}`],
  ['openai', '/v1/realtime?model=openai%2Fgpt-realtime', '/openai', (key, { headers, query }) => headers.authorization === `Bearer ${key}` && query === 'model=gpt-realtime'],
  ['google-ai-studio', 'google-ai-studio/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent', '/google', (key, { query }) => query === `api_key=${key}`],
  ['cartesia', 'cartesia/tts/websocket?cartesia_version=2024-06-10', '/cartesia', (key, { query }) => query === `cartesia_version=2024-06-10&api_key=${key}`],
  ['elevenlabs', 'elevenlabs/v1/convai/conversation?agent_id=agent-1', '/elevenlabs', (key, { headers }) => headers['sec-websocket-protocol'].split(', ').includes(`xi-api-key.${key}`)],
  ['elevenlabs', 'elevenlabs/v1/text-to-speech/voice-1/stream-input', '/elevenlabs/v1/text-to-speech/voice-1/stream-input', (key, { headers }) => headers['sec-websocket-protocol'].split(', ').includes(`xi-api-key.${key}`)],
  ['deepgram', 'deepgram/v1/listen?model=nova-3', '/deepgram/v1/listen', (key, { headers }) => headers.authorization === `Token ${key}`],
];

/** A socket over which text and bytes went there and came back. */
async function bothWays(provider, path, ...options) {
  const [key] = await world.keys(provider, 1);
  const socket = await open(path, ...options);
  const bytes = Buffer.alloc(70_000, 7);
  socket.send('{"hello":"Grüße 😀"}');
  socket.send(bytes);
  await eventually(() => socket.heard.some((one) => Buffer.isBuffer(one)));
  assert.ok(socket.heard.find((one) => Buffer.isBuffer(one)).equals(bytes));
  if (provider !== 'google-ai-studio') assert.ok(socket.heard.includes('{"hello":"Grüße 😀"}'), socket.heard.join());
  const [request] = await handshakes();
  return { key, socket, request };
}

describe('handshakes', () => {
  for (const [provider, path, expected, isKey] of PROVIDERS) {
    test(`${path}: text and bytes go both ways`, async () => {
      const { key, socket, request } = await bothWays(provider, path);
      assert.ok(request.path.endsWith(`/one-balance${expected}`), request.path);
      assert.ok(isKey(key, request), JSON.stringify(request));
      socket.close(1000);
      await closed(socket);
    });
  }

  const ways = [
    ['a header', {}, { headers: { 'x-api-key': TOKEN } }],
    ['?key=', { query: `key=${TOKEN}` }, {}],
    ['?token=', { query: `token=${TOKEN}` }, {}],
    ['?api_key=', { query: `api_key=${TOKEN}` }, {}],
    ['OpenAI’s protocol', { chosen: 'realtime' }, { protocols: ['realtime', `openai-insecure-api-key.${TOKEN}`, 'openai-beta.realtime-v1'] }],
    ['Deepgram’s protocols', { chosen: 'token' }, { protocols: ['token', TOKEN] }],
    ['ElevenLabs’ protocol alone', { chosen: `xi-api-key.${TOKEN}` }, { protocols: [`xi-api-key.${TOKEN}`] }],
  ];
  for (const [way, { query, chosen = '' }, options] of ways) {
    test(`a browser's token in ${way}`, async () => {
      await world.keys('openai', 1);
      const socket = await open(`openai/realtime?model=gpt-realtime${query ? `&${query}` : ''}`, options);
      assert.equal(socket.protocol, chosen);
      assert.equal((await handshakes()).length, 1);
      socket.terminate();
    });
  }

  test('without a token: 401, and nothing is sent', async () => {
    await world.keys('openai', 1);
    for (const options of [{}, { headers: { authorization: 'Bearer nobody-knows-this-one' } }]) {
      await assert.rejects(open('openai/realtime?model=gpt-realtime', options), { status: 401 });
    }
    assert.equal(await world.sim.count(), 0);
  });
});

describe('without a gateway', () => {
  const direct = { ...bearer, isolate: 'direct' };
  const live = 'ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent';
  // Where a client asks for the socket, the provider's own address, and where its key is there.
  for (const [provider, path, expected, isKey] of [
    ['openai', 'openai/realtime?model=gpt-realtime', 'api.openai.com/v1/realtime', (key, { headers, query }) => headers.authorization === `Bearer ${key}` && query === 'model=gpt-realtime'],
    ['openai', 'openai/v1/realtime?model=gpt-realtime', 'api.openai.com/v1/realtime', (key, { headers }) => headers.authorization === `Bearer ${key}`],
    ['openai', '/v1/realtime?model=openai%2Fgpt-realtime', 'api.openai.com/v1/realtime', (key, { query }) => query === 'model=gpt-realtime'],
    ['google-ai-studio', `google-ai-studio/${live}`, `generativelanguage.googleapis.com/${live}`, (key, { query, headers }) => query === `key=${key}` && headers['x-goog-api-key'] === undefined],
    ['google-ai-studio', `/${live}`, `generativelanguage.googleapis.com/${live}`, (key, { query }) => query === `key=${key}`],
    ['elevenlabs', 'elevenlabs/v1/convai/conversation?agent_id=agent-1', 'api.elevenlabs.io/v1/convai/conversation', (key, { headers, query }) => headers['xi-api-key'] === key && query === 'agent_id=agent-1'],
    ['elevenlabs', 'elevenlabs/v1/text-to-speech/voice-1/stream-input?model_id=eleven_flash_v2_5', 'api.elevenlabs.io/v1/text-to-speech/voice-1/stream-input', (key, { headers }) => headers['xi-api-key'] === key],
    ['deepgram', 'deepgram/v1/listen?model=nova-3', 'api.deepgram.com/v1/listen', (key, { headers }) => headers.authorization === `Token ${key}`],
    ['cartesia', 'cartesia/tts/websocket?cartesia_version=2025-04-16', 'api.cartesia.ai/tts/websocket', (key, { headers, query }) => headers['x-api-key'] === key && query === 'cartesia_version=2025-04-16'],
  ]) {
    test(`${path}: text and bytes go both ways, ${expected}`, async () => {
      const { key, socket, request } = await bothWays(provider, path, direct);
      assert.equal(request.path, `/__host/${expected}`);
      assert.ok(isKey(key, request), JSON.stringify(request));
      socket.close(1000);
      await closed(socket);
    });

    test(`${path}: a refused handshake goes to the next key`, async () => {
      const [invalid, limited, good] = await world.keys(provider, [{ state: 'invalid' }, {}, {}]);
      await world.sim.faults({ match: { key: limited }, times: null, status: 429, headers: { 'retry-after': '300' }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } });
      for (let turn = 0; turn < 3; turn += 1) (await open(path, direct)).terminate();
      await eventually(async () => (await world.direct.find(invalid)).state === 'blocked');
      const counted = await Promise.all([invalid, limited, good].map((key) => world.sim.count({ key })));
      assert.ok(counted[0] <= 1 && counted[1] <= 1, counted.join());
      assert.equal(counted[2], 3);
    });
  }

  test('a browser’s token, and none of its protocols that hold one, goes on', async () => {
    await world.keys('openai', 1);
    const socket = await open('openai/realtime?model=gpt-realtime', { isolate: 'direct', protocols: ['realtime', `openai-insecure-api-key.${TOKEN}`] });
    assert.equal(socket.protocol, 'realtime');
    assert.equal((await handshakes())[0].headers['sec-websocket-protocol'], 'realtime');
    socket.terminate();
  });

  test('by all keys: the caller has the provider’s answer', async () => {
    await world.keys('deepgram', [{ state: 'invalid' }, { state: 'invalid' }]);
    const refused = await open('deepgram/v1/listen?model=nova-3', direct).catch((error) => error);
    assert.equal(refused.status, 401);
    assert.match(refused.body, /INVALID_AUTH/);
  });
});

describe('a refused handshake', () => {
  test('is tried with the next key; the refused ones cool or are blocked', async () => {
    const [limited, invalid, bare, good] = await world.keys('openai', [{ rpm: 1 }, { state: 'invalid' }, { state: 'bare_401' }, {}]);
    await world.sim.faults({ match: { key: limited }, times: null, status: 429, headers: { 'retry-after': '300' }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } });
    for (let turn = 0; turn < 4; turn += 1) {
      const socket = await open('openai/realtime?model=gpt-realtime');
      await eventually(() => socket.heard.some((one) => one.includes('session.created')));
      socket.terminate();
    }
    await eventually(async () => (await world.main.find(invalid)).state === 'blocked');
    await eventually(async () => (await world.main.find(bare)).state === 'blocked');
    const counted = await Promise.all([limited, invalid, bare, good].map((key) => world.sim.count({ key })));
    assert.ok(counted.slice(0, 3).every((count) => count <= 1), counted.join());
    assert.equal(counted[3], 4);
  });

  test('by all keys: their status, body and time', async () => {
    await world.keys('openai', 2);
    await world.sim.faults({ times: null, status: 429, headers: { 'retry-after': '300' }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } });
    for (const who of ['the provider', 'the pool']) {
      const refused = await open('openai/realtime?model=gpt-realtime').catch((error) => error);
      assert.equal(refused.status, 429, who);
      assert.ok(Number(refused.headers['retry-after']) > 200, who);
      assert.equal(JSON.parse(refused.body).error.code, 'rate_limit_exceeded', who);
    }
    assert.equal(await world.sim.count(), 2);
  });

  test('for the caller’s fault: the provider’s answer, and no other key is asked', async () => {
    await world.keys('openai', 2);
    const refused = await open('openai/realtime').catch((error) => error);
    assert.equal(refused.status, 400);
    assert.match(refused.body, /model parameter/);
    assert.equal(await world.sim.count(), 1);
  });

  test('without any key: 503', async () => {
    await assert.rejects(open('openai/realtime?model=gpt-realtime'), { status: 503 });
  });
});

describe('the end of a socket', () => {
  test('the provider closes: the client has its code and reason', async () => {
    await world.keys('deepgram', 1);
    const socket = await open('deepgram/v1/listen?model=nova-3');
    const end = closed(socket);
    socket.send('close:1011:You exceeded your current quota');
    assert.deepEqual(await end, { code: 1011, reason: 'You exceeded your current quota' });
  });

  test('the client closes: the provider has its code and reason', async () => {
    const [key] = await world.keys('deepgram', 1);
    const socket = await open('deepgram/v1/listen?model=nova-3');
    socket.close(4001, 'enough');
    await eventually(async () => (await ended()).length === 1);
    assert.deepEqual(await ended(), [{ provider: 'deepgram', key, code: 4001, reason: 'enough' }]);
  });

  test('the client is gone: so is the provider’s socket', async () => {
    await world.keys('deepgram', 1);
    const socket = await open('deepgram/v1/listen?model=nova-3');
    socket.send('hello');
    await eventually(() => socket.heard.length === 1);
    socket.terminate();
    await eventually(async () => (await ended()).length === 1);
    assert.notEqual((await ended())[0].code, 1000);
  });
});

describe('the official SDKs', () => {
  // The SDK insists on `wss:`; the connection below is ours and has no TLS.
  test('openai: a realtime session', async () => {
    await world.keys('openai', [{ state: 'invalid' }, {}]);
    const client = new OpenAI({ apiKey: TOKEN, baseURL: `${world.main.url}/api/openai/v1`, maxRetries: 0 });
    for (let turn = 0; turn < 2; turn += 1) {
      const realtime = new OpenAIRealtimeWS({ model: 'gpt-realtime', options: { createConnection: () => connect(Number(new URL(world.main.url).port), '127.0.0.1') } }, client);
      const text = await new Promise((resolve, reject) => {
        let text = '';
        realtime.on('error', reject);
        realtime.on('session.created', () => realtime.send({ type: 'response.create' }));
        realtime.on('response.output_text.delta', ({ delta }) => (text += delta));
        realtime.on('response.done', () => resolve(text));
      });
      assert.equal(text, 'You said something');
      realtime.close();
    }
  });

  test('@google/genai: a live session', async () => {
    await world.keys('google-ai-studio', [{ state: 'invalid' }, {}]);
    const client = new GoogleGenAI({ apiKey: TOKEN, httpOptions: { baseUrl: `${world.main.url}/api/google-ai-studio` } });
    for (let turn = 0; turn < 2; turn += 1) {
      const messages = [];
      const session = await client.live.connect({
        model: 'gemini-2.0-flash-live-001',
        config: { responseModalities: [Modality.TEXT] },
        callbacks: { onmessage: (message) => messages.push(message), onerror: (event) => messages.push({ event }) },
      });
      session.sendClientContent({ turns: [{ role: 'user', parts: [{ text: 'hi' }] }] });
      await eventually(() => messages.some(({ serverContent }) => serverContent?.turnComplete));
      const said = messages.find(({ serverContent }) => serverContent?.modelTurn).serverContent.modelTurn.parts[0].text;
      assert.equal(said, 'You said: hi');
      session.close();
    }
  });
});
