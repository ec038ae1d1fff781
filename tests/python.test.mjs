// Python's official SDKs, and litellm, against the built Worker: see python/clients.py.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { TOKEN, root, startWorld } from './harness.mjs';

const python = process.env.PYTHON_CLIENTS;
/** Imports of these libraries take seconds on a busy machine. */
const PATIENCE_MS = 180_000;

const world = python ? await startWorld() : undefined;

/** What the client found, by the name of the call. */
async function run(client) {
  const args = [join(root, 'tests', 'python', 'clients.py'), client, world.main.url, TOKEN];
  const env = { ...process.env, NO_PROXY: '127.0.0.1', LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR' };
  const { stdout } = await promisify(execFile)(python, args, { env, timeout: PATIENCE_MS });
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** What each call must have found: a value, or a function that looks at it. */
const error = (name, status, message) => (found) => {
  assert.equal(found.error, name, JSON.stringify(found));
  assert.equal(found.status, status, JSON.stringify(found));
  assert.match(found.message, message);
};
const said = (found) => assert.ok(typeof found === 'string' && found.includes('Hello'), JSON.stringify(found));
const some = (found) => assert.ok(found > 0, JSON.stringify(found));
const lists = (id) => (found) => assert.ok(found.includes?.(id), JSON.stringify(found));

const EXPECTED = {
  openai: {
    chat: said,
    stream: said,
    models: lists('openai/gpt-5-mini'),
    embedding: some,
    transcription: (found) => assert.match(found, /\d/, JSON.stringify(found)),
    response: said,
    'wrong token': error('AuthenticationError', 401, /token/i),
    'no such model': error('NotFoundError', 404, /nobody/),
    exhausted: error('RateLimitError', 429, /groq/i),
  },
  anthropic: {
    message: said,
    stream: said,
    count: some,
    models: lists('claude-haiku-4-5'),
    'wrong token': error('AuthenticationError', 401, /token/i),
  },
  genai: {
    content: said,
    stream: said,
    count: some,
    models: lists('models/gemini-2.5-flash'),
    file: (found) => assert.equal(found, true, JSON.stringify(found)),
    'wrong token': error('ClientError', 401, /token/i),
  },
  litellm: {
    openai: said,
    stream: said,
    anthropic: said,
    gemini: said,
    exhausted: error('RateLimitError', 429, /groq/i),
  },
};

if (python) {
  before(async () => {
    for (const provider of ['openai', 'anthropic', 'google-ai-studio']) await world.keys(provider, 2);
    // One key that is used up, and known to be.
    await world.keys('groq', [{ rpd: 0 }]);
    await world.main.ask('groq', 'llama-3.1-8b-instant');
  });

  for (const [client, expected] of Object.entries(EXPECTED)) {
    describe(client, () => {
      let found;
      before(async () => {
        found = await run(client);
      });
      for (const [call, check] of Object.entries(expected)) test(call, () => check(found[call]));
    });
  }
}
