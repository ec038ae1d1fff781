// The API of the administrator's page: adding, listing, changing and deleting keys.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TOKEN, eventually, startWorld } from './harness.mjs';

const world = await startWorld();
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main } = world;
const key = (number) => `sk-proj-${String(number).padStart(6, '0')}-abcdefgh`;
const refused = async (status, method, path, body, init) => {
  const answer = await main.admin(method, path, body, init);
  assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(body)}: ${answer.status} ${answer.text}`);
  assert.equal(typeof answer.json?.error?.code, 'string', answer.text);
  assert.match(answer.json.error.message, /[.!]$/, 'a sentence');
  return answer.json.error;
};

describe('adding keys', () => {
  test('five thousand keys in one call: none lost, none twice', async () => {
    const keys = Array.from({ length: 5000 }, (_, number) => key(number));
    const added = await main.addKeys('openai', keys.join('\n'));
    assert.equal(added.added_count, 5000);
    assert.equal(added.added.length, 5000);
    assert.deepEqual(added.duplicates, []);
    assert.deepEqual(added.invalid, []);
    const [{ n, distinct }] = await world.query('SELECT count(*) AS n, count(DISTINCT secret) AS "distinct" FROM provider_keys');
    assert.deepEqual([n, distinct], [5000, 5000]);
    const { total } = await main.manage('GET', 'keys?per_page=1');
    assert.equal(total, 5000);
    const again = await main.addKeys('openai', keys);
    assert.equal(again.added_count, 0);
    assert.equal(again.duplicate_count ?? again.duplicates.length, 5000);
    assert.equal((await main.manage('GET', 'keys?per_page=1')).total, 5000);
  });

  test('more than ten thousand keys are refused as a whole, with a sentence', async () => {
    const keys = Array.from({ length: 10_001 }, (_, number) => key(number));
    const answer = await main.admin('POST', 'keys', { provider: 'openai', keys });
    assert.equal(answer.status, 413, answer.text);
    assert.match(answer.json.error.message, /10,?000|10001/);
    assert.equal((await main.manage('GET', 'keys')).total, 0);
  });

  test('a paste is read as people paste: lines, commas, CRLF, quotes, blanks, comments', async () => {
    const text = [
      key(1),
      `  ${key(2)}  `,
      `${key(3)},${key(4)} , ${key(5)},`,
      `"${key(6)}",`,
      `'${key(7)}'`,
      '',
      '# a comment with a-word-that-is-long-enough',
      '\t',
      key(8),
    ].join('\r\n');
    const added = await main.addKeys('openai', text);
    assert.equal(added.added_count, 8, JSON.stringify(added));
    assert.deepEqual(added.invalid, []);
    const secrets = await world.query('SELECT secret FROM provider_keys ORDER BY secret');
    assert.deepEqual(secrets.map(({ secret }) => secret), [1, 2, 3, 4, 5, 6, 7, 8].map(key));
  });

  test('duplicates and bad lines are reported by line, and the good ones are added all the same', async () => {
    await main.addKeys('openai', [key(1), key(2)]);
    const [{ id }] = (await main.manage('GET', `keys?search=${key(2)}`)).keys;
    await main.manage('POST', 'keys/actions', { action: 'disable', ids: [id] });
    const lines = [key(1), key(3), key(2), 'short', key(3), 'sk-with inner blank', 'sk-schlüssel-123456', `sk-${'x'.repeat(5000)}`, key(4)];
    const added = await main.addKeys('openai', lines.join('\n'));
    assert.equal(added.added_count, 2, JSON.stringify(added));
    assert.deepEqual(
      added.duplicates.map(({ line, state }) => [line, state]).sort((a, b) => a[0] - b[0]),
      [[1, 'ready'], [3, 'disabled'], [5, 'twice']],
    );
    assert.deepEqual(added.invalid.map(({ line }) => line), [4, 6, 7, 8]);
    for (const { why, hint } of added.invalid) {
      assert.ok(why.length > 10, why);
      assert.ok(hint.length < 20, hint);
    }
    assert.ok(!JSON.stringify(added).includes(key(1)), 'no key in full in the answer');
    assert.equal(added.restored_count, 0);
  });

  test('a list of texts works as well as one text, and line numbers count from one', async () => {
    const added = await main.addKeys('openai', [key(1), 'bad', key(1)]);
    assert.equal(added.added_count, 1);
    assert.equal(added.invalid[0].line, 2);
    assert.equal(added.duplicates[0].line, 3);
  });

  test('pasting a blocked or disabled key tells its state, and brings it back only when asked to', async () => {
    await main.addKeys('openai', [key(1), key(2)]);
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'invalid' WHERE secret = ?1", key(1));
    const { id } = await main.find(key(2));
    await main.manage('PATCH', `keys/${id}`, { state: 'disabled' });
    const told = await main.addKeys('openai', [key(1), key(2)]);
    assert.deepEqual(told.duplicates.map(({ state }) => state), ['blocked', 'disabled']);
    assert.equal(told.restored_count, 0);
    assert.equal((await main.find(key(1))).state, 'blocked');
    const restored = await main.addKeys('openai', [key(1), key(2)], { restore: true });
    assert.equal(restored.restored_count, 2);
    assert.equal(restored.added_count, 0);
    const known = await main.find(key(1));
    assert.deepEqual([known.state, known.reason], ['ready', null]);
    assert.equal((await main.find(key(2))).state, 'ready');
  });

  test('the same key may belong to two providers', async () => {
    assert.equal((await main.addKeys('openai', [key(1)])).added_count, 1);
    assert.equal((await main.addKeys('custom-mine', [key(1)])).added_count, 1);
  });

  test('remark, project and priority go with the keys', async () => {
    await main.addKeys('openai', [key(1), key(2)], { remark: 'from Ä & <b>', project: 'p-1', priority: 7 });
    for (const known of await main.list()) {
      assert.deepEqual([known.remark, known.project, known.priority], ['from Ä & <b>', 'p-1', 7]);
    }
  });

  test('a deleted key can be added again, and serves', async () => {
    const [secret] = await world.keys('openai', 1);
    const { id } = await main.find(secret);
    await main.manage('DELETE', `keys/${id}`);
    const added = await main.addKeys('openai', [secret]);
    assert.equal(added.added_count, 1, JSON.stringify(added));
    assert.deepEqual(added.duplicates, []);
    assert.equal((await main.find(secret)).state, 'ready');
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
  });

  test('a key that was blocked and deleted comes back as a new one', async () => {
    await main.addKeys('openai', [key(1)], { remark: 'old' });
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'invalid', certain = 0");
    const { id } = await main.find(key(1));
    await main.manage('DELETE', `keys/${id}`);
    await main.addKeys('openai', [key(1)]);
    const known = await main.find(key(1));
    assert.deepEqual([known.state, known.reason, known.certain, known.remark], ['ready', null, true, '']);
  });

  test('what cannot be added is refused with a sentence', async () => {
    await refused(404, 'POST', 'keys', { provider: 'nobody', keys: key(1) }).catch(() => refused(400, 'POST', 'keys', { provider: 'nobody', keys: key(1) }));
    for (const body of [
      { keys: key(1) },
      { provider: 'openai' },
      { provider: 'openai', keys: 7 },
      { provider: 'openai', keys: [7] },
      { provider: 'openai', keys: { a: key(1) } },
      { provider: 7, keys: key(1) },
      { provider: 'openai', keys: key(1), priority: 'high' },
      { provider: 'openai', keys: key(1), remark: 7 },
      { provider: 'openai', keys: '' },
      { provider: 'openai', keys: [] },
      [],
      'text',
      null,
    ]) {
      await refused(400, 'POST', 'keys', body);
    }
    const compat = await main.admin('POST', 'keys', { provider: 'compat', keys: key(1) });
    assert.ok([400, 404].includes(compat.status), 'compat has no keys of its own');
    assert.equal((await main.manage('GET', 'keys')).total, 0);
  });

  test('a body of megabytes is refused with a sentence', async () => {
    const answer = await main.admin('POST', 'keys', { provider: 'openai', keys: 'x'.repeat(6 * 1024 * 1024) });
    assert.equal(answer.status, 413, answer.text.slice(0, 300));
    assert.match(answer.json.error.message, /MiB/);
  });

  test('bodies that are no JSON are refused without repeating them', async () => {
    for (const body of ['', '{', `{"provider":"openai","keys":"${key(1)}"`, `${key(1)}`, '\u0000', '[1,2']) {
      const response = await main.send('/admin/api/keys', { method: 'POST', body, headers: { 'content-type': 'application/json' } });
      const text = await response.text();
      assert.equal(response.status, 400, text);
      assert.ok(!text.includes(key(1)), text);
    }
  });
});

describe('listing keys', () => {
  beforeEach(async () => {
    await main.addKeys('openai', [1, 2, 3, 4, 5, 6, 7].map(key), { remark: 'team A' });
    await main.addKeys('groq', ['gsk_0123456789abcdef', 'gsk_fedcba9876543210'], { remark: 'Team_B 100%' });
  });

  test('no list, key, event or provider ever shows a key in full', async () => {
    const texts = [];
    for (const path of ['keys', 'keys?search=sk-', `keys?search=${key(1)}`, 'keys?provider=groq', 'providers', 'events', 'session', 'keys/1']) {
      texts.push((await main.admin('GET', path)).text);
    }
    for (const secret of [...[1, 2, 3, 4, 5, 6, 7].map(key), 'gsk_0123456789abcdef']) {
      assert.ok(!texts.join().includes(secret));
      assert.ok(!texts.join().includes(secret.slice(5, -5)), 'nor its middle');
    }
    const [{ hint }] = (await main.manage('GET', `keys?search=${key(1)}`)).keys;
    assert.equal(hint, `${key(1).slice(0, 4)}…${key(1).slice(-4)}`);
  });

  test('pages cover every key once', async () => {
    const seen = [];
    for (let page = 1; page <= 4; page += 1) {
      const answer = await main.manage('GET', `keys?per_page=3&page=${page}`);
      assert.equal(answer.total, 9);
      assert.equal(answer.page, page);
      assert.equal(answer.per_page, 3);
      assert.equal(answer.keys.length, page < 4 ? 3 : 0);
      seen.push(...answer.keys.map(({ id }) => id));
    }
    assert.equal(new Set(seen).size, 9);
    assert.equal((await main.manage('GET', 'keys')).per_page, 50);
  });

  test('filters: provider, state, and both', async () => {
    const ids = (await main.list('provider=openai')).map(({ id }) => id);
    assert.equal(ids.length, 7);
    await main.manage('POST', 'keys/actions', { action: 'disable', ids: ids.slice(0, 2) });
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'invalid' WHERE id = ?1", ids[2]);
    await world.query(
      "INSERT INTO coolings (key_id, model, provider, until, since, source, reason, total_seconds, updated_at) VALUES (?1, 'm', 'openai', ?2, ?3, 'stated', 'rate_limit', 60, ?3), (?4, 'm', 'openai', ?3, ?3, 'stated', 'rate_limit', 5, ?3)",
      ids[3], Date.now() + 60_000, Date.now() - 1, ids[4],
    );
    const count = async (query) => (await main.list(query)).length;
    assert.equal(await count('state=disabled'), 2);
    assert.equal(await count('state=blocked'), 1);
    assert.equal(await count('state=cooling'), 1);
    assert.equal(await count('state=ready'), 5);
    assert.equal(await count('state=ready&provider=openai'), 3);
    assert.equal(await count('state=blocked&provider=groq'), 0);
    assert.equal(await count('provider=nobody'), 0);
    const { providers } = await main.manage('GET', 'providers');
    const openai = providers.find(({ slug }) => slug === 'openai');
    assert.deepEqual(
      [openai.total, openai.ready, openai.cooling, openai.blocked, openai.disabled],
      [7, 3, 1, 1, 2],
    );
  });

  test('search: in remarks whatever the case, in hints, and the whole key; % and _ mean themselves', async () => {
    const found = async (text) => (await main.list(`search=${encodeURIComponent(text)}`)).length;
    assert.equal(await found('team a'), 7);
    assert.equal(await found('TEAM'), 9);
    assert.equal(await found('100%'), 2);
    assert.equal(await found('%'), 2);
    assert.equal(await found('Team_B'), 2);
    assert.equal(await found('m_A'), 0);
    assert.equal(await found('gsk_'), 2);
    assert.equal(await found('cdef'), 1);
    assert.equal(await found(key(5)), 1);
    assert.equal(await found(key(99)), 0);
    assert.equal(await found("' OR 1=1 --"), 0);
    assert.equal(await found('x'.repeat(300)), 0, 'longer than what LIKE takes');
    assert.equal((await main.list(`search=${encodeURIComponent('team')}&provider=groq&state=ready`)).length, 2);
  });

  test('orders: every sort goes both ways', async () => {
    const ids = (await main.list()).map(({ id }) => id);
    await main.manage('PATCH', `keys/${ids[4]}`, { remark: 'zzz' });
    await world.query(
      "INSERT INTO coolings (key_id, model, provider, until, since, source, reason, total_seconds, updated_at) VALUES (?1, 'm', 'openai', 1, 1, 'stated', 'rate_limit', 600, 1)",
      ids[5],
    );
    const order = async (query) => (await main.list(query)).map(({ id }) => id);
    for (const sort of ['created', 'updated', 'remark', 'state', 'cooled']) {
      const up = await order(`sort=${sort}&order=asc`);
      const down = await order(`sort=${sort}&order=desc`);
      assert.equal(new Set(up).size, 9, sort);
      assert.deepEqual(down, up.toReversed?.() ?? [...up].reverse(), sort);
    }
    assert.equal((await order('sort=remark&order=desc'))[0], ids[4]);
    assert.equal((await order('sort=updated&order=desc'))[0], ids[4]);
    assert.equal((await order('sort=cooled&order=desc'))[0], ids[5]);
    assert.deepEqual(await order(''), await order('sort=created&order=desc'), 'newest first, when nothing is said');
    assert.equal((await main.find(key(1))).cooled_seconds >= 0, true);
  });

  test('parameters that cannot be meant are refused', async () => {
    for (const query of ['state=sleeping', 'sort=colour', 'order=sideways', 'page=0', 'page=-1', 'page=x', 'per_page=0', 'per_page=201', 'per_page=1.5']) {
      await refused(400, 'GET', `keys?${query}`);
    }
    await refused(400, 'GET', 'events?limit=0');
    await refused(400, 'GET', 'events?before=x');
  });

  test('every provider of the table is offered, with names and how their keys begin', async () => {
    const { known, providers } = await main.manage('GET', 'providers');
    assert.deepEqual(providers.map(({ slug, total }) => [slug, total]), [['openai', 7], ['groq', 2]], 'most keys first');
    const slugs = known.map(({ slug }) => slug);
    for (const slug of ['google-ai-studio', 'openai', 'anthropic', 'groq', 'openrouter', 'elevenlabs', 'perplexity-ai']) assert.ok(slugs.includes(slug), slug);
    assert.ok(!slugs.includes('compat'));
    const google = known.find(({ slug }) => slug === 'google-ai-studio');
    assert.ok(google.name.length > 0);
    assert.ok(google.key_prefixes.includes('AIza'));
  });
});

describe('one key', () => {
  let id;
  beforeEach(async () => {
    await main.addKeys('openai', [key(1), key(2)]);
    ({ id } = await main.find(key(1)));
  });

  test('has all that the contract promises', async () => {
    const answer = await main.manage('GET', `keys/${id}`);
    const { created_at, updated_at, ...rest } = answer.key;
    assert.deepEqual(rest, {
      id, provider: 'openai', hint: 'sk-p…efgh', state: 'ready', reason: null, certain: true, remark: '', project: '',
      priority: 0, cooled_seconds: 0, coolings: [], tags: [], requests_today: 0, last_used: null,
    });
    for (const time of [created_at, updated_at]) assert.ok(Math.abs(time - Date.now()) < 600_000, String(time));
    assert.deepEqual(answer.events, []);
  });

  test('can be changed field by field; what is not named stays', async () => {
    const { key: changed } = await main.manage('PATCH', `keys/${id}`, { remark: 'mine', priority: -3 });
    assert.deepEqual([changed.remark, changed.priority, changed.project, changed.state], ['mine', -3, '', 'ready']);
    const { key: off } = await main.manage('PATCH', `keys/${id}`, { state: 'disabled', project: 'p' });
    assert.deepEqual([off.remark, off.priority, off.project, off.state], ['mine', -3, 'p', 'disabled']);
    const { key: on } = await main.manage('PATCH', `keys/${id}`, { state: 'ready' });
    assert.equal(on.state, 'ready');
    assert.equal((await main.find(key(2))).remark, '', 'the other key is as it was');
  });

  test('a remark is kept as it was written, whatever stands in it', async () => {
    for (const remark of ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'; DROP TABLE provider_keys; --", '日本語 🗝️ ü', '\\u0000 {{x}} ${x}', '']) {
      await main.manage('PATCH', `keys/${id}`, { remark });
      assert.equal((await main.find(key(1))).remark, remark);
    }
    const response = await main.send('/admin/api/keys');
    assert.match(response.headers.get('content-type'), /^application\/json/);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    assert.match(response.headers.get('cache-control'), /no-store/);
    await response.text();
    assert.equal((await main.list()).length, 2);
  });

  test('changes that cannot be meant are refused, and change nothing', async () => {
    for (const body of [{ state: 'blocked' }, { state: 'x' }, { priority: 'x' }, { priority: 1.5 }, { remark: 7 }, { remark: 'x'.repeat(100_000) }, { secret: 'sk-other-0123' }, { id: 9 }, [], 'x']) {
      await refused(400, 'PATCH', `keys/${id}`, body);
    }
    const known = await main.find(key(1));
    assert.deepEqual([known.state, known.priority, known.remark], ['ready', 0, '']);
  });

  test('a key that is not there is a 404, whatever is wanted of it', async () => {
    for (const [method, body] of [['GET'], ['DELETE'], ['PATCH', { remark: 'x' }]]) {
      for (const missing of ['999999', '0', '-1', 'x', '1e3', '99999999999999999999']) await refused(404, method, `keys/${missing}`, body);
    }
  });

  test('is deleted once: then it is gone from everywhere', async () => {
    assert.equal((await main.manage('DELETE', `keys/${id}`)).changed, 1);
    await refused(404, 'GET', `keys/${id}`);
    await refused(404, 'DELETE', `keys/${id}`);
    assert.equal((await main.manage('GET', `keys?search=${key(1)}`)).total, 0);
    const { providers } = await main.manage('GET', 'providers');
    assert.equal(providers[0].total, 1);
  });
});

describe('many keys at once', () => {
  test('every action changes the chosen keys and no others', async () => {
    await main.addKeys('openai', [1, 2, 3, 4].map(key));
    const ids = (await main.list('sort=created&order=asc')).map((one) => one.id);
    const act = (action, chosen, more = {}) => main.manage('POST', 'keys/actions', { action, ids: chosen, ...more });
    const states = async () => (await main.list('sort=created&order=asc')).map(({ state }) => state);
    assert.equal((await act('disable', ids.slice(0, 2))).changed, 2);
    assert.deepEqual(await states(), ['disabled', 'disabled', 'ready', 'ready']);
    assert.equal((await act('restore', [ids[0]])).changed, 1);
    assert.deepEqual(await states(), ['ready', 'disabled', 'ready', 'ready']);
    assert.equal((await act('set_remark', ids.slice(2), { remark: 'two' })).changed, 2);
    assert.deepEqual((await main.list('sort=created&order=asc')).map(({ remark }) => remark), ['', '', 'two', 'two']);
    assert.equal((await act('delete', [ids[3], 999_999])).changed, 1);
    assert.equal((await main.list()).length, 3);
    assert.equal((await act('restore', [])).changed, 0);
  });

  test('restore clears the coolings of a key, clear_coolings those and nothing else', async () => {
    await main.addKeys('openai', [1, 2].map(key));
    const [a, b] = (await main.list('sort=created&order=asc')).map((one) => one.id);
    const later = Date.now() + 3_600_000;
    await world.query(
      "INSERT INTO coolings (key_id, model, provider, until, since, source, reason, strikes, total_seconds, updated_at) VALUES (?1, 'm', 'openai', ?3, 1, 'guessed', 'rate_limit', 3, 60, 1), (?2, 'm', 'openai', ?3, 1, 'guessed', 'rate_limit', 3, 60, 1)",
      a, b, later,
    );
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'invalid' WHERE id = ?1", a);
    await main.manage('POST', 'keys/actions', { action: 'restore', ids: [a] });
    await main.manage('POST', 'keys/actions', { action: 'clear_coolings', ids: [b] });
    for (const known of await main.list()) {
      assert.equal(known.state, 'ready');
      assert.deepEqual(known.coolings, []);
    }
    assert.ok((await main.list()).every(({ cooled_seconds }) => cooled_seconds === 60), 'what it cooled in its life is still known');
  });

  test('thousands of keys are deleted in one call', async () => {
    await main.addKeys('openai', Array.from({ length: 3000 }, (_, number) => key(number)));
    const ids = (await world.query('SELECT id FROM provider_keys')).map((row) => row.id);
    assert.equal((await main.manage('POST', 'keys/actions', { action: 'delete', ids })).changed, 3000);
    assert.equal((await main.manage('GET', 'keys')).total, 0);
  });

  test('actions that cannot be meant are refused', async () => {
    for (const body of [{ action: 'explode', ids: [1] }, { action: 'delete' }, { ids: [1] }, { action: 'delete', ids: ['x'] }, { action: 'delete', ids: 'all' }, { action: 'delete', ids: [1.5] }, { action: 'delete', ids: [-1] }, { action: 'set_remark', ids: [1] }, {}]) {
      await refused(400, 'POST', 'keys/actions', body);
    }
  });
});

describe('what an administrator changes is in force', () => {
  test('a deleted key is not used again by the isolate that deleted it', async () => {
    const [gone, stays] = await world.keys('openai', 2);
    for (let request = 0; request < 2; request += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    const { id } = await main.find(gone);
    await main.manage('DELETE', `keys/${id}`);
    const before = await world.sim.count({ key: gone });
    for (let request = 0; request < 4; request += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    assert.equal(await world.sim.count({ key: gone }), before);
    assert.ok((await world.sim.count({ key: stays })) >= 4);
  });

  test('a disabled key is not used, an enabled one is, at once', async () => {
    const [only] = await world.keys('openai', 1);
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    const { id } = await main.find(only);
    await main.manage('PATCH', `keys/${id}`, { state: 'disabled' });
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 503);
    await main.manage('PATCH', `keys/${id}`, { state: 'ready' });
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
  });

  test('a key that was just added serves at once, also where there was none', async () => {
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 503);
    await world.keys('openai', 1);
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
  });

  test('deleting the last key leaves none to use', async () => {
    const [only] = await world.keys('openai', 1);
    await main.ask('openai', 'gpt-5-mini');
    const { id } = await main.find(only);
    await main.manage('POST', 'keys/actions', { action: 'delete', ids: [id] });
    const answer = await main.ask('openai', 'gpt-5-mini');
    assert.equal(answer.status, 503);
    assert.equal(await world.sim.count(), 1);
  });
});

describe('events', () => {
  test('tell what happened to keys and why, newest first, page by page', async () => {
    const keys = await world.keys('openai', 3);
    for (const [number, model] of ['m-1', 'm-2', 'm-3', 'm-4'].entries()) {
      await world.sim.faults({ status: 429, headers: { 'retry-after': '600' }, body: { error: { message: `limit number ${number}`, code: 'rate_limit_exceeded' } } });
      assert.equal((await main.ask('openai', model)).status, 200);
    }
    const { events } = await eventually(async () => {
      const all = await main.manage('GET', 'events');
      return all.events.length === 4 && all;
    });
    assert.deepEqual(events.map(({ model }) => model), ['m-4', 'm-3', 'm-2', 'm-1']);
    const [newest] = events;
    assert.deepEqual([newest.provider, newest.status, newest.verdict, newest.reason, newest.message], ['openai', 429, 'cool', 'rate_limit', 'limit number 3']);
    assert.ok(Math.abs(newest.at - Date.now()) < 600_000);
    const first = await main.manage('GET', 'events?limit=2');
    assert.deepEqual(first.events.map(({ model }) => model), ['m-4', 'm-3']);
    const second = await main.manage('GET', `events?limit=2&before=${first.events[1].id}`);
    assert.deepEqual(second.events.map(({ model }) => model), ['m-2', 'm-1']);
    for (const key of keys) {
      const { id } = await main.find(key);
      const own = await main.manage('GET', `events?key=${id}`);
      assert.deepEqual(own.events, events.filter(({ key_id }) => key_id === id));
      assert.deepEqual((await main.manage('GET', `keys/${id}`)).events, own.events);
    }
  });
});

describe('keys of the past', () => {
  test('a key whose text was forgotten after it was deleted can be added again', async () => {
    const [gone] = await world.keys('openai', 2);
    const { id } = await main.find(gone);
    await main.manage('DELETE', `keys/${id}`);
    await world.query('UPDATE provider_keys SET updated_at = updated_at - 3600000 WHERE id = ?1', id);
    await main.cron();
    assert.ok(!JSON.stringify(await world.query('SELECT secret FROM provider_keys')).includes(gone));
    assert.equal((await main.addKeys('openai', [gone])).added_count, 1);
    await world.restart();
    for (let request = 0; request < 2; request += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    assert.equal(await world.sim.count({ key: gone }), 1);
  });

  test('an id is never given to another key', async () => {
    await main.addKeys('openai', [1, 2].map(key));
    const { id } = await main.find(key(2));
    await main.manage('DELETE', `keys/${id}`);
    await world.query('UPDATE provider_keys SET updated_at = updated_at - 3 * 86400000 WHERE id = ?1', id);
    await main.cron();
    assert.equal((await world.query('SELECT count(*) AS n FROM provider_keys'))[0].n, 1);
    await main.addKeys('openai', [key(2)]);
    assert.ok((await main.find(key(2))).id > id);
  });
});

describe('addresses and methods', () => {
  test('a wrong method is a 405, a wrong address a 404, both with a sentence', async () => {
    for (const [method, path] of [['DELETE', 'keys'], ['PUT', 'keys'], ['PUT', 'session'], ['GET', 'keys/actions'], ['POST', 'events'], ['POST', 'providers'], ['PUT', 'keys/1'], ['POST', 'keys/1']]) {
      const error = await refused(405, method, path, method === 'GET' ? undefined : {});
      assert.match(error.message, /GET|POST|PATCH|DELETE/);
    }
    for (const path of ['nothing', 'keys/1/more', 'keys/actions/more', '', 'session/x']) await refused(404, 'GET', path);
  });

  test('the session says which version this is and what is wrong', async () => {
    const session = await main.manage('GET', 'session');
    assert.match(session.version, /^\d+\.\d+\.\d+$/);
    assert.deepEqual(session.problems, []);
    assert.equal(session.gateway?.url, world.sim.base, 'where requests go');
    assert.ok(!JSON.stringify(session).includes(TOKEN));
  });

  test('pages of other sites cannot read the admin API', async () => {
    const response = await main.send('/admin/api/keys', { headers: { origin: 'https://evil.example' } });
    await response.text();
    assert.equal(response.headers.get('access-control-allow-origin'), null);
    const preflight = await main.send('/admin/api/keys', {
      method: 'OPTIONS',
      token: null,
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });
    await preflight.text();
    assert.equal(preflight.headers.get('access-control-allow-origin'), null);
  });
});

test('what an administrator does to keys is among the events, once for each key that it changes', async () => {
  const [first, second] = await world.keys('openai', 2);
  const ids = (await world.main.list()).map(({ id }) => id);
  const one = (await world.main.find(first)).id;
  await world.main.manage('POST', 'keys/actions', { action: 'disable', ids: [one] });
  await world.main.manage('POST', 'keys/actions', { action: 'disable', ids });
  await world.main.manage('POST', 'keys/actions', { action: 'restore', ids: [one] });
  await world.main.manage('DELETE', `keys/${(await world.main.find(second)).id}`);
  const { events } = await world.main.manage('GET', 'events');
  const told = events.map(({ key_id: id, verdict, reason }) => [id === one, verdict, reason]);
  assert.deepEqual(told.reverse(), [
    [true, 'disable', 'administrator'],
    [false, 'disable', 'administrator'],
    [true, 'restore', 'administrator'],
    [false, 'delete', 'administrator'],
  ]);
  const { events: own } = await world.main.manage('GET', `events?key=${one}`);
  assert.deepEqual(own.map(({ verdict }) => verdict), ['restore', 'disable']);
});
