// What a One Balance tells of itself: /metrics, its log, its webhook.

import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { TOKEN, eventually, startWorld } from './harness.mjs';
import { openInbox } from './inbox.mjs';

const HOUR = 3_600_000;
const LIMITED = 'tok-77aa10b3c9-openai-only-9e31';
const METRICS = 'met-5b20f7d1e4-reads-numbers-only-66c8';

const inbox = await openInbox();
after(() => inbox.close());
const hook = inbox.url;

const world = await startWorld({
  isolates: { main: { USAGE_FLUSH_SECONDS: '0', AUTH_KEY: `${TOKEN};${LIMITED}=openai`, METRICS_TOKEN: METRICS, WEBHOOK_URL: hook, WEBHOOK_MIN_USABLE: '2' } },
  others: {
    telegram: { WEBHOOK_URL: hook, WEBHOOK_KIND: 'telegram', WEBHOOK_CHAT_ID: '-100200' },
    discord: { WEBHOOK_URL: hook, WEBHOOK_KIND: 'discord' },
    feishu: { WEBHOOK_URL: hook, WEBHOOK_KIND: 'feishu' },
    wrong: { WEBHOOK_URL: 'http://example.com/hook-3f9c1a7e55-secret' },
    unheard: { WEBHOOK_URL: 'http://127.0.0.1:1/hook-3f9c1a7e55-secret' },
    chatty: { LOG: 'debug' },
  },
  forbidden: [LIMITED, METRICS, hook],
});
for (const secret of [LIMITED, METRICS, inbox.secret]) world.secrets.add(secret);
beforeEach(async () => {
  await world.fresh();
  inbox.empty();
  world.stdio = '';
});
afterEach(() => world.assertClean());

const { main } = world;

// === /metrics ===

/** Reads the text format of Prometheus, and lets nothing pass that it does not allow. */
function parse(text) {
  assert.ok(text.endsWith('\n') && !text.includes('\r'), 'lines end with \\n');
  const families = new Map();
  const samples = new Map();
  let current;
  for (const line of text.slice(0, -1).split('\n')) {
    const head = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (head) {
      const [, what, name, rest] = head;
      if (what === 'HELP') {
        assert.ok(!families.has(name), `${name} comes twice`);
        families.set(name, {});
        current = name;
      } else {
        assert.equal(name, current, 'TYPE follows HELP');
        assert.match(rest, /^(counter|gauge)$/);
        families.get(name).type = rest;
      }
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?[0-9]+(?:\.[0-9]+)?)$/.exec(line);
    assert.ok(sample, `not a sample: ${line}`);
    const [, name, labels = '', value] = sample;
    assert.equal(name, current, 'samples stand below their family');
    if (families.get(name).type === 'counter') assert.match(name, /_total$/);
    const pairs = [...labels.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"/g)].map(([, label, escaped]) => [
      label,
      escaped.replace(/\\(.)/g, (_, char) => (char === 'n' ? '\n' : char)),
    ]);
    const id = JSON.stringify([name, ...pairs.sort()]);
    assert.ok(!samples.has(id), `twice: ${line}`);
    samples.set(id, Number(value));
  }
  return (name, labels = {}) => samples.get(JSON.stringify([name, ...Object.entries(labels).sort()]));
}

async function metrics(token = METRICS) {
  const response = await main.send('/metrics', { token });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  return parse(text);
}

describe('/metrics', () => {
  test('tells requests, attempts and keys', async () => {
    await world.keys('openai', [{ rpd: 0 }, { state: 'invalid' }, {}, {}]);
    await world.keys('groq', 1);
    for (let n = 0; n < 4; n += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    await main.ask('anthropic', 'claude');
    const of = (name, more) => [name, { provider: 'openai', ...more }];
    await eventually(async () => {
      await world.query('DELETE FROM pool_counts');
      const value = await metrics();
      const model = { model: 'gpt-5-mini' };
      assert.equal(value(...of('one_balance_requests_total', { ...model, outcome: 'served' })), 4);
      assert.equal(value(...of('one_balance_requests_total', { ...model, outcome: 'failed' })), 0);
      assert.equal(value(...of('one_balance_attempts_total', { ...model, verdict: 'success' })), 4);
      assert.equal(value(...of('one_balance_attempts_total', { ...model, verdict: 'rate_limited' })), 1);
      assert.equal(value(...of('one_balance_attempts_total', { ...model, verdict: 'rejected' })), 1);
      assert.equal(value('one_balance_requests_total', { provider: 'anthropic', model: '*', outcome: 'refused' }), 1);
      assert.equal(value(...of('one_balance_keys', { state: 'blocked' })), 1);
      assert.equal(value(...of('one_balance_keys', { state: 'cooling' })), 1);
      assert.equal(value(...of('one_balance_keys', { state: 'ready' })), 2);
      assert.equal(value(...of('one_balance_keys', { state: 'disabled' })), 0);
      assert.equal(value('one_balance_keys_usable', { provider: 'openai' }), 3);
      assert.equal(value('one_balance_keys_usable', { provider: 'groq' }), 1);
      assert.match(JSON.stringify(value('one_balance_keys_counted_timestamp_seconds')), /^\d{10}$/);
    });
  });

  test('an empty pool', async () => {
    const value = await metrics();
    assert.equal(typeof value('one_balance_keys_counted_timestamp_seconds'), 'number');
    assert.equal(value('one_balance_keys', { provider: 'openai', state: 'ready' }), undefined);
  });

  test('hostile names of models stay within their labels', async () => {
    const names = ['a"} 1\nevil_total{x="', 'back\\slash', 'c\r\nd', 'ünïcode', '\\"', '\u2028'];
    for (const name of names) await world.query('INSERT INTO usage_totals (provider, model, requests, successes) VALUES (?1, ?2, 1, 1)', 'openai', name);
    const value = await metrics();
    const shown = (model) => value('one_balance_requests_total', { provider: 'openai', model, outcome: 'served' });
    for (const name of names) assert.equal(shown(name.replace(/[\r\u2028]/g, '\ufffd')), 1, JSON.stringify(name));
  });

  test('the pool is counted once in a while, and otherwise not read', async () => {
    await world.keys('openai', 2);
    assert.equal((await metrics())('one_balance_keys_usable', { provider: 'openai' }), 2);
    await world.keys('openai', 1);
    const [{ at }] = await world.query('SELECT at FROM pool_counts');
    // Were the clock to be read a minute later than the first time, it may have been counted anew.
    const second = (await metrics())('one_balance_keys_usable', { provider: 'openai' });
    if (Date.now() - at < 60_000) assert.equal(second, 2);
    await world.query('UPDATE pool_counts SET at = at - 120000');
    assert.equal((await metrics())('one_balance_keys_usable', { provider: 'openai' }), 3);
    // 1,000,000 keys are counted once a day.
    await world.query('UPDATE pool_counts SET keys = 1000000, at = at - ?1', 23 * HOUR);
    await world.keys('openai', 1);
    assert.equal((await metrics())('one_balance_keys_usable', { provider: 'openai' }), 3);
  });

  test('only with a token of its own or one without limits', async () => {
    for (const token of [METRICS, TOKEN]) assert.equal((await main.send('/metrics', { token })).status, 200);
    assert.equal((await main.send('/metrics', { token: null })).status, 401);
    assert.equal((await main.send('/metrics', { token: 'wrong' })).status, 401);
    assert.equal((await main.send('/metrics', { token: LIMITED })).status, 403);
    assert.equal((await main.send('/metrics', { token: METRICS, method: 'POST' })).status, 405);
    await world.keys('openai', 1);
    assert.equal((await main.ask('openai', 'gpt-5-mini', { token: METRICS })).status, 401, 'it opens nothing else');
    assert.equal((await main.admin('GET', 'keys', undefined, { token: METRICS })).status, 401);
  });
});

// === the log ===

/** The lines of an event in the log, oldest first. */
const lines = (event) =>
  world.stdio
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter((line) => line.event === event);

describe('the log', () => {
  test('says nothing of requests that are served', async () => {
    await world.keys('openai', 1);
    for (let n = 0; n < 3; n += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    await main.cron();
    assert.deepEqual([...lines('request'), ...lines('key')], []);
  });

  test('has one line for each key that changes and for each request that fails', async () => {
    const [limited, bad] = await world.keys('openai', [{ rpd: 0 }, { state: 'invalid' }]);
    const answer = await main.ask('openai', 'gpt-5-mini');
    assert.ok(answer.status >= 400);
    await eventually(() => lines('request').length === 1);
    const [request] = lines('request');
    const { ms, why, token, ...rest } = request;
    assert.ok(Number.isInteger(ms));
    assert.match(token, /^[0-9a-f]{8}$/);
    assert.deepEqual(rest, { event: 'request', provider: 'openai', model: 'gpt-5-mini', status: answer.status, code: null, attempts: 2 });
    const ids = { limited: (await main.find(limited)).id, bad: (await main.find(bad)).id };
    await eventually(() => lines('key').length === 2);
    const cool = lines('key').find((line) => line.change === 'cool');
    const block = lines('key').find((line) => line.change === 'block');
    assert.deepEqual([cool.key, cool.provider, cool.model, cool.status, cool.cooled], [ids.limited, 'openai', 'gpt-5-mini', 429, 'gpt-5-mini']);
    assert.ok(cool.until > Date.now() - HOUR && ['stated', 'guessed'].includes(cool.source));
    assert.deepEqual([block.key, block.reason, block.status], [ids.bad, 'invalid', 401]);
  });

  test('a request that we refuse has one line, with our code', async () => {
    await main.ask('groq', 'llama');
    await eventually(() => lines('request').length === 1);
    assert.deepEqual([lines('request')[0].code, lines('request')[0].status, lines('request')[0].provider], ['no_keys', 503, 'groq']);
    await main.ask('groq', 'llama', { token: 'a-wrong-one' });
    await eventually(() => lines('request').length === 2);
    assert.deepEqual([lines('request')[1].code, lines('request')[1].status], ['token_unknown', 401]);
  });

  test('a key that the cron puts back', async () => {
    const [key] = await world.keys('openai', 1);
    const { id } = await main.find(key);
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'forbidden', certain = 0, probe_at = 1 WHERE id = ?1", id);
    await main.cron();
    await eventually(() => lines('key').length === 1);
    assert.deepEqual(lines('key')[0], { event: 'key', change: 'restore', key: id, provider: 'openai', status: 200 });
  });

  test('with LOG=debug every request has a line', async () => {
    await world.use('chatty');
    await world.keys('openai', 1);
    await world.chatty.ask('openai', 'gpt-5-mini');
    await eventually(() => lines('request').length === 1);
    assert.deepEqual([lines('request')[0].status, lines('request')[0].attempts], [200, 1]);
  });
});

// === the webhook ===

/** The hour within which nothing more is told is over. */
const anHourLater = () => world.query("UPDATE webhook SET state = json_set(state, '$.not_before', 0)");

describe('the webhook', () => {
  test('says that a pool is low and that keys were blocked, once', async () => {
    const keys = await world.keys('openai', [{ state: 'invalid' }, {}, {}]);
    await world.keys('groq', 2);
    await main.cron();
    assert.deepEqual(inbox.messages, [], 'all is well');
    for (let n = 0; n < 3; n += 1) await main.ask('openai', 'gpt-5-mini');
    const { id } = await main.find(keys[2]);
    await main.manage('PATCH', `keys/${id}`, { state: 'disabled' });
    await eventually(async () => assert.equal((await main.find(keys[0])).state, 'blocked'));
    await main.cron();
    await main.cron();
    assert.equal(inbox.messages.length, 1);
    const [{ body, type }] = inbox.messages;
    assert.match(type, /^application\/json/);
    assert.deepEqual(body.low, [{ provider: 'openai', usable: 1, recovered: false }]);
    assert.deepEqual(body.blocked, [{ provider: 'openai', reason: 'invalid', keys: 1 }]);
    assert.equal(body.text, 'One Balance\nopenai: 1 usable key left (fewer than 2)\nopenai: 1 key was blocked (invalid)');
    await anHourLater();
    await main.cron();
    assert.equal(inbox.messages.length, 1, 'nothing new');
  });

  test('what happens within the hour is told after it', async () => {
    const [first, second, third] = await world.keys('openai', 3);
    await world.keys('openai', 2);
    await main.cron();
    const block = async (key) => {
      const { id } = await main.find(key);
      await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'leaked' WHERE id = ?1", id);
      await world.query("INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) VALUES (?1, ?2, 'openai', 'm', 401, 'reject', 'leaked', '')", Date.now(), id);
    };
    const told = () => inbox.messages.map(({ body }) => body.blocked.map((it) => it.keys));
    await block(first);
    await main.cron();
    assert.deepEqual(told(), [[1]]);
    await block(second);
    await main.cron();
    await block(third);
    await main.cron();
    assert.deepEqual(told(), [[1]]);
    await anHourLater();
    await main.cron();
    assert.deepEqual(told(), [[1], [2]]);
  });

  test('a message that does not arrive is sent again', async () => {
    await world.keys('openai', 1);
    inbox.answer = [500, 'broken'];
    await main.cron();
    assert.equal(inbox.messages.length, 1);
    await eventually(() => lines('webhook').length === 1);
    assert.deepEqual(lines('webhook')[0], { event: 'webhook', sent: false, why: 'answered 500: broken' });
    await main.cron();
    assert.equal(inbox.messages.length, 1, 'not at once');
    inbox.answer = [200, ''];
    await anHourLater();
    await main.cron();
    assert.equal(inbox.messages.length, 2);
    assert.deepEqual(inbox.messages[1].body.low, inbox.messages[0].body.low);
    await anHourLater();
    await main.cron();
    assert.equal(inbox.messages.length, 2);
  });

  test('a probe that is rejected is no new block', async () => {
    const [key] = await world.keys('openai', [{ state: 'invalid' }]);
    await world.keys('openai', 3);
    await main.cron();
    for (let n = 0; n < 4; n += 1) await main.ask('openai', 'gpt-5-mini');
    await eventually(async () => assert.equal((await main.find(key)).state, 'blocked'));
    await world.query('UPDATE provider_keys SET probe_at = 1 WHERE probe_at IS NOT NULL');
    await main.cron();
    assert.equal(inbox.messages.length, 1);
    await anHourLater();
    await world.query('UPDATE provider_keys SET probe_at = 1 WHERE probe_at IS NOT NULL');
    await main.cron();
    assert.equal(inbox.messages.length, 1);
    assert.ok((await world.query("SELECT 1 FROM events WHERE verdict = 'reject'")).length >= 2);
  });

  test('a test message in each form', async () => {
    const forms = {
      main: (body) => assert.equal(body.test, true),
      telegram: (body) => {
        assert.equal(body.chat_id, '-100200');
        assert.match(body.text, /^One Balance: this is a test/);
        assert.equal('parse_mode' in body, false);
      },
      discord: (body) => {
        assert.match(body.content, /this is a test/);
        assert.deepEqual(body.allowed_mentions, { parse: [] });
      },
    };
    await world.use('telegram', 'discord', 'feishu', 'wrong');
    for (const [name, check] of Object.entries(forms)) {
      assert.deepEqual(await world[name].manage('POST', 'webhook/test'), { sent: true, code: null, values: {}, message: null }, name);
      check(inbox.messages.at(-1).body);
    }
    inbox.answer = [200, '{"code":19001,"msg":"param invalid"}'];
    const failed = await world.feishu.manage('POST', 'webhook/test');
    assert.deepEqual([failed.sent, failed.code, failed.values], [false, 'webhook_refused', { status: 200, answer: inbox.answer[1] }]);
    assert.match(failed.message, /19001/);
    inbox.answer = [200, '{"code":0,"msg":"success"}'];
    assert.equal((await world.feishu.manage('POST', 'webhook/test')).sent, true);
    assert.match(inbox.messages.at(-1).body.content.text, /this is a test/);
    const before = inbox.messages.length;
    const wrong = await world.wrong.manage('POST', 'webhook/test');
    assert.deepEqual([wrong.sent, wrong.code], [false, 'webhook_not_set']);
    assert.equal(inbox.messages.length, before);
    const { problems } = await world.wrong.manage('GET', 'session');
    assert.match(JSON.stringify(problems), /WEBHOOK_URL must/);
    assert.equal((await main.admin('POST', 'webhook/test', undefined, { token: LIMITED })).status, 403);
  });

  test('an address that nobody answers is said in the log, without the address', async () => {
    await world.use('unheard');
    const { sent, code } = await world.unheard.manage('POST', 'webhook/test');
    assert.deepEqual([sent, code], [false, 'webhook_unreachable']);
    await world.keys('openai', 1);
    await world.query('UPDATE provider_keys SET state = ?1', 'disabled');
    await world.unheard.cron();
    await eventually(() => lines('webhook').length === 1);
    assert.deepEqual([lines('webhook')[0].sent, lines('webhook')[0].why], [false, 'no connection']);
  });
});
