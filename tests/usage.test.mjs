// The roll-ups of usage: what D1 has of them, and what they cost.
//
// No test may depend on the time of day: an hour or a day may end while one runs, so sums are taken
// over all rows, and the boundaries themselves are tested in the core, whose clock is an argument.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TOKEN, eventually, startWorld } from './harness.mjs';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const LIMITED = 'tok-1c7d93b0aa-openai-only-41f2';

const world = await startWorld({
  isolates: { main: { USAGE_FLUSH_SECONDS: '0', AUTH_KEY: `${TOKEN};${LIMITED}=openai` } },
  others: { second: { USAGE_FLUSH_SECONDS: '0' }, patient: { USAGE_FLUSH_SECONDS: '3600' }, usual: { USAGE_FLUSH_SECONDS: undefined } },
  probe: true,
  forbidden: [LIMITED],
});
world.secrets.add(LIMITED);
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const SUMS = 'sum(requests) AS requests, sum(attempts) AS attempts, sum(successes) AS successes, sum(rate_limited) AS rate_limited, sum(errors) AS errors, sum(rejected) AS rejected, sum(transient) AS transient, sum(egress) AS egress, sum(gateway) AS gateway, sum(caller) AS caller, sum(refused) AS refused';

const nothing = { requests: 0, attempts: 0, successes: 0, rate_limited: 0, errors: 0, rejected: 0, transient: 0, egress: 0, gateway: 0, caller: 0, refused: 0 };

/** What D1 has of a model in all hours, which must be what it has in the totals. */
async function sums(provider, model) {
  const [hourly] = await world.query(`SELECT ${SUMS} FROM usage_hourly WHERE provider = ?1 AND model = ?2`, provider, model);
  const [totals] = await world.query(`SELECT ${SUMS} FROM usage_totals WHERE provider = ?1 AND model = ?2`, provider, model);
  assert.deepEqual(hourly, totals);
  return hourly;
}

const settles = (provider, model, expected) =>
  eventually(async () => assert.deepEqual(await sums(provider, model), { ...nothing, ...expected }));

/** D1's calls of an isolate that write usage. */
const writes = async (isolate) => {
  const { log } = await isolate.probe();
  return log.filter(({ statements }) => statements.some((sql) => sql.includes('INTO usage_')));
};

describe('what is counted', () => {
  test('requests, attempts and their verdicts, by hour, provider and model', async () => {
    const [limited, bad] = await world.keys('openai', [{ rpd: 0 }, { state: 'invalid' }, {}, {}]);
    assert.ok(limited && bad);
    for (let n = 0; n < 6; n += 1) assert.equal((await world.main.ask('openai', 'gpt-5-mini')).status, 200);
    await settles('openai', 'gpt-5-mini', { requests: 6, attempts: 8, successes: 6, rate_limited: 1, errors: 1, rejected: 1 });
    const hours = await world.query('SELECT DISTINCT hour FROM usage_hourly');
    for (const { hour } of hours) assert.ok(hour % HOUR === 0 && Math.abs(Date.now() - hour) < 2 * HOUR);
  });

  test('faults of the caller, of the provider and of the gateway are told apart', async () => {
    await world.keys('openai', 3);
    const fault = async (fault, times = null) => {
      await world.sim.faults({ match: { provider: 'openai' }, times, ...fault });
      await world.main.ask('openai', 'gpt-5-mini');
      await world.sim.clearFaults();
    };
    await world.main.ask('openai', 'gpt-5-mini'); // so that the model is known
    await settles('openai', 'gpt-5-mini', { requests: 1, attempts: 1, successes: 1 });
    await fault({ status: 400, body: '{"error":{"message":"no","code":"bad"}}' });
    await fault({ status: 503, body: '{}' }, 1);
    await fault({ case: 'gw-2009' });
    await fault({ case: 'oai-403-region' });
    await settles('openai', 'gpt-5-mini', { requests: 5, attempts: 6, successes: 2, errors: 4, caller: 1, transient: 1, gateway: 1, egress: 1, refused: 1 });
  });

  test('keys and tokens by day', async () => {
    const [key, other] = await world.keys('openai', 2);
    for (let n = 0; n < 4; n += 1) await world.main.ask('openai', 'gpt-5-mini');
    await world.main.ask('openai', 'gpt-5-mini', { token: LIMITED });
    await world.main.ask('openai', 'gpt-5-mini', { token: 'nobody-knows-this-one' });
    await settles('openai', 'gpt-5-mini', { requests: 5, attempts: 5, successes: 5 });
    const ids = [(await world.main.find(key)).id, (await world.main.find(other)).id].sort((a, b) => a - b);
    const keys = await world.query('SELECT key_id, sum(attempts) AS attempts, sum(successes) AS successes FROM usage_daily GROUP BY key_id ORDER BY key_id');
    assert.deepEqual(keys.map((row) => row.key_id), ids);
    assert.deepEqual(keys.map((row) => row.attempts).sort(), [2, 3]);
    assert.deepEqual(keys.map((row) => row.successes).sort(), [2, 3]);
    const { token } = await world.main.manage('GET', 'session');
    const tokens = await world.query('SELECT token, sum(requests) AS requests, sum(successes) AS successes FROM usage_tokens GROUP BY token ORDER BY requests');
    assert.deepEqual(tokens.map((row) => [row.requests, row.successes]), [[1, 1], [4, 4]]);
    assert.equal(tokens[1].token, token.id);
    for (const { day } of await world.query('SELECT day FROM usage_daily UNION SELECT day FROM usage_tokens')) {
      assert.ok(day % DAY === 0 && Math.abs(Date.now() - day) < 2 * DAY);
    }
  });

  test('requests that we answer ourselves, and names that clients make up', async () => {
    await world.keys('openai', [{ rpd: 0 }]);
    await world.main.ask('openai', 'gpt-5-mini');
    await world.main.ask('openai', 'gpt-5-mini');
    await settles('openai', 'gpt-5-mini', { requests: 2, attempts: 1, rate_limited: 1, refused: 1 });
    await world.main.ask('groq', 'invented-1');
    await world.main.ask('custom-invented', 'invented-2');
    await settles('groq', '*', { requests: 1, refused: 1 });
    await settles('*', '*', { requests: 1, refused: 1 });
    assert.deepEqual(await world.query("SELECT * FROM usage_hourly WHERE model LIKE 'invented%' OR provider LIKE 'custom%'"), []);
  });

  test('two isolates add up', async () => {
    await world.use('second');
    await world.keys('openai', 2);
    await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? world.main : world.second).ask('openai', 'gpt-5-mini')));
    await settles('openai', 'gpt-5-mini', { requests: 20, attempts: 20, successes: 20 });
  });
});

describe('what it costs', () => {
  test('an isolate writes once per interval, in one batch, and the cron writes what is left', async () => {
    await world.use('patient');
    await world.keys('openai', 2);
    await world.patient.probe({ forget: true });
    for (let n = 0; n < 10; n += 1) await world.patient.ask('openai', 'gpt-5-mini');
    assert.deepEqual(await writes(world.patient), []);
    await world.patient.cron();
    await settles('openai', 'gpt-5-mini', { requests: 10, attempts: 10, successes: 10 });
    const [write, ...more] = await writes(world.patient);
    assert.equal(more.length, 0);
    assert.deepEqual([write.kind, write.statements.length], ['batch', 5]);
    const [{ rows }] = await world.query('SELECT sum(count) AS rows FROM usage_written');
    assert.ok(rows >= 2 + 2 + 1 + 1 && rows <= 12, `${rows} rows, more only when an hour ended meanwhile`);
  });

  test('without a setting nothing is written at once', async () => {
    await world.use('usual');
    await world.keys('openai', 1);
    for (let n = 0; n < 3; n += 1) await world.usual.ask('openai', 'gpt-5-mini');
    // Within 20 seconds of the first; should the machine have been that slow, all of it may be there.
    const { requests } = await sums('openai', 'gpt-5-mini');
    assert.ok(requests === null || requests <= 3);
  });

  test('when the day is used up nothing more is written, and nothing is lost', async () => {
    await world.keys('openai', 1);
    const today = Date.now() - (Date.now() % DAY);
    for (const day of [today, today + DAY]) await world.query('INSERT INTO usage_written (day, count) VALUES (?1, 20000)', day);
    await world.main.ask('openai', 'gpt-5-mini');
    await eventually(async () => (await writes(world.main)).length > 0);
    assert.equal((await world.main.ask('openai', 'gpt-5-mini')).status, 200);
    for (const table of ['usage_hourly', 'usage_totals', 'usage_daily', 'usage_tokens']) {
      assert.deepEqual(await world.query(`SELECT * FROM ${table}`), [], table);
    }
    await world.query('DELETE FROM usage_written');
    await world.main.cron();
    await settles('openai', 'gpt-5-mini', { requests: 2, attempts: 2, successes: 2 });
  });

  test('what D1 does not take is written later', async () => {
    await world.keys('openai', 1);
    await world.main.ask('openai', 'gpt-5-mini');
    await settles('openai', 'gpt-5-mini', { requests: 1, attempts: 1, successes: 1 });
    await world.main.probe({ d1: 'fails', forget: true });
    assert.equal((await world.main.ask('openai', 'gpt-5-mini')).status, 200);
    await eventually(async () => (await writes(world.main)).length > 0);
    await world.main.probe({ d1: 'works' });
    await eventually(async () => {
      await world.main.cron();
      assert.equal((await sums('openai', 'gpt-5-mini')).requests, 2);
    });
    await settles('openai', 'gpt-5-mini', { requests: 2, attempts: 2, successes: 2 });
  });

  test('the cron forgets old hours and days, the totals stay', async () => {
    const now = Date.now();
    const start = (time, unit) => time - (time % unit);
    for (const [age, kept] of [[31 * DAY, true], [33 * DAY + HOUR, false]]) {
      await world.query('INSERT INTO usage_hourly (hour, provider, model, requests) VALUES (?1, ?2, ?3, 1)', start(now - age, HOUR), 'openai', String(kept));
    }
    for (const [age, kept] of [[89 * DAY, 1], [92 * DAY, 0]]) {
      await world.query('INSERT INTO usage_daily (day, key_id, attempts) VALUES (?1, ?2, 1)', start(now - age, DAY), kept);
      await world.query('INSERT INTO usage_tokens (day, token, requests) VALUES (?1, ?2, 1)', start(now - age, DAY), String(kept));
      await world.query('INSERT INTO usage_written (day, count) VALUES (?1, 1)', start(now - age, DAY));
    }
    await world.query("INSERT INTO usage_totals (provider, model, requests) VALUES ('openai', 'm', 2)");
    await world.main.cron();
    assert.deepEqual(await world.query('SELECT model FROM usage_hourly'), [{ model: 'true' }]);
    assert.deepEqual(await world.query('SELECT key_id FROM usage_daily'), [{ key_id: 1 }]);
    assert.deepEqual(await world.query('SELECT token FROM usage_tokens'), [{ token: '1' }]);
    assert.equal((await world.query('SELECT day FROM usage_written')).length, 1);
    assert.deepEqual(await world.query('SELECT requests FROM usage_totals'), [{ requests: 2 }]);
  });
});
