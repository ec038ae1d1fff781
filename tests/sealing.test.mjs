// Keys that D1 has only sealed: ENCRYPTION_KEY, its rotation, its loss.

import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { eventually, startWorld } from './harness.mjs';

const ONE = Buffer.alloc(32, 1).toString('base64');
const TWO = Buffer.alloc(32, 2).toString('base64');

const world = await startWorld({
  isolates: { main: { ENCRYPTION_KEY: ONE } },
  others: {
    plain: {},
    rotated: { ENCRYPTION_KEY: TWO, ENCRYPTION_KEY_OLD: ONE },
    both: { ENCRYPTION_KEY: `${TWO},${ONE}` },
    other: { ENCRYPTION_KEY: TWO },
    broken: { ENCRYPTION_KEY: 'my-password' },
  },
});
for (const key of [ONE, TWO]) world.secrets.add(key);
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main } = world;

const idOf = (key) => createHash('sha256').update('one-balance sealing key\n').update(Buffer.from(key, 'base64')).digest('hex').slice(0, 8);
const stored = async () => (await world.query('SELECT secret FROM provider_keys ORDER BY id')).map(({ secret }) => secret);
const sealedWith = (key) => new RegExp(`^sealed:1:${idOf(key)}:[A-Za-z0-9_-]{16}:[A-Za-z0-9_-]+$`);
const all = (texts, pattern) => texts.forEach((text) => assert.match(text, pattern));
/** Runs the cron until it has nothing left to look at. */
const settled = (isolate) =>
  eventually(async () => {
    await isolate.cron();
    const [row] = await world.query('SELECT done FROM sealing');
    return row?.done > 0;
  });

/** Seals as any other implementation of AES-GCM does. */
function seal(sealingKey, provider, key) {
  const digest = createHash('sha256').update(key).digest('hex');
  const nonce = Buffer.alloc(12, 9);
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(sealingKey, 'base64'), nonce);
  cipher.setAAD(Buffer.from(`${provider}\n${digest}`));
  const text = Buffer.concat([cipher.update(key), cipher.final(), cipher.getAuthTag()]);
  return `sealed:1:${idOf(sealingKey)}:${nonce.toString('base64url')}:${text.toString('base64url')}`;
}

describe('with ENCRYPTION_KEY', () => {
  test('a key is sealed before D1 has it, and opened when it is picked', async () => {
    const keys = await world.keys('openai', 3);
    const texts = await stored();
    all(texts, sealedWith(ONE));
    assert.equal(new Set(texts).size, 3);
    for (let n = 0; n < 6; n += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    assert.deepEqual([...new Set((await world.sim.requests()).map(({ key }) => key))].sort(), [...keys].sort());
    assert.equal((await world.query('SELECT count(DISTINCT digest) AS n FROM provider_keys'))[0].n, 3);
    await world.restart();
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200, 'a cold isolate too');
  });

  test('a key that is there already is known by its digest', async () => {
    const keys = await world.keys('openai', 2);
    const again = await main.addKeys('openai', keys);
    assert.equal(again.added_count, 0);
    assert.equal((await main.find(keys[0])).provider, 'openai', 'and found by its text');
  });

  test('what was sealed elsewhere by the book opens here', async () => {
    const [key] = await world.keys('openai', 1);
    await world.query('UPDATE provider_keys SET secret = ?1', seal(ONE, 'openai', key));
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
  });

  test('the cron asks about blocked keys, and reveal and test show what they are', async () => {
    const [key] = await world.keys('openai', 1);
    const { id } = await main.find(key);
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'forbidden', certain = 0, probe_at = 1");
    await main.cron();
    assert.equal((await main.find(key)).state, 'ready');
    assert.equal((await main.manage('POST', `keys/${id}/reveal`)).key, key);
    assert.equal((await main.manage('POST', `keys/${id}/test`)).outcome, 'works');
  });

  test('keys that were stored earlier are sealed by the cron, piece by piece', async () => {
    await world.use('plain');
    const keys = await world.keys('openai', 160, 'plain');
    assert.deepEqual(new Set(await stored()), new Set(keys));
    await world.query("UPDATE provider_keys SET state = 'disabled' WHERE id % 2 = 0");
    await main.cron();
    const first = (await stored()).filter((text) => text.startsWith('sealed:')).length;
    assert.ok(first > 0 && first < 160, `${first}`);
    await settled(main);
    all(await stored(), sealedWith(ONE));
    assert.equal((await world.query("SELECT count(*) AS n FROM provider_keys WHERE state = 'disabled'"))[0].n, 80);
    for (let n = 0; n < 3; n += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
  });
});

describe('rotation', () => {
  test('with the new and the old one both work, and the cron seals anew', async () => {
    await world.keys('openai', 3);
    await settled(main);
    for (const name of ['rotated', 'both']) {
      await world.use(name);
      assert.equal((await world[name].ask('openai', 'gpt-5-mini')).status, 200);
    }
    await world.use('rotated', 'other');
    await world.keys('openai', 1, 'rotated');
    await settled(world.rotated);
    all(await stored(), sealedWith(TWO));
    for (let n = 0; n < 4; n += 1) assert.equal((await world.other.ask('openai', 'gpt-5-mini')).status, 200, 'the old one is needed no more');
  });
});

describe('a wrong or lost ENCRYPTION_KEY', () => {
  test('locks keys: none is used, blocked or overwritten, and the right one brings them back', async () => {
    const keys = await world.keys('openai', 3);
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'forbidden', certain = 0, probe_at = 1 WHERE id = (SELECT max(id) FROM provider_keys)");
    const before = await stored();
    await world.use('other', 'plain');
    for (const isolate of [world.other, world.plain]) {
      const answer = await isolate.ask('openai', 'gpt-5-mini');
      assert.deepEqual([answer.status, answer.json.error.code], [503, 'no_keys']);
      await settled(isolate);
      const { locked_keys: locked } = await (await isolate.send('/healthz', { token: null })).json();
      assert.equal(locked, 3);
      const { warnings } = await isolate.manage('GET', 'overview');
      const warning = warnings.find(({ code }) => code === 'locked_keys');
      assert.deepEqual([warning.level, warning.count], ['error', 3]);
      const { id } = (await isolate.list('state=ready'))[0];
      assert.equal((await isolate.admin('POST', `keys/${id}/reveal`)).status, 409);
      assert.equal((await isolate.manage('POST', `keys/${id}/test`)).outcome, 'unclear');
      assert.equal((await isolate.addKeys('openai', keys)).added_count, 0);
    }
    assert.equal(await world.sim.count({}), 0, 'nothing was sent anywhere');
    assert.deepEqual(await stored(), before);
    assert.deepEqual((await world.query('SELECT state FROM provider_keys ORDER BY id')).map(({ state }) => state), ['ready', 'ready', 'blocked']);
    // New keys work meanwhile.
    await world.keys('openai', 1, 'other');
    assert.equal((await world.other.ask('openai', 'gpt-5-mini')).status, 200);
    await world.query('DELETE FROM provider_keys WHERE id = (SELECT max(id) FROM provider_keys)');
    await world.restart();
    await settled(main);
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    assert.equal((await (await main.send('/healthz', { token: null })).json()).locked_keys, undefined);
    await world.query("UPDATE provider_keys SET probe_at = 1 WHERE state = 'blocked'");
    await main.cron();
    assert.equal((await main.find(keys[2])).state, 'ready', 'the blocked one was asked about');
  });

  test('a text that was tampered with, or put into the row of another key, is passed over', async () => {
    const [first, second, good] = await world.keys('openai', 3);
    const [a] = await world.keys('groq', 1);
    const rows = Object.fromEntries((await world.query('SELECT id, secret FROM provider_keys')).map(({ id, secret }) => [id, secret]));
    const ids = {};
    for (const key of [first, second, good, a]) ids[key] = (await main.find(key)).id;
    const flip = (text) => text.slice(0, -3) + (text.at(-3) === 'A' ? 'B' : 'A') + text.slice(-2);
    await world.query('UPDATE provider_keys SET secret = ?2 WHERE id = ?1', ids[first], flip(rows[ids[first]]));
    await world.query('UPDATE provider_keys SET secret = ?2 WHERE id = ?1', ids[second], rows[ids[good]]);
    await world.query('UPDATE provider_keys SET secret = ?2 WHERE id = ?1', ids[a], rows[ids[good]]);
    await world.restart();
    for (let n = 0; n < 4; n += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    assert.equal((await main.ask('groq', 'llama')).status, 503);
    assert.deepEqual(new Set((await world.sim.requests()).map(({ key }) => key)), new Set([good]));
    assert.deepEqual(await world.query("SELECT id FROM provider_keys WHERE state <> 'ready'"), []);
  });

  test('what is no sealing key is said, and nothing is stored in plain by mistake', async () => {
    await world.use('broken');
    const answer = await world.broken.admin('POST', 'keys', { provider: 'openai', keys: [world.makeKey('openai')] });
    assert.equal(answer.status, 503);
    assert.match(answer.text, /ENCRYPTION_KEY/);
    assert.deepEqual(await stored(), []);
    const { problems } = await world.broken.manage('GET', 'settings');
    assert.equal(problems.filter(({ code }) => code === 'encryption_key').length, 1);
    assert.equal(JSON.stringify(problems).includes('my-password'), false);
  });
});

describe('export and import', () => {
  test('sealed, by choice, and back again', async () => {
    const keys = await world.keys('openai', 2);
    const exported = await main.manage('POST', 'export', { secrets: 'sealed' });
    assert.equal(exported.secrets, 'sealed');
    assert.ok(exported.keys.every((row) => row.sealed.startsWith('sealed:1:') && row.key === undefined));
    for (const key of keys) assert.equal(JSON.stringify(exported).includes(key), false);
    const text = JSON.stringify(exported);
    await world.query('DELETE FROM provider_keys');
    await world.use('other', 'rotated');
    const refused = await world.other.manage('POST', 'keys/preview', { keys: text });
    assert.match(JSON.stringify(refused), /"code":"sealed"/);
    assert.equal((await world.rotated.manage('POST', 'keys', { keys: text })).added_count, 2);
    all(await stored(), sealedWith(TWO));
    assert.equal((await world.rotated.ask('openai', 'gpt-5-mini')).status, 200);
  });

  test('plain, by choice', async () => {
    const keys = await world.keys('openai', 2);
    const exported = await main.manage('POST', 'export', { secrets: 'plain' });
    assert.deepEqual(exported.keys.map(({ key }) => key).sort(), [...keys].sort());
  });

  test('nothing sealed is to be had where nothing is sealed; a locked key leaves as it is', async () => {
    await world.keys('openai', 1);
    const [before] = await stored();
    await world.use('plain');
    assert.equal((await world.plain.admin('POST', 'export', { secrets: 'sealed' })).status, 400);
    const exported = await world.plain.manage('POST', 'export', { secrets: 'plain' });
    assert.ok(exported.keys[0].sealed.startsWith(before) && exported.keys[0].key === undefined);
  });
});
