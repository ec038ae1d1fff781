// The Worker when something around it is missing or broken, and the page it serves.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TOKEN, eventually, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: { main: {} },
  others: {
    second: {},
    nowhere: { GATEWAY_URL: undefined },
    bound: { GATEWAY_URL: undefined, AI_GATEWAY: 'team-gateway' },
    unsafe: { GATEWAY_URL: 'http://evil.example/v1' },
    misnamed: { GATEWAY_URL: undefined, CLOUDFLARE_ACCOUNT_ID: '../x' },
    odd: { MAX_ATTEMPTS: 'many', CONSECUTIVE_429_THRESHOLD: '-1' },
    named: { DEPLOYMENT: '0123456789abcdef' },
    gone: { GATEWAY_URL: 'http://127.0.0.1:1/v1/a/g' },
  },
  probe: true,
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main } = world;

describe('/healthz', () => {
  test('needs no token and tells nothing secret', async () => {
    await world.keys('openai', 2);
    const response = await main.send('/healthz', { token: null });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    const { ok, d1, version, deployment, upstream, ...rest } = JSON.parse(text);
    assert.deepEqual([ok, d1, deployment, upstream, rest], [true, true, null, 'gateway', {}]);
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.match(response.headers.get('content-type'), /^application\/json/);
  });

  test('tells which deployment this is, as npm run deploy named it', async () => {
    await world.use('named');
    const answer = await (await world.named.send('/healthz', { token: null })).json();
    assert.equal(answer.deployment, '0123456789abcdef');
  });

  test('says when D1 does not answer', async () => {
    await main.probe({ d1: 'fails' });
    const response = await main.send('/healthz', { token: null });
    const answer = await response.json();
    assert.equal(response.status, 503);
    assert.deepEqual([answer.ok, answer.d1], [false, false]);
    assert.match(answer.message, /\w+ .*\w+/);
    await main.probe({ d1: 'works' });
    assert.equal((await main.send('/healthz', { token: null })).status, 200, 'and when it does again');
  });

  test('says when the tables are missing, and what to do', async () => {
    const tables = await world.query("SELECT sql FROM sqlite_master WHERE name = 'provider_keys' OR tbl_name = 'provider_keys' AND sql IS NOT NULL ORDER BY type DESC");
    await world.query('DROP TABLE provider_keys');
    try {
      const response = await main.send('/healthz', { token: null });
      const answer = await response.json();
      assert.equal(response.status, 503);
      assert.equal(answer.ok, false);
      assert.match(answer.message, /migration/i, JSON.stringify(answer));
    } finally {
      for (const { sql } of tables) await world.query(sql);
    }
    assert.equal((await main.send('/healthz', { token: null })).status, 200);
  });

  test('says when the binding is missing', async () => {
    await main.probe({ d1: 'unbound' });
    const response = await main.send('/healthz', { token: null });
    assert.equal(response.status, 503);
    assert.match(await response.text(), /DB|D1|database/i);
  });
});

describe('without D1', () => {
  test('a warm isolate goes on serving, and writes what it learnt when D1 is back', async () => {
    const [bad] = await world.keys('openai', [{}, {}, {}]);
    for (let request = 0; request < 3; request += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    await main.probe({ d1: 'fails' });
    await world.sim.keys([{ provider: 'openai', key: bad, state: 'invalid' }]);
    for (let request = 0; request < 6; request += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    assert.equal(await world.sim.count({ key: bad, status: 401 }), 1, 'blocked in this isolate all the same');
    await main.probe({ d1: 'works' });
    await world.sim.faults({ status: 429, headers: { 'retry-after': '600' }, body: { error: { message: 'limit', code: 'rate_limit_exceeded' } } });
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    await eventually(async () => {
      const [row] = await world.query('SELECT state FROM provider_keys WHERE secret = ?1', bad);
      assert.equal(row.state, 'blocked');
    });
  });

  test('a warm isolate goes on serving while D1 does not answer at all', async () => {
    const [bad] = await world.keys('openai', 3);
    for (let request = 0; request < 3; request += 1) await main.ask('openai', 'gpt-5-mini');
    await main.probe({ d1: 'stalls' });
    await world.sim.keys([{ provider: 'openai', key: bad, state: 'invalid' }]);
    for (let request = 0; request < 6; request += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    await main.probe({ d1: 'works' });
  });

  test('a caller who could be told that keys are exhausted is, while D1 does not answer', async () => {
    const [key] = await world.keys('openai', 1);
    await world.sim.keys([{ provider: 'openai', key, rpm: 1 }]);
    for (let request = 0; request < 2; request += 1) await main.ask('openai', 'gpt-5-mini');
    await main.probe({ d1: 'stalls' });
    const answer = await main.ask('openai', 'gpt-5-mini');
    assert.equal(answer.status, 429, answer.text);
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
    await main.probe({ d1: 'works' });
  });

  test('a cold isolate says so, in the caller’s dialect and not as a bare 500', async () => {
    await world.use('second');
    await world.keys('openai', 1);
    await world.keys('anthropic', 1);
    await world.second.probe({ d1: 'fails' });
    for (const [provider, model] of [['openai', 'gpt-5-mini'], ['anthropic', 'claude-haiku-4-5'], ['google-ai-studio', 'gemini-2.5-flash']]) {
      const answer = await world.second.ask(provider, model);
      assert.ok(answer.status >= 500 && answer.status < 600, String(answer.status));
      assert.match(answer.json?.error?.message ?? '', /\w+ \w+ \w+/, answer.text);
      assert.ok(!/D1_ERROR|SELECT|stack/.test(answer.text), answer.text);
    }
    assert.equal(await world.sim.count(), 0);
    await world.second.probe({ d1: 'works' });
    assert.equal((await world.second.ask('openai', 'gpt-5-mini')).status, 200, 'and it recovers');
  });

  test('a request to which D1 never answers ends with a sentence, and does not hold up the next', async () => {
    await world.keys('openai', 1);
    await main.probe({ d1: 'dies' });
    const late = await main.ask('openai', 'gpt-5-mini');
    assert.equal(late.status, 503, late.text);
    assert.match(late.json.error.message, /D1/);
    await main.probe({ d1: 'works' });
    const answer = await main.ask('openai', 'gpt-5-mini', { signal: AbortSignal.timeout(5_000) });
    assert.equal(answer.status, 200, answer.text);
  });

  test('the admin API says so as well', async () => {
    await main.probe({ d1: 'fails' });
    for (const [method, path, body] of [['GET', 'keys'], ['GET', 'providers'], ['POST', 'keys', { provider: 'openai', keys: 'sk-0123456789abcdef' }]]) {
      const answer = await main.admin(method, path, body);
      assert.ok(answer.status >= 500, `${path}: ${answer.status}`);
      assert.match(answer.json?.error?.message ?? '', /\w+ \w+ \w+/, answer.text);
      assert.ok(!answer.text.includes('sk-0123456789abcdef'));
    }
    assert.equal((await main.admin('GET', 'session')).status, 200, 'the session needs no D1');
  });
});

describe('the gateway’s address', () => {
  const ask = async (name) => {
    await world.use(name);
    await world.keys('openai', 1);
    return world[name].ask('openai', 'gpt-5-mini');
  };

  test('when nobody knows it, the error names the settings', async () => {
    const answer = await ask('nowhere');
    assert.equal(answer.status, 502, answer.text);
    assert.match(answer.text, /CLOUDFLARE_ACCOUNT_ID/);
    const { problems } = await world.nowhere.manage('GET', 'session');
    assert.ok(Array.isArray(problems));
  });

  test('the AI binding is asked when the settings do not say, once', async () => {
    await world.use('bound');
    await world.keys('openai', 1);
    await world.bound.probe({ ai: world.sim.base.replace(/\/one-balance$/, ''), forget: true });
    for (let request = 0; request < 3; request += 1) {
      const answer = await world.bound.ask('openai', 'gpt-5-mini');
      assert.equal(answer.status, 200, answer.text);
    }
    assert.match((await world.sim.last()).path, /^\/v1\/account\/team-gateway\/openai\/chat\/completions$/);
    const { asked } = await world.bound.probe();
    assert.deepEqual(asked, [{ name: 'team-gateway', provider: null }]);
  });

  test('the settings are used without asking the binding', async () => {
    await world.keys('openai', 1);
    await main.probe({ ai: 'http://127.0.0.1:1', forget: true });
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    assert.deepEqual((await main.probe()).asked, []);
  });

  test('an address to which keys must not be sent is refused, and named as a problem', async () => {
    for (const [name, word] of [['unsafe', /GATEWAY_URL/], ['misnamed', /CLOUDFLARE_ACCOUNT_ID/]]) {
      const answer = await ask(name);
      assert.equal(answer.status, 502, answer.text);
      const { problems } = await world[name].manage('GET', 'session');
      assert.ok(problems.some((problem) => word.test(problem)), problems.join());
    }
    assert.equal(await world.sim.count(), 0);
  });

  test('a gateway that cannot be reached is a clear error, and costs no key', async () => {
    await world.use('gone');
    const keys = await world.keys('openai', 3);
    const answer = await world.gone.ask('openai', 'gpt-5-mini');
    assert.equal(answer.status, 502, answer.text);
    assert.match(answer.json.error.message, /could not be reached/);
    for (const key of keys) assert.equal((await main.find(key)).state, 'ready');
  });

  test('settings that are no numbers are replaced by the defaults, and named as problems', async () => {
    await world.use('odd');
    await world.keys('openai', 1);
    assert.equal((await world.odd.ask('openai', 'gpt-5-mini')).status, 200);
    const { problems } = await world.odd.manage('GET', 'session');
    assert.ok(problems.some((problem) => /MAX_ATTEMPTS/.test(problem)), problems.join());
    assert.ok(problems.some((problem) => /CONSECUTIVE_429_THRESHOLD/.test(problem)), problems.join());
  });
});

describe('the page', () => {
  test('is served at / with headers that keep it safe', async () => {
    const response = await main.send('/', { token: null });
    const text = await response.text();
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/html; charset=utf-8/i);
    assert.match(text, /^<!doctype html>/i);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    assert.match(response.headers.get('referrer-policy'), /no-referrer/);
    assert.match(response.headers.get('cache-control'), /no-(store|cache)/);
    const policy = response.headers.get('content-security-policy');
    assert.match(policy, /default-src 'none'|default-src 'self'/);
    assert.ok(!/unsafe-inline|unsafe-eval|\*/.test(policy), policy);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.match(policy, /base-uri 'none'/);
  });

  test('its scripts and styles are the ones that its policy allows, and come from nowhere else', async () => {
    const response = await main.send('/', { token: null });
    const text = await response.text();
    const policy = response.headers.get('content-security-policy');
    const document = text.replace(/<script\b[^>]*>([^]*?)<\/script>|<style\b[^>]*>([^]*?)<\/style>/g, (_, script, style) => {
      const directive = script === undefined ? 'style-src' : 'script-src';
      const hash = createHash('sha256').update(script ?? style).digest('base64');
      assert.ok(policy.includes(`${directive} 'sha256-${hash}'`), `${directive} of ${policy}`);
      return '';
    });
    assert.ok(!/<[^>]+\son[a-z]+=/i.test(document), 'no inline handlers: the policy forbids them');
    assert.ok(!/\sstyle="/i.test(document), 'no inline styles either');
    assert.ok(!/(?:src|href)="(?:https?:)?\/\//.test(document), 'nothing from elsewhere');
  });

  test('has no key, no token and no setting in it', async () => {
    const [key] = await world.keys('openai', 1);
    const text = await (await main.send('/')).text();
    for (const secret of [TOKEN, key, world.sim.base]) assert.ok(!text.includes(secret));
  });

  test('is read-only: other methods are refused', async () => {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const response = await main.send('/', { method, token: null });
      assert.equal(response.status, 405, method);
      await response.text();
    }
    const head = await main.send('/', { method: 'HEAD', token: null });
    assert.equal(head.status, 200);
  });
});

describe('the cron trigger', () => {
  test('runs, also when there is nothing to do and when D1 is gone', async () => {
    assert.equal((await main.cron()).outcome, 'ok');
    await main.probe({ d1: 'fails' });
    assert.equal((await main.cron()).outcome, 'ok');
    assert.equal((await main.send('/healthz', { token: null })).status, 503, 'and the Worker is alive');
  });
});
