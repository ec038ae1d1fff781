// What comes too late changes nothing in D1: a block, a cooling or a probe that was decided from what a
// key was before an administrator, another isolate or a probe changed it. What is written is held up on
// its way to D1, so that nothing here depends on how fast anything is.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { eventually, startWorld } from './harness.mjs';

const world = await startWorld({ isolates: { main: {}, second: {} }, probe: true });
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main, second } = world;
const MODEL = 'gpt-5-mini';
const ask = (isolate, model = MODEL) => isolate.ask('openai', model);
const tooMany = (seconds) => ({ status: 429, headers: { 'retry-after': String(seconds) }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } });
const INVALID = { status: 401, body: { error: { message: 'Incorrect API key provided.', type: 'invalid_request_error', param: null, code: 'invalid_api_key' } } };

/** All that D1 says of a key and its coolings, but for events. */
async function known(id) {
  const keys = await world.query('SELECT * FROM provider_keys WHERE id = ?1', id);
  const coolings = await world.query('SELECT * FROM coolings WHERE key_id = ?1 ORDER BY model', id);
  return { keys, coolings };
}

const stateOf = async (id) => (await known(id)).keys[0]?.state;

/** One key that both isolates know. */
async function one() {
  const [key] = await world.keys('openai', 1);
  for (const isolate of [main, second]) assert.equal((await ask(isolate)).status, 200);
  return { key, id: (await main.find(key)).id };
}

/** `main` decides something about a key, and its write stands before D1's door. */
async function decides(fault) {
  await main.probe({ d1: 'stalls', forget: true });
  await world.sim.faults(fault);
  assert.equal((await ask(main)).status, fault.status);
  await eventually(async () => assert.ok((await main.probe()).log.some(({ statements }) => statements.some((sql) => sql.startsWith('INSERT')))));
}

/** It is let in. Every isolate has heard of it by then. */
async function arrives() {
  const events = async () => (await world.query('SELECT count(*) AS n FROM events'))[0].n;
  const before = await events();
  await main.probe({ d1: 'works' });
  await eventually(async () => assert.ok((await events()) > before, 'its event is written with it'));
}

/** The write of `decides` changes nothing of the key. */
async function assertTooLate(id) {
  const before = await known(id);
  await arrives();
  assert.deepEqual(await known(id), before);
}

/** `second` blocks the key, and D1 has it. */
async function blockedBySecond(id) {
  await world.sim.faults(INVALID);
  await ask(second);
  await eventually(async () => assert.equal(await stateOf(id), 'blocked'));
}

const act = (action, id) => second.manage('POST', 'keys/actions', { action, ids: [id] });

describe('a block that is late', () => {
  test('arrives, if nothing happened', async () => {
    const { id } = await one();
    await decides(INVALID);
    assert.equal(await stateOf(id), 'ready');
    await arrives();
    assert.equal(await stateOf(id), 'blocked');
  });

  test('does not block a key that was restored since, and its isolate uses it again', async () => {
    const { id } = await one();
    await decides(INVALID);
    await blockedBySecond(id);
    await act('restore', id);
    await assertTooLate(id);
    assert.equal(await stateOf(id), 'ready');
    await eventually(async () => assert.equal((await ask(main)).status, 200), { within: 30_000 });
  });

  test('leaves a disabled key disabled, and a deleted one deleted', async () => {
    for (const [action, state] of [['disable', 'disabled'], ['delete', 'deleted']]) {
      await world.fresh();
      const { id } = await one();
      await decides(INVALID);
      await act(action, id);
      await assertTooLate(id);
      assert.equal(await stateOf(id), state);
    }
  });

  test('does not block a key that was deleted and added again', async () => {
    const { key, id } = await one();
    await decides(INVALID);
    await act('delete', id);
    await second.addKeys('openai', [key]);
    const { id: now } = await second.find(key);
    await assertTooLate(now);
    assert.equal(await stateOf(now), 'ready');
    await eventually(async () => assert.equal((await ask(main)).status, 200), { within: 30_000 });
  });

  test('does not say more of a block than the first one did', async () => {
    const { id } = await one();
    await decides(INVALID);
    await blockedBySecond(id);
    await assertTooLate(id);
  });
});

describe('a cooling that is late', () => {
  test('arrives, if nothing happened', async () => {
    const { id } = await one();
    await decides(tooMany(600));
    await arrives();
    const { coolings } = await known(id);
    assert.deepEqual(coolings.map(({ model }) => model), [MODEL]);
  });

  test('does not come back after an administrator ended the coolings', async () => {
    const { id } = await one();
    await decides(tooMany(600));
    await world.sim.faults(tooMany(900));
    await ask(second);
    await eventually(async () => assert.equal((await known(id)).coolings.length, 1));
    await act('clear_coolings', id);
    await assertTooLate(id);
    assert.equal((await known(id)).coolings[0].until, 0);
    await eventually(async () => assert.equal((await ask(main)).status, 200), { within: 30_000 });
  });

  test('does not shorten one that another isolate was told', async () => {
    const { id } = await one();
    await decides(tooMany(600));
    await world.sim.faults(tooMany(900));
    await ask(second);
    await eventually(async () => assert.equal((await known(id)).coolings.length, 1));
    await assertTooLate(id);
  });

  test('of a key that was deleted is not written', async () => {
    const { id } = await one();
    await decides(tooMany(600));
    await act('delete', id);
    await assertTooLate(id);
    assert.deepEqual((await known(id)).coolings, []);
  });

  test('of a key of which nothing is left is not written', async () => {
    const { id } = await one();
    await decides(tooMany(600));
    await world.query('DELETE FROM provider_keys WHERE id = ?1', id);
    await assertTooLate(id);
    assert.deepEqual(await known(id), { keys: [], coolings: [] });
  });
});

describe('a probe that is late', () => {
  /** A blocked key that the provider would accept, about which the cron of `main` is about to ask. */
  async function probing(settings = {}) {
    const { key, id } = await one();
    await blockedBySecond(id);
    await world.sim.keys([{ provider: 'openai', key, ...settings }]);
    await world.query('UPDATE provider_keys SET probe_at = ?2 WHERE id = ?1', id, Date.now() - 1);
    await main.probe({ hold: 1, holds: 'probe_at <= ?1' });
    const run = main.cron();
    await eventually(async () => assert.equal((await main.probe()).held, 1));
    const finish = async () => {
      await main.probe({ hold: 0 });
      await run;
      assert.ok((await world.sim.requests({ method: 'GET' })).length > 0, 'the provider was asked');
    };
    return { key, id, finish };
  }

  for (const [action, state] of [['disable', 'disabled'], ['delete', 'deleted'], ['restore', 'ready']]) {
    for (const settings of [{}, { state: 'invalid' }]) {
      test(`of a key that is ${state} by now, with a provider that ${settings.state ? 'rejects' : 'accepts'} it`, async () => {
        const { id, finish } = await probing(settings);
        await act(action, id);
        const before = await known(id);
        const events = await world.query('SELECT * FROM events');
        await finish();
        assert.deepEqual(await known(id), before);
        assert.equal(before.keys[0].state, state);
        assert.deepEqual(await world.query('SELECT * FROM events'), events, 'and nothing is told of it');
      });
    }
  }

  test('of a key that was restored and blocked again is about the earlier block', async () => {
    const { id, finish } = await probing();
    await act('restore', id);
    await eventually(async () => {
      await world.sim.faults(INVALID);
      await ask(second);
      assert.equal(await stateOf(id), 'blocked');
    });
    const before = await known(id);
    await finish();
    assert.deepEqual(await known(id), before);
  });

  test('of a key that was deleted and added again', async () => {
    const { key, finish } = await probing();
    await act('delete', (await second.find(key)).id);
    await second.addKeys('openai', [key]);
    const { id } = await second.find(key);
    const before = await known(id);
    await finish();
    assert.deepEqual(await known(id), before);
  });

  test('decides, if nothing happened', async () => {
    const { id, finish } = await probing();
    await finish();
    assert.equal(await stateOf(id), 'ready');
  });
});
