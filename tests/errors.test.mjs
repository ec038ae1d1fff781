// Errors that One Balance makes itself, as the official SDKs see them: the class, the words, and how
// often the SDK tries.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { ApiError, GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { TOKEN, errorOf, startWorld } from './harness.mjs';

const SCOPED = 'scoped-token-1a2b3c4d5e6f';
const EXPIRED = 'expired-token-6f5e4d3c2b1a';
const world = await startWorld({
  isolates: { main: { AUTH_KEY: `${TOKEN};${SCOPED}=custom-other;${EXPIRED}(1000000000)` } },
  forbidden: [SCOPED, EXPIRED],
  probe: true,
});
beforeEach(() => world.fresh());
afterEach(async () => {
  await world.main.probe({ d1: 'works' });
  await world.assertClean();
});

/** Where the SDKs put a token. */
const CREDENTIALS = ['authorization', 'x-api-key', 'x-goog-api-key'];
/** The length of a body that is not taken. */
const TOO_LARGE = 49 * 1024 * 1024;

/**
 * The requests that were made to the Worker during `work`, and the error that it ends with. Without a `token`
 * none is sent. `announced` bodies are not: their length is, and the Worker answers to that.
 */
async function failing(work, { token = TOKEN, announced } = {}) {
  const real = globalThis.fetch;
  let requests = 0;
  globalThis.fetch = (input, init = {}) => {
    if (!String(input?.url ?? input).startsWith(world.main.url)) return real(input, init);
    requests += 1;
    const headers = new Headers(init.headers);
    // No SDK can be made without one: it is left out where the SDK has put it.
    if (token === null) for (const name of CREDENTIALS) headers.delete(name);
    return announced ? announce(new URL(input), headers, announced) : real(input, { ...init, headers });
  };
  try {
    return { error: await errorOf(work), requests };
  } finally {
    globalThis.fetch = real;
  }
}

async function announce({ pathname, search }, headers, length) {
  const answer = await world.main.raw({ method: 'POST', path: pathname + search, headers: { ...Object.fromEntries(headers), 'content-length': String(length) } });
  return new Response(answer.text, { status: answer.status, headers: answer.headers });
}

const user = [{ role: 'user', content: 'hi' }];

/** One chat of an SDK; all of them would try twice more. */
const SDKS = {
  openai: {
    provider: 'openai',
    model: 'gpt-5-mini',
    missing: '/api/nope',
    chat: (base, token, model) =>
      new OpenAI({ apiKey: token, baseURL: base, maxRetries: 2, fetch: (...all) => globalThis.fetch(...all) }).chat.completions.create({ model, messages: user }),
    bases: ['/v1', '/api/openai'],
    is: (error, status) => {
      const type = {
        401: OpenAI.AuthenticationError,
        403: OpenAI.PermissionDeniedError,
        404: OpenAI.NotFoundError,
        413: OpenAI.APIError, // it has no class of its own
        429: OpenAI.RateLimitError,
        502: OpenAI.InternalServerError,
        503: OpenAI.InternalServerError,
      }[status];
      assert.ok(error instanceof type, `${error?.constructor?.name}: ${error}`);
      assert.equal(error.status, status);
      assert.ok(error.code && error.type, 'a code and a type');
    },
    retries: 2,
  },
  anthropic: {
    provider: 'anthropic',
    model: 'claude-haiku-4-5',
    missing: '/api/claude',
    chat: (base, token, model) =>
      new Anthropic({ apiKey: token, baseURL: base, maxRetries: 2, fetch: (...all) => globalThis.fetch(...all) }).messages.create({ model, max_tokens: 10, messages: user }),
    bases: ['', '/anthropic', '/api/anthropic'],
    is: (error, status) => {
      const type = {
        401: Anthropic.AuthenticationError,
        403: Anthropic.PermissionDeniedError,
        404: Anthropic.NotFoundError,
        413: Anthropic.APIError, // it has no class of its own
        429: Anthropic.RateLimitError,
        502: Anthropic.InternalServerError,
        503: Anthropic.InternalServerError,
      }[status];
      assert.ok(error instanceof type, `${error?.constructor?.name}: ${error}`);
      assert.equal(error.status, status);
      assert.equal(error.error?.type, 'error');
    },
    retries: 2,
  },
  gemini: {
    provider: 'google-ai-studio',
    model: 'gemini-2.5-flash',
    missing: '/api/gemini',
    chat: (base, token, model) => new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: base } }).models.generateContent({ model, contents: 'hi' }),
    bases: ['', '/api/google-ai-studio'],
    is: (error, status) => {
      assert.ok(error instanceof ApiError, `${error?.constructor?.name}: ${error}`);
      assert.equal(error.status, status);
      assert.equal(JSON.parse(error.message).error.code, status);
    },
    retries: 0,
  },
};

for (const [name, sdk] of Object.entries(SDKS)) {
  describe(name, () => {
    const ask = (base, token = TOKEN, announced = 0) => failing(() => sdk.chat(world.main.url + base, token ?? 'none', sdk.model), { token, announced });
    const keys = () => world.keys(sdk.provider, 1);
    const own = `/api/${sdk.provider}`;
    const cases = [
      ['401: no token', () => {}, (base) => ask(base, null), 401, /No token came/, 1],
      ['401: a wrong token', () => {}, (base) => ask(base, 'wrong-token'), 401, /not known here/, 1],
      ['401: an expired token', () => {}, (base) => ask(base, EXPIRED), 401, /expired/, 1],
      ['403: a token for something else', keys, () => ask(own, SCOPED), 403, /may not use the provider/, 1],
      ['404: an unknown provider', () => {}, () => ask(sdk.missing), 404, /There is no provider/, 1],
      ['503: no keys', () => {}, (base) => ask(base), 503, /no usable key/, 1],
      ['429: every key cools for long', async () => {
        await keys();
        await world.sim.faults({ times: 1, status: 429, headers: { 'retry-after': '3600' }, body: {} });
        assert.equal((await world.main.ask(sdk.provider, sdk.model)).status, 429);
      }, (base) => ask(base), 429, /Try again in/, 1],
      ['502: the provider cannot be reached', async () => {
        await keys();
        await world.sim.faults({ times: null, reset: true });
      }, (base) => ask(base), 502, /could not be reached/, 1 + sdk.retries],
      ['413: a body that is too large', keys, (base) => ask(base, TOKEN, TOO_LARGE), 413, /larger than 48 MiB/, 1],
      ['503: D1 does not answer', () => world.main.probe({ d1: 'fails' }), (base) => ask(base), 503, /database of keys \(D1\) did not answer/, 1 + sdk.retries],
    ];
    for (const [title, prepare, work, status, words, requests] of cases) {
      test(title, async () => {
        await prepare();
        for (const base of sdk.bases) {
          const got = await work(base);
          sdk.is(got.error, status);
          assert.match(got.error.message, words);
          assert.equal(got.requests, requests, `requests at ${base || '/'}`);
        }
      });
    }
  });
}

describe('a provider’s own long wait', () => {
  test('is not slept through in silence', async () => {
    for (const sdk of [SDKS.openai, SDKS.anthropic]) {
      await world.fresh();
      await world.keys(sdk.provider, 1);
      await world.sim.faults({ times: null, status: 429, headers: { 'retry-after': '3600' }, body: {} });
      const { error, requests } = await failing(() => sdk.chat(world.main.url + sdk.bases[0], TOKEN, sdk.model));
      assert.equal(error.status, 429);
      assert.equal(error.headers.get('retry-after'), '3600');
      assert.equal(requests, 1);
    }
  });
});

describe('an exhausted pool that is back soon', () => {
  test('OpenAI’s and Anthropic’s SDKs wait as told and succeed', async () => {
    for (const sdk of [SDKS.openai, SDKS.anthropic]) {
      await world.fresh();
      await world.keys(sdk.provider, 1);
      await world.sim.faults({ times: 1, status: 429, headers: { 'retry-after': '2' }, body: {} });
      const answer = await sdk.chat(world.main.url + sdk.bases[0], TOKEN, sdk.model);
      assert.ok(answer.id);
      assert.equal(await world.sim.count(), 2, 'the pool was not asked while it cooled');
    }
  });
});

describe('models that nobody here has', () => {
  test('are a 404 that lists what is there, for every SDK that names models by themselves', async () => {
    await world.keys('grok', 1);
    for (const [sdk, model] of [[SDKS.openai, 'gpt-5-mini'], [SDKS.anthropic, 'claude-haiku-4-5']]) {
      const { error, requests } = await failing(() => sdk.chat(world.main.url + sdk.bases[0], TOKEN, model));
      sdk.is(error, 404);
      assert.match(error.message, /`grok`/);
      assert.equal(requests, 1);
    }
  });
});
