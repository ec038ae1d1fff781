// Who is let in, to what, and what everybody else is told.

import assert from 'node:assert/strict';
import { afterEach, before, describe, test } from 'node:test';
import { TOKEN, startWorld } from './harness.mjs';

const FUTURE = 4_102_444_800; // 2100
const PAST = 1_000_000_000;
const T = {
  plain: 'plain-token-1a2b3c4d5e6f',
  padded: 'c2VjcmV0LXdpdGgtcGFkZGluZw==',
  odd: 'odd=characters&in,it(1)+/!~%|x',
  dated: 'dated-token-1a2b3c4d5e6f',
  expired: 'expired-token-1a2b3c4d5e6f',
  provider: 'provider-token-1a2b3c4d5e6f',
  models: 'models-token-1a2b3c4d5e6f',
  first: 'first-token-1a2b3c4d5e6f',
  both: 'both-token-1a2b3c4d5e6f',
  datedScope: 'dated-scope-token-1a2b3c4d5e6f',
  beginning: 'beginning-token-1a2b3c4d5e6f',
  typo: 'typo-token-1a2b3c4d5e6f',
};
const AUTH_KEY = [
  ` ${TOKEN} `,
  T.plain,
  T.padded,
  T.odd,
  `${T.dated}(${FUTURE})`,
  `${T.expired}(${PAST})`,
  `${T.provider}=openai`,
  `${T.models}=google-ai-studio,gemini-2.5-flash,gemini-2.5-flash-lite`,
  `${T.first}=google-ai-studio,gemini-2.5-flash&openai`,
  `${T.both}=openai,gpt-5-mini&openrouter,deepseek/deepseek-r1:free`,
  `${T.datedScope}=openai(${FUTURE})`,
  `${T.beginning}=google-ai-studio,gemini-2.5-*`,
  `${T.typo}=opennai`,
  '',
  '  ',
].join(';\n');

const world = await startWorld({
  isolates: { main: { AUTH_KEY }, unset: { AUTH_KEY: undefined }, blank: { AUTH_KEY: ' ; ;' } },
  forbidden: Object.values(T),
});
for (const token of Object.values(T)) world.secrets.add(token);
before(async () => {
  for (const provider of ['openai', 'google-ai-studio', 'anthropic', 'openrouter', 'elevenlabs', 'azure-openai']) {
    await world.keys(provider, 2);
  }
});
afterEach(() => world.assertClean());

const ask = (token, provider = 'openai', model = 'gpt-5-mini') => world.main.ask(provider, model, { token });

/** Does the request, and tells how many calls it made upstream. */
async function counting(work) {
  const before = await world.sim.count();
  const answer = await work();
  return { answer, calls: (await world.sim.count()) - before };
}

async function assertRefused(work, status, pattern) {
  const { answer, calls } = await counting(work);
  assert.equal(answer.status, status, answer.text);
  assert.equal(calls, 0, 'nothing is sent on');
  if (pattern) assert.match(answer.text, pattern);
  for (const token of [TOKEN, ...Object.values(T)]) assert.ok(!answer.text.includes(token), 'no token in an error');
  return answer;
}

describe('AUTH_KEY', () => {
  test('every token of the list is let in, also those with = and other characters in them', async () => {
    for (const name of ['plain', 'padded', 'odd', 'dated', 'provider', 'datedScope']) {
      const answer = await ask(T[name]);
      assert.equal(answer.status, 200, `${name}: ${answer.text}`);
    }
    assert.equal((await ask(TOKEN)).status, 200, 'white space around an entry does not count');
  });

  test('a part of a token, and what an ambiguous entry might have been cut to, is not let in', async () => {
    const parts = [T.padded.slice(0, -1), T.padded.slice(0, -2), 'odd', T.odd.split(',')[0], T.odd.split('(')[0], `${T.dated}(${FUTURE})`, `${T.plain}x`, T.plain.toUpperCase(), T.plain.slice(1), ';', 'undefined', 'null', '*'];
    for (const part of parts) await assertRefused(() => ask(part), 401);
  });

  test('a token whose scope is misspelt is not one without limits', async () => {
    await assertRefused(() => ask(T.typo), 401);
  });

  test('an expired token is refused, and told from an unknown one', async () => {
    const expired = await assertRefused(() => ask(T.expired), 401, /expired/);
    assert.equal(expired.json.error.code, 'token_expired');
    const unknown = await assertRefused(() => ask('never-was-one'), 401, /not known/);
    assert.equal(unknown.json.error.code, 'invalid_api_key');
    await assertRefused(() => ask(null), 401, /No token/);
  });

  test('problems of AUTH_KEY are told to the administrator by position, without any of its text', async () => {
    const { problems } = await world.main.manage('GET', 'session');
    assert.ok(problems.some((problem) => /Entry 13/.test(problem)), problems.join('\n'));
    for (const token of Object.values(T)) assert.ok(!problems.join().includes(token));
  });

  for (const name of ['unset', 'blank']) {
    test(`an AUTH_KEY that is ${name} lets nobody in and says how to set one`, async () => {
      for (const token of [null, '', 'undefined', TOKEN]) {
        const answer = await world[name].ask('openai', 'gpt-5-mini', { token });
        assert.equal(answer.status, 503, answer.text);
        assert.match(answer.json.error.message, /AUTH_KEY/);
        assert.match(answer.json.error.message, /wrangler secret put AUTH_KEY/);
      }
      assert.equal((await world[name].admin('GET', 'keys')).status, 503);
    });
  }
});

describe('scopes', () => {
  const gemini = (token, model) => ask(token, 'google-ai-studio', model);

  test('a token for a provider may use all its models, and no other provider', async () => {
    assert.equal((await ask(T.provider, 'openai', 'anything')).status, 200);
    assert.equal((await world.main.api('openai/files', { token: T.provider })).status, 200, 'also without a model');
    const refused = await assertRefused(() => gemini(T.provider, 'gemini-2.5-flash'), 403, /google-ai-studio/);
    assert.equal(refused.json.error.status, 'PERMISSION_DENIED');
    await assertRefused(() => ask(T.datedScope, 'openrouter', 'x'), 403);
  });

  test('a token for models may use those and no others', async () => {
    assert.equal((await gemini(T.models, 'gemini-2.5-flash')).status, 200);
    assert.equal((await gemini(T.models, 'gemini-2.5-flash-lite')).status, 200);
    await assertRefused(() => gemini(T.models, 'gemini-2.5-pro'), 403, /gemini-2\.5-pro/);
    await assertRefused(() => gemini(T.models, 'gemini-2.5-flash-lite-preview'), 403);
    await assertRefused(() => ask(T.models), 403);
  });

  test('each provider has its own models: a=p1,m1&p2 is m1 of p1 and everything of p2', async () => {
    assert.equal((await gemini(T.first, 'gemini-2.5-flash')).status, 200);
    assert.equal((await ask(T.first, 'openai', 'gpt-5-mini')).status, 200);
    await assertRefused(() => gemini(T.first, 'gemini-2.5-pro'), 403);
    assert.equal((await ask(T.both, 'openai', 'gpt-5-mini')).status, 200);
    assert.equal((await ask(T.both, 'openrouter', 'deepseek/deepseek-r1:free')).status, 200);
    await assertRefused(() => ask(T.both, 'openai', 'deepseek/deepseek-r1:free'), 403);
    await assertRefused(() => ask(T.both, 'openrouter', 'gpt-5-mini'), 403);
  });

  test('a model that ends in * is a beginning', async () => {
    assert.equal((await gemini(T.beginning, 'gemini-2.5-pro')).status, 200);
    await assertRefused(() => gemini(T.beginning, 'gemini-2.0-flash'), 403);
  });

  test('a model in the body does not beat the one in the path', async () => {
    for (const model of ['gemini-2.5-flash', 'models/gemini-2.5-flash']) {
      await assertRefused(
        () => world.main.api('google-ai-studio/v1beta/models/gemini-2.5-pro:generateContent', {
          token: T.models,
          json: { model, contents: [{ parts: [{ text: 'hi' }] }] },
        }),
        403,
        /gemini-2\.5-pro/,
      );
    }
  });

  test('a body with two models is not let through on the strength of the allowed one', async () => {
    const bodies = [
      '{"model":"gpt-5-mini","messages":[],"model":"gpt-5-pro"}',
      '{"model":"gpt-5-pro","messages":[],"model":"gpt-5-mini"}',
      '{"model":"gpt-5-mini","mod\\u0065l":"gpt-5-pro"}',
      '{"model":"gpt-5-mini","model":null,"model":"gpt-5-pro"}',
      '{"model":["gpt-5-mini"],"model":"gpt-5-pro"}',
      '{"x":{"model":"gpt-5-mini"},"model":"gpt-5-pro"}',
      '{"model":"gpt-5-pro","x":{"model":"gpt-5-mini"}}',
      '{"model":"gpt-5-pro\\u0000gpt-5-mini"}',
      '{"model":"gpt-5-mini","Model":"gpt-5-pro"}',
      '{"Model":"gpt-5-pro"}',
      '{}',
      '{"model":"gpt-5-mini"',
      '[{"model":"gpt-5-mini"}]',
      '{"model":"gpt-5-mini"}{"model":"gpt-5-pro"}',
    ];
    for (const body of bodies) {
      const { answer, calls } = await counting(() =>
        world.main.api('openai/chat/completions', { token: T.both, body, headers: { 'content-type': 'application/json' } }),
      );
      assert.ok(answer.status === 403 || answer.status === 400, `${body}: ${answer.status} ${answer.text}`);
      assert.equal(calls, 0, body);
    }
  });

  test('a form with two models is not let through either', async () => {
    const form = new FormData();
    form.append('model', 'gpt-5-mini');
    form.append('file', new Blob(['x']), 'a.mp3');
    form.append('model', 'gpt-5-pro');
    const { answer, calls } = await counting(() => world.main.api('openai/audio/transcriptions', { token: T.both, body: form }));
    assert.ok(answer.status === 403 || answer.status === 400, answer.text);
    assert.equal(calls, 0);
  });

  test('models that the provider would fall back to must be in the scope as well', async () => {
    const { answer, calls } = await counting(() =>
      world.main.api('openrouter/chat/completions', {
        token: T.both,
        json: { model: 'deepseek/deepseek-r1:free', models: ['openai/gpt-5-pro'], messages: [{ role: 'user', content: 'hi' }] },
      }),
    );
    assert.equal(answer.status, 403, answer.text);
    assert.equal(calls, 0);
  });

  test('through compat the scope is that of the provider in the model’s name', async () => {
    const compat = (token, model) =>
      world.main.api('compat/chat/completions', { token, json: { model, messages: [{ role: 'user', content: 'hi' }] } });
    assert.equal((await compat(T.both, 'openai/gpt-5-mini')).status, 200);
    assert.equal((await compat(T.both, 'openrouter/deepseek/deepseek-r1:free')).status, 200);
    assert.equal((await compat(T.models, 'google-ai-studio/gemini-2.5-flash')).status, 200);
    await assertRefused(() => compat(T.models, 'google-ai-studio/gemini-2.5-pro'), 403);
    await assertRefused(() => compat(T.models, 'openai/gpt-5-mini'), 403);
    await assertRefused(() => compat(T.both, 'openrouter/gpt-5-mini'), 403);
  });

  test('a token for models may read the list of models, which every SDK does first, but make no request without one', async () => {
    assert.equal((await world.main.api('google-ai-studio/v1beta/models', { token: T.models })).status, 200);
    await assertRefused(() => world.main.api('openai/files', { token: T.both }), 403);
    await assertRefused(() => world.main.api('openai/batches', { token: T.both, json: { model: 'gpt-5-mini', input_file_id: 'f' } }), 403);
    await assertRefused(() => world.main.api('google-ai-studio/v1beta/files', { token: T.models, method: 'POST', json: {} }), 403);
  });

  test('tricks with the path do not widen a scope', async () => {
    for (const path of [
      'google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent/../gemini-2.5-pro:generateContent',
      'google-ai-studio/v1beta/models/gemini-2.5-flash%2F..%2Fgemini-2.5-pro:generateContent',
      'google-ai-studio/v1beta//models/gemini-2.5-pro:generateContent',
      'google-ai-studio/v1beta/models/gemini-2.5-pro%3AgenerateContent',
      'google-ai-studio/v1beta/models/gemini%2D2.5%2Dpro:generateContent',
      'google-ai-studio/models/gemini-2.5-pro:generateContent',
      'google-ai-studio/v1beta/models/Gemini-2.5-flash:generateContent',
      'google-ai-studio/v1beta/tunedModels/gemini-2.5-flash:generateContent',
    ]) {
      const before = await world.sim.count();
      const answer = await world.main.raw({
        method: 'POST',
        path: `/api/${path}`,
        headers: { authorization: `Bearer ${T.models}`, 'content-type': 'application/json' },
        body: '{"contents":[{"parts":[{"text":"hi"}]}]}',
      });
      assert.ok([400, 403, 404].includes(answer.status), `${path}: ${answer.status} ${answer.text}`);
      assert.equal(await world.sim.count(), before, path);
    }
  });
});

describe('where a token is looked for', () => {
  const chat = { model: 'gpt-5-mini', messages: [{ role: 'user', content: 'hi' }] };
  const places = {
    'Authorization: Bearer': { headers: { authorization: `Bearer ${T.plain}` } },
    'authorization: bearer': { headers: { authorization: `bearer ${T.plain}` } },
    'Authorization without a scheme': { headers: { authorization: T.plain } },
    'x-api-key': { headers: { 'x-api-key': T.plain } },
    'x-goog-api-key': { headers: { 'x-goog-api-key': T.plain } },
    'api-key': { headers: { 'api-key': T.plain } },
    'xi-api-key': { headers: { 'xi-api-key': T.plain } },
    '?key=': { query: `?key=${T.plain}` },
    '?key= with escapes': { token: T.padded, query: `?key=${encodeURIComponent(T.padded)}` },
    'x-api-key beside a placeholder in Authorization': { headers: { authorization: 'Bearer sk-placeholder', 'x-api-key': T.plain } },
    'the second header, after an expired token': { headers: { authorization: `Bearer ${T.expired}`, 'x-goog-api-key': T.plain } },
  };
  for (const [place, { headers, query = '' }] of Object.entries(places)) {
    test(`${place}, at every provider`, async () => {
      const requests = [
        [`openai/chat/completions${query}`, chat],
        [`google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent${query}`, { contents: [{ parts: [{ text: 'hi' }] }] }],
        [`anthropic/v1/messages${query}`, { ...chat, max_tokens: 9 }],
        [`compat/chat/completions${query}`, { ...chat, model: 'openai/gpt-5-mini' }],
      ];
      for (const [path, json] of requests) {
        const answer = await world.main.api(path, { token: null, json, headers: { ...headers, 'anthropic-version': '2023-06-01' } });
        assert.equal(answer.status, 200, `${path}: ${answer.text}`);
      }
    });
  }

  test('the provider’s own header: xi-api-key and api-key', async () => {
    const speech = await world.main.api('elevenlabs/v1/text-to-speech/v', { token: null, headers: { 'xi-api-key': T.plain }, json: { text: 'hi' } });
    assert.equal(speech.status, 200);
    const azure = await world.main.api('azure-openai/r/d/chat/completions?api-version=1', { token: null, headers: { 'api-key': T.plain }, json: chat });
    assert.equal(azure.status, 200, azure.text);
  });

  test('nowhere else: not in a cookie, not in the body, not in a header of another name', async () => {
    for (const headers of [{ cookie: `auth_key=${T.plain}` }, { 'x-token': T.plain }, { 'x-auth-key': T.plain }]) {
      const answer = await world.main.api('openai/chat/completions', { token: null, headers, json: chat });
      assert.equal(answer.status, 401);
    }
    assert.equal((await world.main.api('openai/chat/completions', { token: null, json: { ...chat, key: T.plain } })).status, 401);
  });

  test('a provider’s key is not a token', async () => {
    const [key] = await world.keys('openai', 1);
    await assertRefused(() => ask(key), 401, /pool/);
  });
});

describe('refusals in the caller’s dialect', () => {
  for (const [provider, check401, check403] of [
    ['openai', ({ error }) => assert.equal(error.code, 'invalid_api_key'), ({ error }) => assert.equal(error.type, 'permission_error')],
    ['google-ai-studio', ({ error }) => assert.deepEqual([error.code, error.status], [401, 'UNAUTHENTICATED']), ({ error }) => assert.deepEqual([error.code, error.status], [403, 'PERMISSION_DENIED'])],
    ['anthropic', ({ type, error }) => assert.deepEqual([type, error.type], ['error', 'authentication_error']), ({ type, error }) => assert.deepEqual([type, error.type], ['error', 'permission_error'])],
  ]) {
    test(`${provider}: 401 and 403`, async () => {
      const unknown = await assertRefused(() => ask('unknown', provider, 'some-model'), 401);
      check401(unknown.json);
      assert.match(unknown.headers.get('content-type'), /^application\/json/);
      const scoped = provider === 'openai' ? T.models : T.datedScope;
      const refused = await assertRefused(() => ask(scoped, provider, 'some-model'), 403);
      check403(refused.json);
      assert.equal(refused.headers.get('x-should-retry'), 'false', 'SDKs need not try again');
    });
  }

  test('Gemini’s OpenAI layer speaks OpenAI’s dialect', async () => {
    const answer = await assertRefused(
      () => world.main.api('google-ai-studio/v1beta/openai/chat/completions', { token: 'unknown', json: { model: 'x', messages: [] } }),
      401,
    );
    assert.equal(answer.json.error.code, 'invalid_api_key');
  });

  test('text of the client in an error cannot break out of it', async () => {
    const model = '<script>alert(1)</script>"}\u0007`';
    const answer = await assertRefused(
      () => world.main.api('openai/chat/completions', { token: T.both, json: { model, messages: [] } }),
      403,
    ).catch(async (error) => {
      // Refused as a malformed name is as good.
      const again = await world.main.api('openai/chat/completions', { token: T.both, json: { model, messages: [] } });
      if (again.status !== 400) throw error;
      return again;
    });
    assert.ok(answer.json, 'it is JSON');
    assert.match(answer.headers.get('content-type'), /^application\/json/);
  });
});

describe('administration', () => {
  test('only a token without limits administers', async () => {
    for (const name of ['plain', 'padded', 'odd', 'dated']) {
      assert.equal((await world.main.admin('GET', 'session', undefined, { token: T[name] })).status, 200, name);
    }
    const routes = [['GET', 'session'], ['GET', 'providers'], ['GET', 'keys'], ['GET', 'keys/1'], ['DELETE', 'keys/1'], ['GET', 'events'],
      ['POST', 'keys', { provider: 'openai', keys: 'sk-0123456789' }], ['PATCH', 'keys/1', { remark: 'x' }],
      ['POST', 'keys/actions', { action: 'delete', ids: [1] }]];
    for (const [method, path, body] of routes) {
      for (const name of ['provider', 'models', 'first', 'both', 'datedScope', 'beginning']) {
        const answer = await world.main.admin(method, path, body, { token: T[name] });
        assert.equal(answer.status, 403, `${method} ${path} with ${name}: ${answer.text}`);
        assert.ok(answer.json.error.message);
      }
      for (const token of [null, 'unknown', T.expired, T.typo]) {
        // From an address of its own, since wrong tokens are slowed down.
        const headers = { 'cf-connecting-ip': `${method} ${path}`.replace(/[^a-z0-9]/gi, '-') };
        const answer = await world.main.admin(method, path, body, { token, headers });
        assert.equal(answer.status, 401, `${method} ${path}: ${answer.text}`);
      }
    }
    assert.equal((await world.main.list()).length > 0, true, 'nothing was deleted');
    assert.ok((await world.main.list()).every(({ remark }) => remark === ''));
  });

  test('a token elsewhere than in Authorization does not administer: no cookie, no query', async () => {
    for (const init of [{ headers: { cookie: `auth_key=${T.plain}` } }, { headers: { 'x-api-key': T.plain } }]) {
      assert.equal((await world.main.admin('GET', 'keys', undefined, { token: null, ...init })).status, 401);
    }
    assert.equal((await world.main.admin('GET', `keys?key=${T.plain}`, undefined, { token: null })).status, 401);
  });

  test('the session names the token by a digest and its end, never by its text', async () => {
    const { token } = await world.main.manage('GET', 'session');
    assert.match(token.id, /^[0-9a-f]{8}$/);
    assert.equal(token.expires_at, null);
    const dated = await world.main.admin('GET', 'session', undefined, { token: T.dated });
    assert.equal(dated.json.token.expires_at, FUTURE * 1000);
    assert.ok(!dated.text.includes(T.dated));
  });
});
