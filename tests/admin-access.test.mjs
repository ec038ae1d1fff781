// Who may administer and who may use the Worker: sessions, forged calls, wrong tokens, clients' tokens.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TOKEN, eventually, question, startWorld } from './harness.mjs';

const SECOND_TOKEN = 'tok-2b7e151628-second-aed2a6';
const LIMITED = 'tok-3c4fcf098f-limited-abf715';
const both = `${TOKEN};${SECOND_TOKEN};${LIMITED}=openai`;

const world = await startWorld({
  isolates: { main: { AUTH_KEY: both, USAGE_FLUSH_SECONDS: '0' } },
  others: {
    second: { AUTH_KEY: both },
    without: { AUTH_KEY: SECOND_TOKEN },
    peppered: { AUTH_KEY: both, SESSION_SECRET: 'a secret for sessions' },
  },
  probe: true,
  forbidden: [SECOND_TOKEN, LIMITED],
});
for (const secret of [SECOND_TOKEN, LIMITED]) world.secrets.add(secret);
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main } = world;
const CSRF = { 'x-requested-with': 'one-balance' };
const own = (isolate) => ({ ...CSRF, origin: isolate.url, 'sec-fetch-site': 'same-origin' });

/** Signs in; the cookie as a browser sends it back. */
async function signIn(isolate = main, token = TOKEN, headers = {}) {
  const response = await isolate.send('/admin/api/session', { method: 'POST', token: null, json: { token }, headers });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const [cookie] = response.headers.getSetCookie();
  assert.ok(cookie, 'a cookie');
  world.secrets.add(cookie.split(';')[0].split('=')[1]);
  return { cookie, sent: cookie.split(';')[0], json: JSON.parse(text), text };
}

const withCookie = (isolate, method, path, { cookie, headers = {}, json } = {}) =>
  isolate.admin(method, path, json, { token: null, headers: { cookie, ...headers } });

const faultOf = (answer, status, code) => {
  assert.deepEqual([answer.status, answer.json?.error?.code], [status, code], answer.text);
  assert.match(answer.json.error.message, /[.]$/);
  return answer.json.error;
};

describe('signing in', () => {
  test('an unrestricted token opens a session; the cookie does not hold it', async () => {
    const { cookie, sent, json, text } = await signIn();
    const parts = cookie.split('; ');
    assert.match(parts[0], /^one_balance_session=v1\.[0-9a-f]{8}\.\d+\.[0-9a-f]{64}$/);
    for (const part of ['HttpOnly', 'SameSite=Strict', 'Path=/']) assert.ok(parts.includes(part), cookie);
    assert.ok(!cookie.includes(TOKEN) && !text.includes(TOKEN));
    assert.equal(json.via, 'cookie');
    const hours = (json.expires_at - Date.now()) / 3_600_000;
    assert.ok(hours > 11.5 && hours <= 12.1, String(hours));
    const session = await withCookie(main, 'GET', 'session', { cookie: `theme=dark; ${sent}` });
    assert.equal(session.status, 200, session.text);
    assert.deepEqual([session.json.via, session.json.token.id], ['cookie', json.token.id]);
    assert.equal((await withCookie(main, 'GET', 'keys', { cookie: sent })).status, 200);
    await world.use('second');
    assert.equal((await withCookie(world.second, 'GET', 'keys', { cookie: sent })).status, 200, 'in every isolate');
  });

  test('the cookie is Secure everywhere but on this machine itself', async () => {
    const at = async (host) => {
      const answer = await main.raw({
        method: 'POST', path: '/admin/api/session', headers: { host, 'content-type': 'application/json' }, body: JSON.stringify({ token: TOKEN }),
      });
      assert.equal(answer.status, 200, answer.text);
      const cookie = String(answer.headers['set-cookie']);
      world.secrets.add(cookie.split(';')[0].split('=')[1]);
      return cookie.includes('; Secure');
    };
    for (const host of ['one.example', 'localhost.example', '10.0.0.1:8787']) assert.equal(await at(host), true, host);
    for (const host of ['localhost:8787', '127.0.0.1', '[::1]:8787']) assert.equal(await at(host), false, host);
  });

  test('other tokens open none', async () => {
    const post = (json) => main.admin('POST', 'session', json, { token: null });
    faultOf(await post({ token: 'wrong-0123456789' }), 401, 'token_unknown');
    faultOf(await post({ token: LIMITED }), 403, 'not_administrator');
    assert.equal(faultOf(await post({ token: ' ' }), 400, 'required').field, 'token');
    assert.equal(faultOf(await post({}), 400, 'required').field, 'token');
    assert.equal(faultOf(await post({ token: 7 }), 400, 'wrong_type').field, 'token');
    assert.equal(faultOf(await post({ token: TOKEN, more: 1 }), 400, 'unknown_field').field, 'more');
    faultOf(await post([]), 400, 'bad_body');
    const foreign = await main.admin('POST', 'session', { token: TOKEN }, { token: null, headers: { origin: 'https://evil.example' } });
    faultOf(foreign, 403, 'csrf');
    assert.equal(foreign.headers.get('set-cookie'), null);
  });

  test('signing out takes the cookie away, without a session too', async () => {
    const { sent } = await signIn();
    for (const cookie of [sent, 'a=b']) {
      const answer = await withCookie(main, 'DELETE', 'session', { cookie });
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('set-cookie'), /^one_balance_session=; .*Max-Age=0$/);
    }
  });

  test('no other cookie is a session', async () => {
    const { sent } = await signIn();
    const [name, value] = sent.split('=');
    const [version, id, ends, signature] = value.split('.');
    const digest = createHash('sha256').update(TOKEN).digest('hex');
    for (const forged of [
      `${version}.${id}.${Number(ends) + 1}.${signature}`,
      `${version}.${id}.${ends}.${'0'.repeat(64)}`,
      `${version}.${id}.${ends}.${digest}`,
      `${version}.${id}.${ends}`,
      `${version}.${id}.1.${signature}`,
      `v2.${id}.${ends}.${signature}`,
      TOKEN,
      '',
      '...',
    ]) {
      faultOf(await withCookie(main, 'GET', 'keys', { cookie: `${name}=${forged}` }), 401, 'session_expired');
    }
    faultOf(await withCookie(main, 'GET', 'keys', { cookie: `auth_key=${TOKEN}` }), 401, 'token_missing');
  });

  test('a session ends with its token, and with the secret of sessions', async () => {
    const { sent } = await signIn();
    await world.use('without', 'peppered');
    faultOf(await withCookie(world.without, 'GET', 'keys', { cookie: sent }), 401, 'session_expired');
    faultOf(await withCookie(world.peppered, 'GET', 'keys', { cookie: sent }), 401, 'session_expired');
    const peppered = await signIn(world.peppered);
    assert.equal((await withCookie(world.peppered, 'GET', 'keys', { cookie: peppered.sent })).status, 200);
    assert.equal((await withCookie(world.without, 'GET', 'keys', { cookie: (await signIn(world.without, SECOND_TOKEN)).sent })).status, 200);
  });
});

describe('forged calls', () => {
  test('a browser changes something only from the page itself', async () => {
    await main.addKeys('openai', ['sk-proj-0123456789']);
    const { sent: cookie } = await signIn();
    const json = { action: 'delete', filter: {} };
    const refused = [
      {},
      CSRF,
      { origin: main.url },
      { 'sec-fetch-site': 'same-origin' },
      { ...CSRF, origin: 'https://evil.example' },
      { ...CSRF, origin: 'null' },
      { ...CSRF, origin: main.url, 'sec-fetch-site': 'cross-site' },
      { ...CSRF, 'sec-fetch-site': 'same-site' },
      { ...CSRF, 'sec-fetch-site': 'none' },
      { ...CSRF, origin: `${main.url}.evil.example` },
      { 'x-requested-with': '', origin: main.url },
    ];
    for (const headers of refused) {
      faultOf(await withCookie(main, 'POST', 'keys/actions', { cookie, headers, json }), 403, 'csrf');
    }
    for (const [method, path] of [['PATCH', 'keys/1'], ['DELETE', 'keys/1'], ['POST', 'keys'], ['POST', 'keys/1/reveal'], ['POST', 'export'], ['POST', 'tokens'], ['POST', 'keys/search']]) {
      faultOf(await withCookie(main, method, path, { cookie, json: {}, headers: CSRF }), 403, 'csrf');
    }
    assert.equal((await main.list()).length, 1);
    for (const headers of [own(main), { ...CSRF, origin: main.url }, { ...CSRF, 'sec-fetch-site': 'same-origin' }]) {
      assert.equal((await withCookie(main, 'POST', 'keys/search', { cookie, headers, json: {} })).status, 200);
    }
    assert.equal((await withCookie(main, 'POST', 'keys/actions', { cookie, headers: own(main), json })).json.changed, 1);
  });

  test('a script with its token needs none of that, and no answer is for other sites', async () => {
    const answer = await main.admin('POST', 'keys/search', {}, { headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' } });
    assert.equal(answer.status, 200);
    for (const [name] of answer.headers) assert.ok(!name.startsWith('access-control-'), name);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  });
});

describe('wrong tokens', () => {
  test('ten of an address in a minute, then it has to wait, wherever it tries; others do not', async () => {
    const from = (address, token, path = 'session') => main.admin('GET', path, undefined, { token, headers: { 'cf-connecting-ip': address } });
    const { sent } = await signIn();
    for (let count = 0; count < 10; count += 1) faultOf(await from('192.0.2.1', `wrong-${count}`), 401, 'token_unknown');
    const error = faultOf(await from('192.0.2.1', 'wrong-again'), 429, 'too_many_wrong_tokens');
    assert.ok(error.values.seconds > 0 && error.values.seconds <= 60);
    const right = await from('192.0.2.1', TOKEN, 'keys');
    faultOf(right, 429, 'too_many_wrong_tokens');
    assert.ok(Number(right.headers.get('retry-after')) > 0);
    const login = await main.admin('POST', 'session', { token: TOKEN }, { token: null, headers: { 'cf-connecting-ip': '192.0.2.1' } });
    faultOf(login, 429, 'too_many_wrong_tokens');
    assert.equal((await from('192.0.2.2', TOKEN)).status, 200);
    const session = await withCookie(main, 'GET', 'session', { cookie: sent, headers: { 'cf-connecting-ip': '192.0.2.1' } });
    assert.equal(session.status, 200, 'who is signed in stays so');
  });

  test('tokens that are known but may not, or came too late, do not count', async () => {
    const headers = { 'cf-connecting-ip': '192.0.2.3' };
    for (let count = 0; count < 15; count += 1) assert.equal((await main.admin('GET', 'keys', undefined, { token: LIMITED, headers })).status, 403);
    for (let count = 0; count < 15; count += 1) assert.equal((await main.admin('GET', 'keys', undefined, { token: null, headers })).status, 401);
    assert.equal((await main.admin('GET', 'keys', undefined, { headers })).status, 200);
  });
});

describe('trying it out in the page', () => {
  const chat = question('openai', 'gpt-5-mini', 'Hello', false)[1].json;
  const ask = (headers, init = {}) => main.api('openai/chat/completions', { token: null, json: chat, headers, ...init });

  test('a session serves instead of a token, and tells which key it was', async () => {
    const [key] = await world.keys('openai', 1);
    const { sent: cookie } = await signIn();
    const answer = await ask({ cookie, ...own(main) });
    assert.equal(answer.status, 200, answer.text);
    const { id, hint } = await main.find(key);
    assert.equal(answer.headers.get('x-one-balance-key'), String(id));
    assert.equal(answer.headers.get('x-one-balance-key-hint'), hint.replace('…', '...'));
    assert.equal(answer.headers.get('x-one-balance-attempts'), '1');
    assert.match(answer.headers.get('x-one-balance-ms'), /^\d+$/);
    const stream = await main.api(...question('openai', 'gpt-5-mini', 'Hello', true, { token: null, headers: { cookie, ...own(main) } }));
    assert.match(stream.text, /data: /);
    const usual = await main.ask('openai', 'gpt-5-mini');
    for (const [name] of usual.headers) assert.ok(!name.startsWith('x-one-balance-'), `${name} is for administrators`);
  });

  test('only from the page itself, whatever the method', async () => {
    await world.keys('openai', 1);
    const { sent: cookie } = await signIn();
    for (const headers of [{}, CSRF, { origin: main.url }, { ...CSRF, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }]) {
      assert.equal((await ask({ cookie, ...headers })).status, 401, JSON.stringify(headers));
    }
    assert.equal((await main.api('openai/models', { token: null, headers: { cookie } })).status, 401);
    assert.equal((await ask({ ...own(main) })).status, 401, 'no session');
    assert.equal(await world.sim.count({}), 0);
  });
});

// === clients' tokens ===

const make = async (more = {}) => {
  const made = await main.manage('POST', 'tokens', { name: 'a client', ...more });
  world.secrets.add(made.secret);
  await world.sim.config({ forbidden: [TOKEN, SECOND_TOKEN, LIMITED, made.secret] });
  return made;
};
const askAs = (token, model = 'gpt-5-mini', isolate = main, provider = 'openai') => isolate.ask(provider, model, { token });

describe('clients\' tokens', () => {
  test('are shown once, kept as a digest, and serve', async () => {
    await world.keys('openai', 1);
    const { token, secret } = await make({ name: 'Cherry <b>Studio</b>' });
    assert.match(secret, /^ob-[0-9a-f]{40}$/);
    assert.equal(token.hint, `${secret.slice(0, 5)}…${secret.slice(-2)}`);
    const { created_at, ...rest } = token;
    assert.deepEqual(rest, {
      id: token.id, name: 'Cherry <b>Studio</b>', hint: token.hint, scope: '', rules: [], expires_at: null, per_minute: null, per_day: null,
      enabled: true, state: 'active', requests_today: 0, requests_30d: 0, last_used: null,
    });
    assert.ok(Math.abs(created_at - Date.now()) < 600_000);
    const [row] = await world.query('SELECT * FROM tokens');
    assert.equal(row.digest, createHash('sha256').update(secret).digest('hex'));
    assert.ok(!JSON.stringify(row).includes(secret));
    const listed = await main.admin('GET', 'tokens');
    assert.ok(!listed.text.includes(secret));
    assert.equal(listed.json.tokens.length, 1);
    assert.equal((await askAs(secret)).status, 200);
    const headers = { 'x-api-key': secret };
    assert.equal((await main.ask('openai', 'gpt-5-mini', { token: null, headers })).status, 200, 'in any header');
  });

  test('AUTH_KEY\'s are listed, without their texts', async () => {
    const { json, text } = await main.admin('GET', 'tokens');
    assert.deepEqual(json.auth_key.map(({ entry, unrestricted, scope, rules, state }) => ({ entry, unrestricted, scope, rules, state })), [
      { entry: 1, unrestricted: true, scope: '', rules: [], state: 'active' },
      { entry: 2, unrestricted: true, scope: '', rules: [], state: 'active' },
      { entry: 3, unrestricted: false, scope: 'openai', rules: [{ provider: 'openai', models: [] }], state: 'active' },
    ]);
    for (const secret of [TOKEN, SECOND_TOKEN, LIMITED]) assert.ok(!text.includes(secret));
  });

  test('never administer, whatever their scope', async () => {
    const { secret } = await make();
    assert.equal((await main.admin('GET', 'keys', undefined, { token: secret })).status, 401);
    assert.equal((await main.admin('POST', 'session', { token: secret }, { token: null })).status, 401);
  });

  test('may use what their scope names', async () => {
    await world.keys('openai', 1);
    await world.keys('groq', 1);
    const { token, secret } = await make({ scope: [{ provider: 'openai', models: ['gpt-5*'] }, { provider: 'xai' }] });
    assert.equal(token.scope, 'openai,gpt-5*&grok');
    assert.equal((await askAs(secret)).status, 200);
    assert.equal((await askAs(secret, 'gpt-4o')).status, 403);
    assert.equal((await askAs(secret, 'llama-3.3-70b-versatile', main, 'groq')).status, 403);
    const { token: changed } = await main.manage('PATCH', `tokens/${token.id}`, { scope: 'groq' });
    assert.deepEqual(changed.rules, [{ provider: 'groq', models: [] }]);
    assert.equal((await askAs(secret)).status, 403, 'at once where it was changed');
    assert.equal((await askAs(secret, 'llama-3.3-70b-versatile', main, 'groq')).status, 200);
  });

  test('are switched off, expire and are revoked', async () => {
    await world.keys('openai', 1);
    const { token, secret } = await make();
    assert.equal((await askAs(secret)).status, 200);
    await main.manage('PATCH', `tokens/${token.id}`, { enabled: false });
    const off = await askAs(secret);
    assert.deepEqual([off.status, off.json.error.code], [401, 'token_disabled'], off.text);
    await main.manage('PATCH', `tokens/${token.id}`, { enabled: true });
    assert.equal((await askAs(secret)).status, 200);
    await world.query('UPDATE tokens SET expires_at = 1000');
    await main.manage('PATCH', `tokens/${token.id}`, { name: 'late' });
    assert.equal((await askAs(secret)).status, 401);
    assert.equal((await main.manage('GET', 'tokens')).tokens[0].state, 'expired');
    await main.manage('PATCH', `tokens/${token.id}`, { expires_at: null });
    assert.equal((await askAs(secret)).status, 200);
    assert.deepEqual(await main.manage('DELETE', `tokens/${token.id}`), { changed: 1 });
    assert.equal((await askAs(secret)).status, 401, 'revoked at once');
    for (const [method, body] of [['DELETE'], ['PATCH', { name: 'x' }]]) {
      faultOf(await main.admin(method, `tokens/${token.id}`, body), 404, 'no_such_token');
    }
  });

  test('ask no more than they may in a minute and in a day', async () => {
    await world.keys('openai', 1);
    const minute = await make({ per_minute: 2 });
    const statuses = [];
    let last;
    // The minute may turn once in between, not twice.
    for (let count = 0; count < 5; count += 1) statuses.push((last = await askAs(minute.secret)).status);
    assert.ok(statuses.includes(429) && statuses[0] === 200 && statuses[1] === 200, statuses.join());
    const day = await make({ per_day: 2 });
    const limited = [];
    for (let count = 0; count < 6; count += 1) limited.push((last = await askAs(day.secret)).status);
    assert.equal(limited[0], 200);
    assert.ok(limited.includes(429), limited.join());
    last = await eventually(async () => {
      const answer = await askAs(day.secret);
      return answer.status === 429 && answer;
    });
    assert.equal(last.json.error.type, 'rate_limit_error');
    assert.ok(Number(last.headers.get('retry-after')) > 0);
    const gemini = await main.ask('google-ai-studio', 'gemini-2.5-flash', { token: day.secret });
    assert.equal(gemini.json.error.status, 'RESOURCE_EXHAUSTED', 'in the caller\'s dialect');
    const anthropic = await main.ask('anthropic', 'claude-sonnet-4-5', { token: day.secret });
    assert.equal(anthropic.json.error.type, 'rate_limit_error');
  });

  test('cost one question to D1, then none; an unknown one is asked about once', async () => {
    await world.keys('openai', 1);
    const { secret } = await make();
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    const asked = async (work) => {
      await main.probe({ forget: true });
      await work();
      const { log } = await main.probe();
      return log.filter(({ statements }) => statements.some((sql) => /FROM tokens/.test(sql))).length;
    };
    assert.equal(await asked(() => askAs(secret)), 1);
    assert.equal(await asked(async () => { for (let count = 0; count < 5; count += 1) assert.equal((await askAs(secret)).status, 200); }), 0);
    const unknown = `ob-${'0123456789'.repeat(4)}`;
    assert.equal(await asked(async () => { for (let count = 0; count < 5; count += 1) assert.equal((await askAs(unknown)).status, 401); }), 1);
    assert.equal(await asked(() => askAs('sk-something-else-0123456789')), 0);
    assert.equal(await asked(() => main.ask('openai', 'gpt-5-mini')), 0, 'a token of AUTH_KEY');
    const began = Date.now();
    const guesses = Array.from({ length: 130 }, (_, count) => `ob-${String(count).padStart(40, '0')}`);
    const guessed = await asked(() => Promise.all(guesses.map((guess) => askAs(guess))));
    // Half a minute later it may ask again; a machine may be that slow.
    if (Date.now() - began < 25_000) assert.ok(guessed <= 100, `${guessed} questions for guesses`);
  });

  test('serve from memory while D1 does not answer', async () => {
    await world.keys('openai', 1);
    const { secret } = await make();
    assert.equal((await askAs(secret)).status, 200);
    await main.probe({ d1: 'fails' });
    assert.equal((await askAs(secret)).status, 200);
    assert.equal((await askAs(`ob-${'f'.repeat(40)}`)).status, 503, 'whether it is one cannot be told');
    assert.equal((await askAs('nonsense')).status, 401);
    await main.probe({ d1: 'works' });
  });

  test('serve in every isolate, and their usage is counted', async () => {
    await world.keys('openai', 1);
    const { token, secret } = await make();
    await world.use('second');
    for (const isolate of [main, world.second]) assert.equal((await askAs(secret, 'gpt-5-mini', isolate)).status, 200);
    await eventually(async () => {
      const { tokens } = await main.manage('GET', 'tokens');
      assert.equal(tokens[0].id, token.id);
      assert.ok(tokens[0].requests_30d >= 1 && tokens[0].last_used > 0);
    });
  });

  test('what is wrong about one is said by field', async () => {
    const cases = [
      [{}, 'required', 'name'],
      [{ name: '  ' }, 'required', 'name'],
      [{ name: 'x'.repeat(101) }, 'too_long', 'name'],
      [{ name: 7 }, 'wrong_type', 'name'],
      [{ scope: 'opnai' }, 'bad_scope', 'scope'],
      [{ scope: 'openai&&groq' }, 'bad_scope', 'scope'],
      [{ scope: [{ models: ['x'] }] }, 'bad_scope', 'scope'],
      [{ scope: [{ provider: 'openai', models: ['a,b'] }] }, 'bad_scope', 'scope'],
      [{ scope: 7 }, 'wrong_type', 'scope'],
      [{ expires_at: 1_000 }, 'in_the_past', 'expires_at'],
      [{ expires_at: 'never' }, 'wrong_type', 'expires_at'],
      [{ per_minute: 0 }, 'out_of_range', 'per_minute'],
      [{ per_minute: 1.5 }, 'out_of_range', 'per_minute'],
      [{ per_day: 1_000_001 }, 'out_of_range', 'per_day'],
      [{ enabled: 'yes' }, 'wrong_type', 'enabled'],
      [{ secret: 'mine' }, 'unknown_field', 'secret'],
    ];
    for (const [wrong, code, field] of cases) {
      const body = code === 'required' ? wrong : { name: 'x', ...wrong };
      assert.equal(faultOf(await main.admin('POST', 'tokens', body), 400, code).field, field, JSON.stringify(wrong));
    }
    assert.deepEqual((await main.manage('GET', 'tokens')).tokens, []);
  });
});
