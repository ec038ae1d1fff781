// Stored objects: what one key made, only that key can see. The simulator tells every other key that it
// does not exist, as the providers do.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import Anthropic, { toFile as toAnthropicFile } from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI, { toFile } from 'openai';
import { TOKEN, eventually, startWorld } from './harness.mjs';

const NARROW = 'narrow-token-1a2b3c4d5e6f';
const world = await startWorld({
  isolates: { main: {}, second: {} },
  others: { narrow: { AUTH_KEY: `${TOKEN};${NARROW}=openai` } },
  probe: true,
  forbidden: [NARROW],
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const KEYS = 4;
const openai = (isolate = 'main') => new OpenAI({ apiKey: TOKEN, baseURL: `${world[isolate].url}/api/openai`, maxRetries: 0 });
const rows = () => world.query('SELECT * FROM objects');

/** The keys of the last so many requests that arrived, without repetitions. */
async function lastKeys(count) {
  const requests = await world.sim.requests();
  return [...new Set(requests.slice(-count).map(({ key }) => key))];
}

function form(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  return form;
}

const jsonl = () => form({ purpose: 'batch', file: new Blob(['{}\n'], { type: 'application/jsonl' }) });
const id = ({ id }) => id;
const name = ({ name }) => name;

// provider, what makes it, where its name is, and requests that name it.
const FAMILIES = [
  ['openai', 'files', { body: jsonl }, id, [['GET', (it) => `files/${it}`], ['GET', (it) => `v1/files/${it}/content`], ['POST', 'batches', (it) => ({ input_file_id: it })],
    ['POST', 'fine_tuning/jobs', (it) => ({ model: 'gpt-4o', training_file: it })],
    ['POST', 'responses', (it) => ({ model: 'gpt-4o', input: [{ role: 'user', content: [{ type: 'input_file', file_id: it }] }] })],
    ['POST', 'chat/completions', (it) => ({ model: 'gpt-4o', messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: it } }] }] })],
    ['POST', 'vector_stores', (it) => ({ file_ids: [it] })]]],
  ['openai', 'responses', { json: { model: 'gpt-4o', input: 'hi' } }, id, [['GET', (it) => `responses/${it}`], ['POST', 'responses', (it) => ({ model: 'gpt-4o', input: 'again', previous_response_id: it })]]],
  ['openai', 'conversations', { json: {} }, id, [['GET', (it) => `conversations/${it}`], ['POST', 'responses', (it) => ({ model: 'gpt-4o', input: 'hi', conversation: it })],
    ['POST', 'responses', (it) => ({ model: 'gpt-4o', input: 'hi', conversation: { id: it } })]]],
  ['openai', 'vector_stores', { json: { name: 'v' } }, id, [['GET', (it) => `vector_stores/${it}/files`],
    ['POST', 'responses', (it) => ({ model: 'gpt-4o', input: 'hi', tools: [{ type: 'file_search', vector_store_ids: [it] }] })]]],
  ['openai', 'assistants', { json: { model: 'gpt-4o' } }, id, [['GET', (it) => `assistants/${it}`], ['POST', 'threads/runs', (it) => ({ assistant_id: it })]]],
  ['openai', 'threads', { json: {} }, id, [['POST', (it) => `threads/${it}/messages`, () => ({ role: 'user', content: 'hi' })]]],
  ['openai', 'threads/runs', { json: {} }, ({ thread_id }) => thread_id, [['GET', (it) => `threads/${it}/runs`]]],
  ['openai', 'fine_tuning/jobs', { json: { model: 'gpt-4o' } }, id, [['POST', (it) => `fine_tuning/jobs/${it}/cancel`, () => ({})]]],
  ['openai', 'uploads', { json: { bytes: 3 } }, id, [['POST', (it) => `uploads/${it}/parts`, () => ({})]]],
  ['openai', 'containers', { json: { name: 'c' } }, id, [['GET', (it) => `containers/${it}/files`]]],
  ['openai', 'videos', { json: { model: 'sora-2', prompt: 'x' } }, id, [['GET', (it) => `videos/${it}`], ['GET', (it) => `videos/${it}/content`]]],
  ['openai', 'evals', { json: { name: 'e' } }, id, [['POST', (it) => `evals/${it}/runs`, () => ({})]]],
  ['openai', 'chat/completions', { json: { model: 'gpt-4o', store: true, messages: [{ role: 'user', content: 'x' }] } }, id, [['GET', (it) => `chat/completions/${it}`]]],
  ['groq', 'batches', { json: {} }, id, [['GET', (it) => `batches/${it}`]]],
  ['mistral', 'v1/batch/jobs', { json: { input_files: [] } }, id, [['GET', (it) => `v1/batch/jobs/${it}`]]],
  ['mistral', 'v1/files', { body: jsonl }, id, [['POST', 'v1/batch/jobs', (it) => ({ input_files: [it] })]]],
  ['grok', 'v1/chat/completions', { json: { model: 'grok-4', deferred: true, messages: [{ role: 'user', content: 'x' }] } }, ({ request_id }) => request_id,
    [['GET', (it) => `v1/chat/deferred-completion/${it}`]]],
  ['azure-openai', 'res/dep/batches?api-version=1', { json: {} }, id, [['GET', (it) => `res/dep/batches/${it}?api-version=1`]]],
  ['anthropic', 'v1/files', { body: jsonl }, id, [['GET', (it) => `v1/files/${it}`],
    ['POST', 'v1/messages', (it) => ({ model: 'claude-haiku-4-5', max_tokens: 9, messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'file', file_id: it } }] }] })]]],
  ['anthropic', 'v1/messages/batches', { json: { requests: [] } }, id, [['GET', (it) => `v1/messages/batches/${it}`], ['GET', (it) => `v1/messages/batches/${it}/results`]]],
  ['anthropic', 'v1/skills', { json: {} }, id, [['GET', (it) => `v1/skills/${it}/versions`]]],
  ['google-ai-studio', 'upload/v1beta/files', { body: () => 'hello', headers: { 'content-type': 'text/plain' } }, ({ file }) => file.name, [['GET', (it) => `v1beta/${it}`],
    ['POST', 'v1beta/models/gemini-2.5-flash:generateContent', (it) => ({ contents: [{ parts: [{ fileData: { fileUri: `https://generativelanguage.googleapis.com/v1beta/${it}` } }] }] })],
    ['POST', 'v1beta/models/gemini-2.5-flash:generateContent', (it) => ({ contents: [{ parts: [{ file_data: { file_uri: `https://generativelanguage.googleapis.com/v1beta/${it}` } }] }] })]]],
  ['google-ai-studio', 'v1beta/cachedContents', { json: { model: 'models/gemini-2.5-flash' } }, name, [['GET', (it) => `v1beta/${it}`],
    ['POST', 'v1beta/models/gemini-2.5-flash:generateContent', (it) => ({ contents: [{ parts: [{ text: 'x' }] }], cachedContent: it })]]],
  ['google-ai-studio', 'v1beta/models/gemini-2.5-flash:batchGenerateContent', { json: { batch: {} } }, name, [['GET', (it) => `v1beta/${it}`], ['POST', (it) => `v1beta/${it}:cancel`, () => ({})]]],
  ['google-ai-studio', 'v1beta/models/veo-3:predictLongRunning', { json: { instances: [] } }, name, [['GET', (it) => `v1beta/${it}`]]],
  ['google-ai-studio', 'v1beta/openai/batches', { json: {} }, id, [['GET', (it) => `v1beta/openai/batches/${it}`]]],
  ['replicate', 'predictions', { json: { version: 'o/n', input: {} } }, id, [['GET', (it) => `predictions/${it}`]]],
  ['replicate', 'models/o/n/predictions', { json: { input: {} } }, id, [['GET', (it) => `predictions/${it}`]]],
  ['parallel', 'v1/tasks/runs', { json: { processor: 'lite', input: 'x' } }, ({ run_id }) => run_id, [['GET', (it) => `v1/tasks/runs/${it}`], ['GET', (it) => `v1/tasks/runs/${it}/result`]]],
  ['elevenlabs', 'v1/voices/add', { body: () => form({ name: 'v' }) }, ({ voice_id }) => voice_id, [['POST', (it) => `v1/text-to-speech/${it}`, () => ({ text: 'x' })]]],
];

describe('an object is used with the key that made it', () => {
  for (const provider of new Set(FAMILIES.map(([provider]) => provider))) {
    test(provider, async () => {
      await world.keys(provider, KEYS);
      const headers = provider === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {};
      for (const [, path, made, nameOf, uses] of FAMILIES.filter(([of]) => of === provider)) {
        const before = (await rows()).length;
        const answer = await world.main.api(`${provider}/${path}`, { method: 'POST', ...made, headers: { ...headers, ...made.headers }, body: made.body?.() });
        assert.ok(answer.status < 300, `${path}: ${answer.status} ${answer.text}`);
        const [maker] = await lastKeys(1);
        const it = nameOf(answer.json);
        assert.ok(it, `${path}: ${answer.text}`);
        await eventually(async () => (await rows()).length === before + 1);
        for (const [method, address, body] of uses) {
          // As often as there are keys: by turns each of them would be used once.
          for (const isolate of [...Array(KEYS).fill('main'), 'second']) {
            const target = typeof address === 'string' ? address : address(it);
            const used = await world[isolate].api(`${provider}/${target}`, { method, headers, json: body?.(it) });
            assert.ok(used.status < 300, `${isolate}: ${method} ${target}: ${used.status} ${used.text}`);
            assert.deepEqual(await lastKeys(1), [maker], `${isolate}: ${method} ${target}`);
          }
        }
      }
    });
  }
});

describe('what is remembered', () => {
  test('one row when it is made, none when it is used, none for what is not stored', async () => {
    await world.keys('openai', 2);
    const stored = await world.main.api('openai/responses', { json: { model: 'gpt-4o', input: 'x' } });
    await eventually(async () => (await rows()).length === 1);
    const [row] = await rows();
    assert.ok(!JSON.stringify(row).includes(stored.json.id), 'a digest, not the name');
    assert.ok(row.expires_at > Date.now() + 29 * 86_400_000);
    await world.main.probe({ forget: true });
    for (let turn = 0; turn < 3; turn += 1) {
      assert.equal((await world.main.api(`openai/responses/${stored.json.id}`)).status, 200);
      await world.main.api('openai/responses', { json: { model: 'gpt-4o', input: 'x', store: false } });
      await world.main.ask('openai', 'gpt-4o');
    }
    const { log } = await world.main.probe();
    assert.deepEqual(log.flatMap(({ statements }) => statements).filter((sql) => /objects/.test(sql)), [], 'the isolate that made it asks nothing');
    assert.equal((await rows()).length, 1);
  });

  test('another isolate asks D1 once for a name that it does not know, and not at all without one', async () => {
    await world.keys('openai', 2);
    const { json } = await world.main.api('openai/responses', { json: { model: 'gpt-4o', input: 'x' } });
    await eventually(async () => (await rows()).length === 1);
    await world.second.ask('openai', 'gpt-4o');
    await world.second.probe({ forget: true });
    for (let turn = 0; turn < 3; turn += 1) {
      await world.second.api(`openai/responses/${json.id}`);
      await world.second.api('openai/responses/resp_of_someone_else');
      await world.second.ask('openai', 'gpt-4o');
    }
    const { log } = await world.second.probe();
    assert.equal(log.flatMap(({ statements }) => statements).filter((sql) => /objects/.test(sql)).length, 2);
  });

  test('an unknown object goes to any key, as before', async () => {
    await world.keys('openai', KEYS);
    for (let turn = 0; turn < KEYS; turn += 1) {
      assert.equal((await world.main.api('openai/files/file-made-elsewhere')).status, 404);
    }
    assert.equal((await lastKeys(KEYS)).length, KEYS, 'by turns');
  });

  test('a deleted object is forgotten', async () => {
    await world.keys('openai', 2);
    const client = openai();
    const file = await client.files.create({ file: await toFile(Buffer.from('x'), 'a.txt'), purpose: 'user_data' });
    assert.equal((await rows()).length, 1);
    assert.equal((await client.files.delete(file.id)).deleted, true);
    await eventually(async () => (await rows()).length === 0);
  });

  test('the cron forgets what is expired and nothing else', async () => {
    const [key] = await world.keys('openai', 1);
    const { id } = await world.main.find(key);
    const hour = 3_600_000;
    const put = (name, expires) => world.query('INSERT INTO objects VALUES (?, ?, ?, ?, ?)', name, 'openai', id, expires, 0);
    // One of each of the 256 parts, of which a run looks through one.
    const digest = (part) => part.toString(16).padStart(2, '0').padEnd(32, '0');
    for (let part = 0; part < 256; part += 1) await put(digest(part), Date.now() - 1);
    await put('f'.repeat(32), Date.now() + hour);
    await world.main.cron();
    assert.equal((await rows()).length, 256);
  });

  test('D1 fails: a request about an object says so, one that mentions a name is served', async () => {
    await world.keys('openai', 1);
    await world.main.ask('openai', 'gpt-4o');
    await world.main.probe({ d1: 'fails' });
    const about = await world.main.api('openai/files/file-1234567');
    assert.equal(about.status, 503, about.text);
    const chat = { model: 'gpt-4o', messages: [{ role: 'assistant', tool_calls: [{ type: 'function', id: 'c', function: { name: 'f', arguments: '{}' } }], file_id: 'none-of-them' }, { role: 'user', content: 'x' }] };
    assert.equal((await world.main.api('openai/chat/completions', { json: chat })).status, 200);
    await world.main.probe({ d1: 'works' });
  });
});

describe('the key that holds it', () => {
  const make = async () => {
    const keys = await world.keys('openai', 3);
    const { json } = await world.main.api('openai/responses', { json: { model: 'gpt-4o', input: 'x' } });
    const [maker] = await lastKeys(1);
    const next = (isolate = 'main') => world[isolate].api('openai/responses', { json: { model: 'gpt-4o', input: 'y', previous_response_id: json.id } });
    await eventually(async () => (await rows()).length === 1);
    return { keys, maker, next, id: json.id };
  };

  test('cools: the caller gets its 429 with the time, and no other key is asked', async () => {
    const { maker, next } = await make();
    await world.sim.faults({ match: { key: maker }, status: 429, headers: { 'retry-after': '120' }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } });
    const count = await world.sim.count();
    for (const turn of ['the provider says so', 'it is known']) {
      const answer = await next();
      assert.equal(answer.status, 429, `${turn}: ${answer.text}`);
      const seconds = Number(answer.headers.get('retry-after'));
      assert.ok(seconds > 60 && seconds <= 120, `${turn}: ${seconds}`);
    }
    assert.equal(await world.sim.count(), count + 1);
    assert.equal((await world.main.ask('openai', 'gpt-4o')).status, 200, 'others are there for the rest');
  });

  test('is deleted, disabled, or rejected: a 404 that says so', async () => {
    for (const end of ['deleted', 'disabled', 'rejected', 'rejected without a word']) {
      await world.fresh();
      const { maker, next } = await make();
      const { id } = await world.main.find(maker);
      if (end === 'deleted') await world.main.manage('POST', 'keys/actions', { action: 'delete', ids: [id] });
      if (end === 'disabled') await world.main.manage('POST', 'keys/actions', { action: 'disable', ids: [id] });
      if (end === 'rejected') await world.sim.keys([{ provider: 'openai', key: maker, state: 'invalid' }]);
      if (end === 'rejected without a word') await world.sim.keys([{ provider: 'openai', key: maker, state: 'bare_401' }]);
      for (const isolate of ['main', 'main', 'second']) {
        const answer = await next(isolate);
        assert.equal(answer.status, 404, `${end}, ${isolate}: ${answer.text}`);
        assert.match(answer.json.error.message, /gone from the pool/, end);
      }
      assert.equal((await world.main.ask('openai', 'gpt-4o')).status, 200, end);
    }
  });

  test('stumbles: it is asked again, and no other', async () => {
    const { maker, next } = await make();
    await world.sim.faults({ match: { key: maker }, times: 2, status: 503, body: { error: { message: 'The server is overloaded' } } });
    const answer = await next();
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(await lastKeys(3), [maker]);
  });

  test('two keys hold what one request names: 400', async () => {
    await world.keys('openai', 2);
    const files = [];
    for (let turn = 0; turn < 2; turn += 1) files.push((await world.main.api('openai/files', { method: 'POST', body: jsonl() })).json.id);
    assert.equal((await lastKeys(2)).length, 2);
    const answer = await world.main.api('openai/vector_stores', { json: { file_ids: files } });
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.json.error.message, /different keys/);
  });
});

describe('the official SDKs', () => {
  test('openai: file, batch, its results, a streamed conversation', async () => {
    await world.keys('openai', KEYS);
    const client = openai();
    const file = await client.files.create({ file: await toFile(Buffer.from('{}\n'), 'b.jsonl'), purpose: 'batch' });
    const batch = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/responses', completion_window: '24h' });
    const done = await client.batches.retrieve(batch.id);
    assert.equal(done.status, 'completed');
    assert.equal(await (await client.files.content(done.output_file_id)).text(), '{}\n', 'the provider made that file');
    assert.equal(await (await openai('second').files.content(done.output_file_id)).text(), '{}\n');
    let previous = null;
    for (let turn = 0; turn < 2 * KEYS; turn += 1) {
      const isolate = turn % 2 === 0 ? 'main' : 'second';
      let text = '';
      for await (const event of await openai(isolate).responses.create({ model: 'gpt-4o', input: `turn ${turn}`, previous_response_id: previous, stream: true })) {
        if (event.type === 'response.created') previous = event.response.id;
        if (event.type === 'response.output_text.delta') text += event.delta;
      }
      assert.equal(text, `You said: turn ${turn}`);
      const known = turn + 4; // a file, a batch, its results
      await eventually(async () => (await rows()).length === known);
    }
  });

  test('anthropic: a file in a message, a batch', async () => {
    await world.keys('anthropic', KEYS);
    const client = new Anthropic({ apiKey: TOKEN, baseURL: `${world.main.url}/api/anthropic`, maxRetries: 0 });
    const file = await client.beta.files.upload({ file: await toAnthropicFile(Buffer.from('x'), 'a.txt', { type: 'text/plain' }), betas: ['files-api-2025-04-14'] });
    const content = [{ type: 'document', source: { type: 'file', file_id: file.id } }, { type: 'text', text: 'hi' }];
    const batch = await client.messages.batches.create({ requests: [{ custom_id: 'a', params: { model: 'claude-haiku-4-5', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] } }] });
    for (let turn = 0; turn < KEYS; turn += 1) {
      const answer = await client.beta.messages.create({ model: 'claude-haiku-4-5', max_tokens: 9, betas: ['files-api-2025-04-14'], messages: [{ role: 'user', content }] });
      assert.equal(answer.type, 'message');
      assert.equal((await client.messages.batches.retrieve(batch.id)).id, batch.id);
    }
  });

  test('@google/genai: an uploaded file stays on its key, and no token goes to Google', async () => {
    await world.keys('google-ai-studio', KEYS);
    const client = new GoogleGenAI({ apiKey: TOKEN, httpOptions: { baseUrl: `${world.main.url}/api/google-ai-studio` } });
    const file = await client.files.upload({ file: new Blob(['hello there']), config: { mimeType: 'text/plain' } });
    const model = 'gemini-2.5-flash';
    for (let turn = 0; turn < KEYS; turn += 1) {
      const contents = [{ role: 'user', parts: [{ fileData: { fileUri: file.uri, mimeType: 'text/plain' } }, { text: 'hi' }] }];
      assert.equal((await client.models.generateContent({ model, contents })).text, 'You said: hi');
      assert.equal((await client.files.get({ name: file.name })).name, file.name);
    }
    const requests = await world.sim.requests();
    assert.ok(requests.some(({ path, query }) => path.endsWith('/upload/v1beta/files') && /upload_id=/.test(query ?? path)), 'the upload came through here');
    assert.equal(new Set(requests.map(({ key }) => key)).size, 1);
  });

  test('an upload goes on without a token, but only one that began here', async () => {
    await world.keys('google-ai-studio', KEYS);
    const start = { 'x-goog-upload-protocol': 'resumable', 'x-goog-upload-command': 'start', 'x-goog-upload-header-content-type': 'text/plain' };
    const begun = await world.main.api('google-ai-studio/upload/v1beta/files', { json: { file: { displayName: 'a' } }, headers: start });
    const address = begun.headers.get('x-goog-upload-url');
    assert.ok(address.startsWith(`${world.main.url}/api/google-ai-studio/upload/v1beta/files?upload_id=`), address);
    const path = address.slice(world.main.url.length);
    const finish = { method: 'POST', token: null, headers: { 'x-goog-upload-command': 'upload, finalize', 'x-goog-upload-offset': '0' }, body: 'hello' };
    for (const other of [path.replace('upload_id=', 'upload_id=x'), path.replace('upload/v1beta', 'v1beta')]) {
      assert.equal((await world.second.send(other, finish)).status, 401, other);
    }
    const done = await world.second.send(path, finish);
    assert.equal(done.status, 200);
    const { file } = await done.json();
    for (let turn = 0; turn < KEYS; turn += 1) {
      assert.equal((await world.main.api(`google-ai-studio/v1beta/${file.name}`)).status, 200);
    }
  });

  test('@google/genai: a file in a prompt, a cache, a batch', async () => {
    await world.keys('google-ai-studio', KEYS);
    const client = new GoogleGenAI({ apiKey: TOKEN, httpOptions: { baseUrl: `${world.main.url}/api/google-ai-studio` } });
    const model = 'gemini-2.5-flash';
    const cache = await client.caches.create({ model, config: { contents: 'a long text' } });
    const batch = await client.batches.create({ model, src: [{ contents: 'x' }] });
    for (let turn = 0; turn < KEYS; turn += 1) {
      const answer = await client.models.generateContent({ model, contents: 'hi', config: { cachedContent: cache.name } });
      assert.equal(answer.text, 'You said: hi');
      assert.equal((await client.batches.get({ name: batch.name })).name, batch.name);
    }
    await client.caches.delete({ name: cache.name });
    await eventually(async () => (await rows()).length === 1);
  });
});

describe('at /v1, where no model tells the provider', () => {
  const at = (path, init) => world.main.send(path, init).then(async (response) => ({ status: response.status, json: await response.json() }));
  const of = async () => (await world.sim.last()).provider;

  for (const provider of ['groq', 'mistral', 'grok']) {
    test(`a file of ${provider} and what is made of it are found there, though OpenAI has keys, too`, async () => {
      await world.keys('openai', 2);
      await world.keys(provider, KEYS);
      const path = provider === 'groq' ? 'files' : 'v1/files';
      const file = (await world.main.api(`${provider}/${path}`, { method: 'POST', body: jsonl() })).json;
      const [maker] = await lastKeys(1);
      await eventually(async () => (await rows()).length === 1);
      for (const isolate of ['main', 'second', 'second']) {
        const found = await world[isolate].send(`/v1/files/${file.id}`);
        assert.equal(found.status, 200, await found.text());
        assert.deepEqual(await lastKeys(1), [maker], isolate);
      }
      assert.equal((await world.main.send(`/v1/files/${file.id}/content`)).status, 200);
      if (provider === 'mistral') return; // has batches elsewhere
      const batch = await at('/v1/batches', { json: { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } });
      assert.equal(batch.status, 200, JSON.stringify(batch.json));
      assert.deepEqual(await lastKeys(1), [maker], 'a body names it');
      await eventually(async () => (await rows()).length >= 2);
      const done = await (await world.second.send(`/v1/batches/${batch.json.id}`)).json();
      assert.equal(done.status, 'completed', JSON.stringify(done));
      assert.deepEqual(await lastKeys(1), [maker]);
      const gone = await at(`/v1/files/${file.id}`, { method: 'DELETE' });
      assert.equal(gone.status, 200, JSON.stringify(gone.json));
      assert.equal(await of(), provider);
    });
  }

  test('the official SDK: a response of xAI is fetched and continued', async () => {
    await world.keys('openai', 1);
    await world.keys('grok', KEYS);
    const client = new OpenAI({ apiKey: TOKEN, baseURL: `${world.main.url}/v1`, maxRetries: 0 });
    const made = await client.responses.create({ model: 'grok/grok-4', input: 'hi' });
    await eventually(async () => (await rows()).length === 1);
    assert.equal((await client.responses.retrieve(made.id)).id, made.id);
    assert.equal(await of(), 'grok');
  });

  test('what nobody holds goes to OpenAI, and D1 is asked once for it', async () => {
    await world.keys('openai', 2);
    await world.keys('groq', 1);
    await world.main.ask('openai', 'gpt-4o');
    await world.main.probe({ forget: true });
    for (let turn = 0; turn < 2; turn += 1) assert.equal((await at('/v1/files/file-made-elsewhere')).status, 404);
    assert.equal(await of(), 'openai');
    const { log } = await world.main.probe();
    assert.equal(log.flatMap(({ statements }) => statements).filter((sql) => /objects/.test(sql)).length, 1);
  });

  test('an upload goes to OpenAI, or to the only other provider that has files', async () => {
    const upload = () => at('/v1/files', { method: 'POST', body: jsonl() });
    await world.keys('openai', 1);
    await world.keys('groq', 1);
    assert.equal((await upload()).status, 200);
    assert.equal(await of(), 'openai');
    await world.fresh();
    await world.keys('groq', 1);
    await world.keys('anthropic', 1);
    const { json } = await upload();
    assert.equal(await of(), 'groq');
    assert.equal((await at(`/v1/files/${json.id}`)).status, 200);
    assert.equal((await at('/v1/files')).status, 200, 'the list, too');
    assert.equal(await of(), 'groq');
    await world.keys('mistral', 1);
    await world.restart();
    const several = await upload();
    assert.equal(several.status, 503, JSON.stringify(several.json));
    assert.match(several.json.error.message, /openai/i);
  });

  test('a token is held to its providers', async () => {
    await world.keys('groq', 1);
    const file = (await world.main.api('groq/files', { method: 'POST', body: jsonl() })).json;
    await world.keys('openai', 1);
    await world.use('narrow');
    const before = await world.sim.count();
    const answer = await world.narrow.send(`/v1/files/${file.id}`, { token: NARROW });
    assert.equal(answer.status, 403, await answer.text());
    assert.equal(await world.sim.count(), before);
  });

  test('Anthropic’s clients find Anthropic’s', async () => {
    await world.keys('anthropic', KEYS);
    const client = new Anthropic({ apiKey: TOKEN, baseURL: world.main.url, maxRetries: 0 });
    const batch = await client.messages.batches.create({ requests: [{ custom_id: 'a', params: { model: 'claude-haiku-4-5', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] } }] });
    const [maker] = await lastKeys(1);
    assert.equal((await client.messages.batches.retrieve(batch.id)).id, batch.id);
    assert.deepEqual(await lastKeys(1), [maker]);
  });
});
