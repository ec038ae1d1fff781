// What the cron does: asks providers again about blocked keys, at most so many and so often, with
// questions that cost nothing; fills in what a takeover left; forgets what is over.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { eventually, startWorld } from './harness.mjs';

const world = await startWorld({ isolates: { main: {}, second: {} } });
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** The row of a key. */
async function row(key) {
  const { id } = await world.main.find(key);
  const [found] = await world.query('SELECT * FROM provider_keys WHERE id = ?1', id);
  return found;
}

/** Blocks keys as an answer would have, due for a probe now. */
async function blocked(keys, { certain = 0, probes = 0, reason = 'unauthorized' } = {}) {
  for (const key of keys) {
    const { id } = await row(key);
    await world.query(
      "UPDATE provider_keys SET state = 'blocked', certain = ?2, probes = ?3, reason = ?4, probe_at = ?5, updated_at = ?5 WHERE id = ?1",
      id, certain, probes, reason, Date.now() - 1,
    );
  }
}

const questions = {
  openai: 'openai/models',
  anthropic: 'anthropic/v1/models',
  'google-ai-studio': 'google-ai-studio/v1beta/models',
  groq: 'groq/models',
  openrouter: 'openrouter/key',
};

describe('blocked keys', () => {
  test('a key that its provider accepts again is put back and serves, with an event that says so', async () => {
    for (const [provider, path] of Object.entries(questions)) {
      const [key] = await world.keys(provider, 1);
      await blocked([key]);
      await world.main.cron();
      assert.equal((await row(key)).state, 'ready', provider);
      const asked = await world.sim.last();
      assert.equal(asked.method, 'GET', provider);
      assert.ok(asked.path.endsWith(path), `${provider}: ${asked.path}`);
      const [event] = (await world.main.manage('GET', 'events')).events;
      assert.equal(event.verdict, 'restore', provider);
      assert.equal(event.status, 200, provider);
      const answer = await world.main.ask(provider, 'm-1');
      assert.equal(answer.status, 200, `${provider}: ${answer.text}`);
    }
  });

  test('one that is still rejected stays blocked and is asked about later and later', async () => {
    const [doubtful, sure] = await world.keys('openai', [{ state: 'bare_401' }, { state: 'invalid' }]);
    const waits = { [doubtful]: [10 * MINUTE, 60 * MINUTE, DAY, DAY], [sure]: [7 * DAY, 7 * DAY] };
    for (const [key, expected] of Object.entries(waits)) {
      await blocked([key], { certain: Number(key === sure), reason: key === sure ? 'invalid' : 'unauthorized' });
      for (const [asked, wait] of expected.entries()) {
        const before = Date.now();
        await world.main.cron();
        const now = await row(key);
        assert.equal(now.state, 'blocked');
        assert.equal(now.probes, asked + 1);
        const late = now.probe_at - before - wait;
        assert.ok(late >= 0 && late < MINUTE, `probe ${asked}: ${late} ms off`);
        await world.query('UPDATE provider_keys SET probe_at = ?2 WHERE id = ?1', now.id, Date.now() - 1);
      }
      await world.query('UPDATE provider_keys SET probe_at = NULL WHERE id = ?1', (await row(key)).id);
    }
  });

  test('a probe that is answered in plain words makes a doubtful block a certain one', async () => {
    const [key] = await world.keys('google-ai-studio', [{ state: 'invalid' }]);
    await blocked([key]);
    await world.main.cron();
    const { state, certain, reason } = await row(key);
    assert.deepEqual({ state, certain, reason }, { state: 'blocked', certain: 1, reason: 'invalid' });
  });

  test('nobody is asked before the time has come, and a good key is never asked about', async () => {
    const [bad, good] = await world.keys('openai', [{ state: 'invalid' }, {}]);
    for (let request = 0; request < 4; request += 1) await world.main.ask('openai', 'gpt-5-mini');
    await eventually(async () => (await row(bad)).state === 'blocked');
    const { probe_at: due } = await row(bad);
    assert.ok(Math.abs(due - Date.now() - 5 * MINUTE) < MINUTE, 'a certain block is doubted after five minutes');
    const before = await world.sim.count({});
    await world.main.cron();
    assert.equal(await world.sim.count({}), before);
    assert.equal((await row(good)).probe_at, null);
  });

  test('an outage, a gateway that wants a token, a region: nothing is learnt, and nothing changes', async () => {
    const [key] = await world.keys('openai', 1);
    for (const fault of [{ status: 503, body: '{}' }, { case: 'gw-2009' }, { case: 'oai-403-region' }, { reset: true }]) {
      await blocked([key]);
      await world.sim.faults({ match: { provider: 'openai' }, times: null, ...fault });
      await world.main.cron();
      await world.sim.clearFaults();
      const now = await row(key);
      assert.equal(now.state, 'blocked', JSON.stringify(fault));
      assert.equal(now.probes, 0);
      assert.ok(now.probe_at > Date.now());
    }
    assert.deepEqual((await world.main.manage('GET', 'events')).events.filter((event) => event.key_id > 0), []);
  });

  test('a run asks about twenty keys, the most overdue first, and the next run about the rest', async () => {
    const keys = await world.keys('openai', 30);
    await blocked(keys);
    const first = await row(keys[7]);
    await world.query('UPDATE provider_keys SET probe_at = 1 WHERE id = ?1', first.id);
    await world.main.cron();
    assert.equal(await world.sim.count({}), 20);
    assert.equal((await world.sim.requests())[0].key, keys[7]);
    await world.main.cron();
    assert.equal(await world.sim.count({}), 30);
    assert.equal((await world.main.list('state=blocked')).length, 0);
  });

  test('a provider without a free question gets a doubtful key back for one try, a certain block stays', async () => {
    const [doubtful, sure] = await world.keys('perplexity-ai', 2);
    await blocked([doubtful]);
    await blocked([sure], { certain: 1, reason: 'invalid' });
    await world.query('UPDATE provider_keys SET probe_at = NULL WHERE id = ?1', (await row(sure)).id);
    await world.main.cron();
    assert.equal(await world.sim.count({}), 0);
    assert.equal((await row(doubtful)).state, 'ready');
    assert.equal((await row(sure)).state, 'blocked');
  });

  test('a key that an administrator disabled while it was being asked about stays disabled', async () => {
    const [key] = await world.keys('openai', 1);
    await blocked([key]);
    const { id } = await row(key);
    await world.sim.config({ latency_ms: 300 });
    const run = world.main.cron();
    await eventually(async () => (await world.sim.stats()).in_flight === 1);
    await world.second.manage('PATCH', `keys/${id}`, { state: 'disabled' });
    await run;
    assert.equal((await row(key)).state, 'disabled');
  });
});

describe('the rest', () => {
  test('the text of a deleted key is gone after ten minutes, its row after a day', async () => {
    const [key] = await world.keys('openai', 1);
    const { id } = await row(key);
    await world.main.manage('DELETE', `keys/${id}`);
    const [before] = await world.query('SELECT * FROM provider_keys WHERE id = ?1', id);
    assert.equal(before.state, 'deleted');
    await world.main.cron();
    assert.equal((await world.query('SELECT secret FROM provider_keys WHERE id = ?1', id))[0].secret, key);
    await world.query('UPDATE provider_keys SET updated_at = ?2 WHERE id = ?1', id, Date.now() - 11 * MINUTE);
    await world.main.cron();
    assert.equal((await world.query('SELECT secret FROM provider_keys WHERE id = ?1', id))[0].secret, '');
    await world.query('UPDATE provider_keys SET updated_at = ?2 WHERE id = ?1', id, Date.now() - DAY - MINUTE);
    await world.main.cron();
    assert.deepEqual(await world.query('SELECT id FROM provider_keys WHERE id = ?1', id), []);
  });

  test('old events are forgotten, the newest twenty thousand stay', async () => {
    await world.query(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20100) INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) SELECT i, 1, 'openai', 'm', 429, 'cool', 'rate_limit', '' FROM n",
    );
    await world.main.cron();
    const [{ count, oldest }] = await world.query('SELECT count(*) AS count, min(at) AS oldest FROM events');
    assert.deepEqual({ count, oldest }, { count: 20_000, oldest: 101 });
  });
});
