// What an isolate reads of a large pool, when, and how it goes on without D1. Rows are those that D1
// itself counts. More: tests/keys.test.mjs (what isolates tell each other), tests/health.test.mjs
// (D1 that is gone), tests/guards.test.mjs (what comes too late).

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { attemptsOf, eventually, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: { main: {} },
  others: { second: {}, small: { WORKING_SET: '10' }, eager: { REFRESH_SECONDS: '1' } },
  probe: true,
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const MODEL = 'gpt-5-mini';
const tooMany = { status: 429, headers: { 'retry-after': '3600' }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } };
const isRead = ({ statements }) => statements.some((sql) => /FROM provider_keys AS k|CROSS JOIN provider_keys/.test(sql));
const isRefresh = ({ statements }) => statements.some((sql) => sql.includes('k.updated_at > ?2'));
const isWrite = ({ statements }) => statements.some((sql) => /^(INSERT|UPDATE)/.test(sql));

/** So many keys, in one statement. */
async function fill(count, settings = {}) {
  const keys = Array.from({ length: count }, () => world.makeKey('openai'));
  await world.sim.keys(keys.map((key) => ({ provider: 'openai', key, ...settings })));
  await world.query(
    `INSERT INTO provider_keys (provider, secret, digest, hint, slot, created_at, updated_at)
     SELECT 'openai', value, 'digest-' || value, 'k…', abs(random() % 2147483648), ?2, ?2 FROM json_each(?1)`,
    JSON.stringify(keys),
    Date.now() - 3_600_000,
  );
  return keys;
}

const cooling = async () => (await world.query('SELECT k.secret FROM coolings c JOIN provider_keys k ON k.id = c.key_id WHERE c.until > ?1', Date.now())).map(({ secret }) => secret);

/** Lets so many attempts meet a 429, and waits until D1 has the coolings. */
async function cool(count, isolate = world.main) {
  await world.sim.faults({ times: count, ...tooMany });
  return eventually(async () => {
    await isolate.ask('openai', MODEL);
    const keys = await cooling();
    return keys.length >= count && keys;
  });
}

/** The calls to D1 that fit, of what is done meanwhile. */
async function asked(isolate, which, work) {
  await isolate.probe({ forget: true });
  await work();
  return (await isolate.probe()).log.filter(which);
}

describe('a cold isolate', () => {
  test('reads 500 of three thousand keys, in one round trip', async () => {
    await fill(3_000);
    const calls = await asked(world.main, () => true, async () => assert.equal((await world.main.ask('openai', MODEL)).status, 200));
    assert.equal(calls.length, 1, JSON.stringify(calls));
    assert.ok(calls[0].rows_read >= 500 && calls[0].rows_read <= 510, `${calls[0].rows_read} rows`);
    assert.equal(calls[0].rows_written, 0);
  });

  test('reads no more when a third of them cool, and uses none of those', async () => {
    const keys = await fill(500);
    const resting = await cool(160);
    await world.restart();
    const calls = await asked(world.main, isRead, async () => assert.equal((await world.main.ask('openai', MODEL)).status, 200));
    assert.deepEqual(calls.map(({ rows_read: rows }) => rows <= 510), [true], JSON.stringify(calls));
    const before = await world.sim.count();
    for (let request = 0; request < 40; request += 1) assert.equal((await world.main.ask('openai', MODEL)).status, 200);
    const used = (await world.sim.requests()).slice(before).map(({ key }) => key);
    assert.deepEqual(used.filter((key) => resting.includes(key)), []);
    assert.equal(used.length, 40);
    assert.equal(keys.length - resting.length, 340);
    // For another model all of them can be used.
    const other = await Promise.all(Array.from({ length: 500 }, () => world.main.ask('openai', 'gpt-4o')));
    assert.ok(other.every(({ status }) => status === 200));
    const served = (await world.sim.requests({ model: 'gpt-4o' })).map(({ key }) => key);
    assert.equal(new Set(served).size, 500);
  });

  test('knows what a key cools for after an administrator, a change and a second cooling', async () => {
    const [key] = await world.keys('openai', 1);
    const refused = async (model) => {
      await world.sim.faults(tooMany);
      assert.equal((await world.main.ask('openai', model)).status, 429);
      await eventually(async () => assert.ok((await world.main.find(key)).coolings.some((one) => one.model === model)));
    };
    const { id } = await world.main.find(key);
    await refused('gpt-4o');
    await refused('gpt-5');
    await world.main.manage('POST', 'keys/actions', { action: 'clear_coolings', ids: [id] });
    await refused('gpt-5');
    await refused(MODEL);
    const served = async () => Promise.all(['gpt-4o', 'gpt-5', MODEL].map(async (model) => (await world.main.ask('openai', model)).status));
    await world.restart();
    assert.deepEqual(await served(), [200, 429, 429]);
    await world.main.manage('PATCH', `keys/${id}`, { priority: 3 });
    await world.restart();
    assert.deepEqual(await served(), [200, 429, 429]);
    assert.equal(await world.sim.count(), 6, 'what cools was not asked');
  });

  test('a cooling costs three written rows, and one for its event', async () => {
    await fill(3);
    await world.main.ask('openai', MODEL);
    const writes = await asked(world.main, isWrite, () => cool(1));
    assert.deepEqual(writes.map(({ rows_written: rows }) => rows), [4], JSON.stringify(writes));
    assert.ok(writes[0].rows_read <= 6, `${writes[0].rows_read} rows read`);
  });
});

describe('windows', () => {
  test('one after the other is read until each key of a pool has given what it has', async () => {
    await world.use('small');
    await fill(90, { rpd: 1 });
    const calls = await asked(world.small, isRead, async () => {
      for (let request = 0; request < 90; request += 1) {
        const answer = await world.small.ask('openai', MODEL);
        assert.equal(answer.status, 200, `${request}: ${answer.text}`);
      }
    });
    assert.equal(new Set((await world.sim.requests({ status: 200 })).map(({ key }) => key)).size, 90);
    assert.ok(calls[0].rows_read < 20, `the first has ten keys: ${calls[0].rows_read} rows`);
    assert.ok(calls.filter((call) => !isRefresh(call)).length >= 2, 'and more were needed');
    const last = await world.small.ask('openai', MODEL);
    assert.equal(last.status, 429);
    assert.ok(Number(last.headers.get('retry-after')) > 60);
    assert.equal(await world.sim.count({ status: 429 }), 0, 'no key was asked in vain');
  });
});

describe('a refresh', () => {
  test('reads the rows that changed and no others, behind requests, and not more often than it is set', async () => {
    await world.use('eager', 'second');
    const keys = await fill(2_000);
    const started = Date.now();
    assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
    const [first] = (await world.sim.requests()).map(({ key }) => key);
    const calls = await asked(world.eager, isRead, async () => {
      const [{ id }] = await world.query('SELECT id FROM provider_keys WHERE secret = ?1', first);
      await world.second.manage('PATCH', `keys/${id}`, { state: 'disabled' });
      await eventually(async () => {
        assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
        return (await world.eager.probe()).log.filter(isRead).some(({ rows_read: rows }) => rows > 0);
      });
      for (let request = 0; request < 30; request += 1) assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
    });
    assert.ok(calls.every(isRefresh), 'never all of them again');
    assert.ok(calls.every(({ rows_read: rows }) => rows <= 6), JSON.stringify(calls.map(({ rows_read: rows }) => rows)));
    const seconds = (Date.now() - started) / 1_000;
    assert.ok(calls.length <= seconds + 1, `${calls.length} in ${seconds} s`);
    assert.equal(keys.length, 2_000);
    // With the 500 keys of this isolate it is its turn again after 500 requests.
    await Promise.all(Array.from({ length: 600 }, () => world.eager.ask('openai', MODEL)));
    assert.equal(await world.sim.count({ key: first }), 1, 'the disabled key is not used again');
  });

  test('is not needed for fifteen seconds when nothing is set', async () => {
    await fill(600);
    const started = Date.now();
    await world.main.ask('openai', MODEL);
    const calls = await asked(world.main, () => true, async () => {
      for (let request = 0; request < 100; request += 1) await world.main.ask('openai', MODEL);
    });
    assert.ok(calls.length <= (Date.now() - started) / 15_000, JSON.stringify(calls));
  });

  test('that began before a key was limited does not bring it back', async () => {
    await world.use('eager');
    const [limited] = await world.keys('openai', 3);
    for (let request = 0; request < 3; request += 1) await world.eager.ask('openai', MODEL);
    await world.eager.probe({ hold: 1, holds: 'k.updated_at > ?2' });
    await eventually(async () => {
      await world.eager.ask('openai', MODEL);
      assert.equal((await world.eager.probe()).held, 1);
    });
    await world.sim.faults({ match: { key: limited }, times: null, ...tooMany });
    await eventually(async () => {
      assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
      assert.equal(await world.sim.count({ key: limited, status: 429 }), 1);
    });
    await eventually(async () => assert.deepEqual(await cooling(), [limited]));
    await world.eager.probe({ hold: 0 });
    await eventually(async () => assert.equal((await world.eager.probe()).tasks, 0));
    for (let request = 0; request < 12; request += 1) assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
    assert.equal(await world.sim.count({ key: limited, status: 429 }), 1);
  });
});

describe('without D1', () => {
  for (const d1 of ['fails', 'stalls', 'full']) {
    test(`that ${d1 === 'full' ? 'takes no more rows' : d1}: requests go on from memory, and what was learnt is written when it is back`, async () => {
      await world.use('eager');
      const [limited, bad] = await world.keys('openai', 6);
      for (let request = 0; request < 6; request += 1) assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
      await world.eager.probe({ d1 });
      await world.sim.keys([{ provider: 'openai', key: bad, state: 'invalid' }]);
      await world.sim.faults({ match: { key: limited }, times: 1, ...tooMany });
      const seen = async (isolate) => (await isolate.probe()).log.slice(before).some((call) => isWrite(call));
      const before = (await world.eager.probe()).log.length;
      await eventually(async () => {
        assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
        assert.equal(await world.sim.count({ key: bad, status: 401 }), 1);
        assert.equal(await world.sim.count({ key: limited, status: 429 }), 1);
        return seen(world.eager);
      });
      // Both are out of use here, though D1 does not know.
      for (let request = 0; request < 12; request += 1) {
        const answer = await world.eager.ask('openai', MODEL);
        assert.equal(answer.status, 200, answer.text);
        assert.equal(attemptsOf(answer), 1);
      }
      assert.deepEqual(await world.query("SELECT 1 FROM coolings UNION ALL SELECT 1 FROM provider_keys WHERE state = 'blocked'"), []);
      await world.eager.probe({ d1: 'works' });
      await eventually(async () => {
        assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
        assert.deepEqual(await cooling(), [limited]);
        assert.deepEqual(await world.query("SELECT secret FROM provider_keys WHERE state = 'blocked'"), [{ secret: bad }]);
      }, { within: 40_000 });
      assert.doesNotMatch(world.stdio, /panicked/);
    });
  }

  test('for long: a thousand changes are kept, and written a few at a time when it is back', async () => {
    await world.use('eager');
    await fill(400);
    assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
    await world.eager.probe({ d1: 'fails' });
    const models = ['gpt-5', 'gpt-4o', 'gpt-4.1'];
    for (const model of models) await world.sim.faults({ match: { model }, times: null, ...tooMany });
    // 34 requests try 12 keys each.
    await Promise.all(models.flatMap((model) => Array.from({ length: 34 }, async () => {
      assert.equal((await world.eager.ask('openai', model)).status, 429);
    })));
    assert.ok((await world.sim.count({ status: 429 })) > 1_100);
    assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
    await world.eager.probe({ d1: 'works', forget: true });
    const written = async () => (await cooling()).length;
    await eventually(async () => {
      assert.equal((await world.eager.ask('openai', MODEL)).status, 200);
      assert.ok((await written()) >= 900, 'of one key and model the last one only');
    }, { within: 120_000 });
    const { log } = await world.eager.probe();
    assert.ok((await written()) <= 1_000);
    // What a key's row says of its coolings is what the table says.
    const rows = await world.query('SELECT id, running FROM provider_keys WHERE running_at = updated_at AND cooled_until > 0');
    assert.ok(rows.length > 300);
    const ends = await world.query('SELECT key_id, model, until FROM coolings ORDER BY key_id, model');
    for (const { id, running } of rows) {
      const told = JSON.parse(running).map(([model, until]) => ({ key_id: id, model, until }));
      assert.deepEqual(told.sort((a, b) => (a.model < b.model ? -1 : 1)), ends.filter((one) => one.key_id === id));
    }
    assert.ok(log.every(({ statements }) => statements.length <= 50), 'as many statements as a request may send');
    assert.doesNotMatch(world.stdio, /panicked/);
  });
});
