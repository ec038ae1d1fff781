// The admin API of keys: choosing, changing and taking back, pasting, testing, exporting; the overview
// and the history; and every example of docs/admin-api.md.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TOKEN, eventually, root, startWorld } from './harness.mjs';

const world = await startWorld({ isolates: { main: {} }, others: { nowhere: { GATEWAY_URL: undefined, MAX_ATTEMPTS: 'many' } }, probe: true });
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main } = world;
const DAY = 86_400_000;
const key = (number) => `sk-proj-${String(number).padStart(6, '0')}-abcdefgh`;
const fault = async (status, code, field, method, path, body) => {
  const answer = await main.admin(method, path, body);
  assert.deepEqual([answer.status, answer.json?.error?.code, answer.json?.error?.field], [status, code, field], `${method} ${path} ${JSON.stringify(body)}: ${answer.text}`);
  assert.match(answer.json.error.message, /[.!]$/);
  assert.equal(typeof answer.json.error.values, 'object');
  return answer.json.error;
};
const post = (path, body) => main.manage('POST', path, body);
const act = (action, which, more = {}) => post('keys/actions', { action, ...which, ...more });
const ids = async (query = '') => (await main.list(query)).map(({ id }) => id).sort((a, b) => a - b);
const states = async () => Object.fromEntries((await main.list('sort=created&order=asc')).map(({ id, state }) => [id, state]));
/** A cooling as the Worker would write it. */
const cool = (id, model, until, more = {}) => world.query(
  'INSERT INTO coolings (key_id, model, provider, until, since, source, reason, strikes, total_seconds, updated_at) SELECT id, ?2, provider, ?3, ?4, ?5, ?6, 1, 60, ?4 FROM provider_keys WHERE id = ?1',
  id, model, until, Date.now(), more.source ?? 'stated', more.reason ?? 'day_quota',
);

describe('choosing keys', () => {
  let all;
  beforeEach(async () => {
    await main.addKeys('openai', [1, 2, 3].map(key), { remark: 'Team A 100%', tags: ['free', 'eu'], project: 'p-1' });
    await main.addKeys('openai', [key(4)], { remark: 'team_b', tags: ['free-er'], priority: 9 });
    await main.addKeys('groq', ['gsk_0123456789abcdef'], { remark: '<img src=x onerror=alert(1)>' });
    all = await ids();
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'suspended' WHERE id = ?1", all[1]);
    await main.manage('PATCH', `keys/${all[2]}`, { state: 'disabled' });
    await cool(all[0], 'gpt-5', Date.now() + DAY);
    await cool(all[3], '*', Date.now() + DAY);
    await cool(all[4], 'old', Date.now() - 1000);
  });

  test('each filter by itself and together, in the query and in a body', async () => {
    const cases = [
      [{}, [0, 1, 2, 3, 4]],
      [{ provider: 'openai' }, [0, 1, 2, 3]],
      [{ provider: 'nobody' }, []],
      [{ state: 'ready' }, [4]],
      [{ state: 'cooling' }, [0, 3]],
      [{ state: 'blocked' }, [1]],
      [{ state: 'disabled' }, [2]],
      [{ reason: 'suspended' }, [1]],
      [{ reason: 'invalid' }, []],
      [{ model: 'gpt-5' }, [0, 3]],
      [{ model: 'other' }, [3]],
      [{ tag: 'free' }, [0, 1, 2]],
      [{ tag: 'fre' }, []],
      [{ project: 'p-1' }, [0, 1, 2]],
      [{ search: 'team a' }, [0, 1, 2]],
      [{ search: '100%' }, [0, 1, 2]],
      [{ search: 'm_b' }, [3]],
      [{ search: "'; DROP TABLE provider_keys; --" }, []],
      [{ search: key(4) }, [3]],
      [{ search: 'gsk_' }, [4]],
      [{ tag: 'eu', state: 'cooling', provider: 'openai', search: 'TEAM' }, [0]],
    ];
    for (const [filter, expected] of cases) {
      const wanted = expected.map((at) => all[at]);
      const told = JSON.stringify(filter);
      const searched = await post('keys/search', filter);
      assert.deepEqual(searched.keys.map(({ id }) => id).sort((a, b) => a - b), wanted, told);
      assert.equal(searched.total, wanted.length, told);
      assert.deepEqual(await ids(String(new URLSearchParams(filter))), wanted, told);
      const chosen = await post('keys/ids', { filter });
      assert.deepEqual(chosen, { ids: wanted, total: wanted.length }, told);
    }
  });

  test('each order, both ways', async () => {
    const today = Math.floor(Date.now() / DAY) * DAY;
    // Also of yesterday and tomorrow: midnight may pass.
    for (const day of [today - DAY, today, today + DAY]) {
      await world.query('INSERT INTO usage_daily (day, key_id, attempts) VALUES (?1, ?2, 7), (?1, ?3, 3)', day, all[4], all[1]);
    }
    await world.query('INSERT INTO usage_daily (day, key_id, attempts) VALUES (?1, ?2, 99)', today - 3 * DAY, all[2]);
    const first = async (sort, order) => (await main.list(`sort=${sort}&order=${order}`)).map(({ id }) => all.indexOf(id));
    assert.deepEqual(await first('created', 'asc'), [0, 1, 2, 3, 4]);
    assert.deepEqual(await first('created', 'desc'), [4, 3, 2, 1, 0]);
    assert.equal((await first('priority', 'desc'))[0], 3);
    assert.equal((await first('state', 'asc'))[0], 1);
    assert.deepEqual((await first('requests_today', 'desc')).slice(0, 2), [4, 1]);
    assert.deepEqual((await first('last_used', 'desc')).slice(2, 3), [2]);
    assert.deepEqual((await first('cooled', 'asc')).at(-1), 4);
    assert.equal((await first('remark', 'asc'))[0], 4);
    assert.equal((await first('updated', 'desc'))[0], 2);
    const keys = await main.list();
    const of = (at) => keys.find(({ id }) => id === all[at]);
    assert.equal(of(4).requests_today, 7);
    assert.ok(of(4).last_used >= today - DAY);
    assert.equal(of(2).requests_today, 0);
    assert.equal(of(2).last_used, today - 3 * DAY);
    assert.equal(of(3).last_used, null);
    assert.deepEqual(of(0).tags, ['free', 'eu']);
    assert.equal(of(0).coolings[0].model, 'gpt-5');
    assert.equal(of(1).reason, 'suspended');
  });

  test('what is wrong is said by field', async () => {
    const cases = [
      ['not_one_of', 'state', { state: 'good' }],
      ['not_one_of', 'reason', { reason: 'mood' }],
      ['not_one_of', 'sort', { sort: 'id; DROP TABLE' }],
      ['not_one_of', 'order', { order: 'up' }],
      ['out_of_range', 'page', { page: 0 }],
      ['out_of_range', 'per_page', { per_page: 201 }],
      ['too_long', 'tag', { tag: 'x'.repeat(501) }],
    ];
    for (const [code, name, body] of cases) {
      await fault(400, code, name, 'POST', 'keys/search', body);
      await fault(400, code, name, 'GET', `keys?${new URLSearchParams(body)}`);
    }
    await fault(400, 'wrong_type', 'search', 'POST', 'keys/search', { search: 7 });
    await fault(400, 'unknown_field', 'serach', 'POST', 'keys/search', { serach: 'x' });
    await fault(400, 'not_one_of', 'filter.state', 'POST', 'keys/ids', { filter: { state: 'x' } });
    await fault(400, 'unknown_field', 'filter.x', 'POST', 'keys/ids', { filter: { x: 1 } });
    await fault(400, 'wrong_type', 'filter', 'POST', 'keys/ids', { filter: [] });
    await fault(404, 'no_such_key', null, 'GET', 'keys/999999');
    await fault(404, 'not_found', null, 'GET', 'nothing');
    await fault(405, 'method_not_allowed', null, 'PUT', 'tokens');
  });
});

describe('changing keys and taking it back', () => {
  let all;
  beforeEach(async () => {
    await main.addKeys('openai', [1, 2, 3, 4].map(key), { remark: 'before', tags: ['a', 'b'], project: 'p', priority: 1 });
    all = await ids();
  });

  test('tags are added, taken away and set', async () => {
    const tags = async () => (await main.list('sort=created&order=asc')).map((one) => one.tags.join());
    assert.equal((await act('add_tags', { ids: all.slice(0, 2) }, { tags: ['b', ' c ', 'x y'] })).changed, 2);
    assert.deepEqual(await tags(), ['a,b,c,x y', 'a,b,c,x y', 'a,b', 'a,b']);
    await act('remove_tags', { ids: all }, { tags: ['a', 'c', 'none'] });
    assert.deepEqual(await tags(), ['b,x y', 'b,x y', 'b', 'b']);
    await act('remove_tags', { ids: [all[3]] }, { tags: ['b'] });
    await act('add_tags', { ids: [all[3]] }, { tags: ['new'] });
    const { undo } = await act('set_tags', { ids: [all[0]] }, { tags: [] });
    assert.deepEqual(await tags(), ['', 'b,x y', 'b', 'new']);
    assert.deepEqual(await post('keys/undo', { id: undo.id }), { changed: 1 });
    assert.deepEqual(await tags(), ['b,x y', 'b,x y', 'b', 'new']);
    const many = Array.from({ length: 20 }, (_, at) => `t${at}`);
    assert.equal((await act('add_tags', { ids: [all[0]] }, { tags: many })).changed, 0, 'more than a key may have');
    for (const tag of ['', 'a,b', 'x'.repeat(41), 'a\u0000b', ' ']) await fault(400, 'bad_tag', 'tags', 'POST', 'keys/actions', { action: 'add_tags', ids: all, tags: [tag] });
    await fault(400, 'too_many_tags', 'tags', 'POST', 'keys/actions', { action: 'set_tags', ids: all, tags: [...many, 'more'] });
  });

  test('every action can be undone once, within a minute', async () => {
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'invalid', certain = 0, probes = 2, probe_at = 5 WHERE id = ?1", all[1]);
    await main.manage('PATCH', `keys/${all[2]}`, { state: 'disabled' });
    await cool(all[0], 'm', Date.now() + DAY);
    await cool(all[1], 'm', Date.now() + DAY);
    const columns = 'id, state, reason, certain, probes, probe_at, remark, tags, project, priority';
    const image = async () => JSON.stringify([
      await world.query(`SELECT ${columns} FROM provider_keys ORDER BY id`),
      await world.query('SELECT key_id, model, until, strikes FROM coolings ORDER BY key_id, model'),
    ]);
    const before = await image();
    const actions = [
      ['delete'], ['disable'], ['enable'], ['restore'], ['clear_coolings'],
      ['set_remark', { remark: "it's <new>" }], ['set_project', { project: 'q' }], ['set_priority', { priority: -5 }],
      ['add_tags', { tags: ['z'] }], ['remove_tags', { tags: ['a'] }], ['set_tags', { tags: ['only'] }],
    ];
    for (const [action, more] of actions) {
      const { matched, changed, undo } = await act(action, { filter: {} }, more);
      assert.equal(matched, 4, action);
      assert.ok(changed > 0 && undo.until > Date.now(), action);
      assert.notEqual(await image(), before, action);
      const { changed: back } = await post('keys/undo', { id: undo.id });
      assert.ok(back > 0, action);
      assert.equal(await image(), before, action);
      await fault(410, 'undo_expired', null, 'POST', 'keys/undo', { id: undo.id });
    }
    await fault(410, 'undo_expired', null, 'POST', 'keys/undo', { id: 'u-nothing' });
    const { undo } = await act('delete', { ids: all });
    await world.query('UPDATE undos SET at = at - 61000');
    await fault(410, 'undo_expired', null, 'POST', 'keys/undo', { id: undo.id });
    assert.equal((await main.manage('GET', 'keys')).total, 0);
    const removed = await act('delete', { ids: all });
    assert.deepEqual([removed.changed, removed.undo], [0, null]);
  });

  test('what changed in the meantime stays', async () => {
    const { undo } = await act('disable', { ids: all });
    await world.query('UPDATE provider_keys SET changed_at = changed_at - 5');
    await world.query('UPDATE undos SET at = at - 5');
    await act('set_remark', { ids: [all[0]] }, { remark: 'later' });
    assert.equal((await post('keys/undo', { id: undo.id })).changed, 3);
    const now = await states();
    assert.deepEqual(all.map((id) => now[id]), ['disabled', 'ready', 'ready', 'ready']);
  });

  test('a deleted key serves again after it was taken back', async () => {
    await world.fresh();
    const [secret] = await world.keys('openai', 1);
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    const { undo } = await main.manage('DELETE', `keys/${(await main.find(secret)).id}`);
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 503);
    await post('keys/undo', { id: undo.id });
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    const { events } = await main.manage('GET', 'events');
    assert.deepEqual(events.map(({ verdict }) => verdict), ['undo', 'delete']);
  });

  test('a filter with another number of keys than expected changes none', async () => {
    const error = await fault(409, 'selection_changed', null, 'POST', 'keys/actions', { action: 'delete', filter: { tag: 'a' }, expect: 3 });
    assert.deepEqual(error.values, { expected: 3, found: 4 });
    assert.deepEqual(await act('delete', { filter: { tag: 'a' } }, { dry_run: true }), { matched: 4, changed: 0, undo: null });
    assert.equal((await main.list()).length, 4);
    assert.equal((await act('delete', { filter: { tag: 'a' } }, { expect: 4 })).changed, 4);
    assert.equal((await main.list()).length, 0);
  });

  test('what is wrong is said by field', async () => {
    const cases = [
      [400, 'required', 'action', {}],
      [400, 'not_one_of', 'action', { action: 'explode', ids: all }],
      [400, 'required', 'ids', { action: 'delete' }],
      [400, 'wrong_type', 'ids', { action: 'delete', ids: 'all' }],
      [400, 'wrong_type', 'ids', { action: 'delete', ids: [-1] }],
      [413, 'too_many', 'ids', { action: 'delete', ids: Array.from({ length: 10_001 }, (_, at) => at) }],
      [400, 'wrong_type', 'filter', { action: 'delete', filter: 'all' }],
      [400, 'unknown_field', 'filter.stat', { action: 'delete', filter: { stat: 'ready' } }],
      [400, 'required', 'remark', { action: 'set_remark', ids: all }],
      [400, 'too_long', 'remark', { action: 'set_remark', ids: all, remark: 'x'.repeat(501) }],
      [400, 'required', 'project', { action: 'set_project', ids: all }],
      [400, 'out_of_range', 'priority', { action: 'set_priority', ids: all, priority: 1001 }],
      [400, 'required', 'tags', { action: 'add_tags', ids: all, tags: [] }],
      [400, 'wrong_type', 'tags', { action: 'add_tags', ids: all, tags: 'a' }],
      [400, 'unknown_field', 'id', { action: 'delete', ids: all, id: 1 }],
    ];
    for (const [status, code, name, body] of cases) await fault(status, code, name, 'POST', 'keys/actions', body);
    await fault(400, 'out_of_range', 'priority', 'PATCH', `keys/${all[0]}`, { priority: 1.5 });
    await fault(400, 'not_one_of', 'state', 'PATCH', `keys/${all[0]}`, { state: 'blocked' });
    assert.equal((await main.list('state=ready')).length, 4);
  });
});

describe('pasting', () => {
  test('a preview tells of each entry what it is, and changes nothing', async () => {
    await main.addKeys('openai', [key(1), key(2)]);
    const { id } = await main.find(key(1));
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'suspended' WHERE id = ?1", id);
    const text = [key(1), key(3), `"${key(4)}"`, key(3), 'short', 'sk-ant-0123456789', 'with blank inside', 'nothing-like-it-0123'].join('\n');
    const preview = await post('keys/preview', { provider: 'openai', keys: text, remark: 'r', tags: ['t'] });
    assert.deepEqual([preview.format, preview.total, preview.offset, preview.next], ['lines', 8, 0, null]);
    assert.deepEqual(preview.counts, { new: 4, existing: 1, repeated: 1, invalid: 2, warned: 3 });
    const told = preview.items.map(({ line, status, problem, warnings }) => [line, status, problem?.code ?? warnings.map(({ code }) => code).join()]);
    assert.deepEqual(told, [
      [1, 'existing', ''], [2, 'new', ''], [3, 'new', 'trimmed'], [4, 'repeated', ''], [5, 'invalid', 'too_short'],
      [6, 'new', 'other_provider'], [7, 'invalid', 'blank_inside'], [8, 'new', 'unusual_prefix'],
    ]);
    const [first, second] = preview.items;
    assert.deepEqual([first.id, first.state, first.reason], [id, 'blocked', 'suspended']);
    assert.deepEqual([second.remark, second.tags, second.provider], ['r', ['t'], 'openai']);
    assert.equal(preview.items[3].first_line, 2);
    assert.deepEqual(preview.items[5].warnings[0].values, { provider: 'anthropic' });
    assert.ok(!JSON.stringify(preview).includes(key(3)));
    assert.equal((await main.manage('GET', 'keys')).total, 2);
  });

  test('five thousand keys in pieces of five hundred, each call with few statements', async () => {
    const keys = Array.from({ length: 5000 }, (_, at) => key(at)).join('\n');
    let offset = 0;
    let seen = 0;
    await main.probe({ forget: true });
    while (offset !== null) {
      const preview = await post('keys/preview', { provider: 'openai', keys, offset });
      seen += preview.items.length;
      const added = await post('keys', { provider: 'openai', keys, offset, limit: 500 });
      assert.equal(added.added_count, 500);
      assert.equal(added.next, preview.next);
      offset = added.next;
    }
    assert.equal(seen, 5000);
    const { log } = await main.probe();
    assert.ok(Math.max(...log.map(({ statements }) => statements.length)) <= 50);
    assert.equal((await main.manage('GET', 'keys?per_page=1')).total, 5000);
  });

  test('a table, JSON and .env bring their own provider, remark, tags and priority', async () => {
    const csv = 'name,api_key,provider,tags,project,priority\n"a, b",sk-one-0123456789,openai,"x,y",p,3\nc,gsk_0123456789,groq,,,';
    const preview = await post('keys/preview', { keys: csv });
    assert.equal(preview.format, 'csv');
    assert.equal((await post('keys', { keys: csv, tags: ['default'] })).added_count, 2);
    const one = await main.find('sk-one-0123456789');
    assert.deepEqual([one.provider, one.remark, one.tags, one.project, one.priority], ['openai', 'a, b', ['x', 'y'], 'p', 3]);
    const two = await main.find('gsk_0123456789');
    assert.deepEqual([two.provider, two.remark, two.tags], ['groq', 'c', ['default']]);
    const env = 'OPENAI_API_KEY=sk-two-0123456789\nGEMINI_API_KEY="AIza-one-0123456789"\nDEBUG=1';
    assert.equal((await post('keys', { keys: env })).added_count, 2);
    assert.equal((await main.find('AIza-one-0123456789')).provider, 'google-ai-studio');
    const objects = [{ key: 'sk-three-0123456789', remark: 'o', state: 'disabled' }, { key: 'xai-0123456789', provider: 'grok' }];
    assert.equal((await post('keys', { provider: 'openai', keys: objects })).added_count, 2);
    assert.equal((await main.find('sk-three-0123456789')).state, 'disabled');
    assert.equal((await main.find('xai-0123456789')).provider, 'grok');
  });

  test('what cannot be added is said by field or by line', async () => {
    await fault(400, 'required', 'provider', 'POST', 'keys', { keys: key(1) });
    await fault(400, 'required', 'keys', 'POST', 'keys', { provider: 'openai' });
    await fault(400, 'no_keys_in_paste', 'keys', 'POST', 'keys', { provider: 'openai', keys: '# nothing' });
    await fault(400, 'wrong_type', 'keys', 'POST', 'keys', { provider: 'openai', keys: [7] });
    await fault(400, 'out_of_range', 'limit', 'POST', 'keys/preview', { provider: 'openai', keys: key(1), limit: 1001 });
    const unknown = await fault(400, 'unknown_provider', 'provider', 'POST', 'keys', { provider: 'gemini', keys: key(1) });
    assert.equal(unknown.values.meant, 'google-ai-studio');
    await fault(413, 'too_many', 'keys', 'POST', 'keys', { provider: 'openai', keys: Array.from({ length: 10_001 }, (_, at) => key(at)) });
    const { items } = await post('keys/preview', { keys: `provider,key\n,${key(1)}\nnobody,${key(2)}` });
    assert.deepEqual(items.map(({ problem }) => problem.code), ['no_provider', 'unknown_provider']);
    const added = await post('keys', { provider: 'openai', keys: `short\n${key(1)}` });
    assert.deepEqual([added.invalid[0].code, added.invalid[0].values], ['too_short', { least: 8 }]);
    const answer = await main.send('/admin/api/keys', { method: 'POST', body: `{"keys": "${key(9)}` });
    const text = await answer.text();
    assert.equal(JSON.parse(text).error.code, 'bad_body');
    assert.ok(!text.includes(key(9)));
  });
});

describe('a key\'s text', () => {
  test('is revealed on demand, which is an event', async () => {
    await main.addKeys('openai', [key(1)]);
    const { id } = await main.find(key(1));
    assert.deepEqual(await post(`keys/${id}/reveal`, {}), { id, key: key(1) });
    const { events } = await main.manage('GET', `events?verdict=reveal`);
    assert.deepEqual(events.map(({ key_id, hint, provider }) => [key_id, hint, provider]), [[id, 'sk-p…efgh', 'openai']]);
    await fault(404, 'no_such_key', null, 'POST', 'keys/999/reveal', {});
    await main.manage('DELETE', `keys/${id}`);
    await fault(404, 'no_such_key', null, 'POST', `keys/${id}/reveal`, {});
  });

  test('is exported page by page, and what was exported can be added elsewhere', async () => {
    await main.addKeys('openai', [1, 2, 3].map(key), { remark: 'a "b", c', tags: ['x', 'y'], project: 'p', priority: 4 });
    await main.addKeys('groq', ['gsk_0123456789abcdef']);
    await main.manage('PATCH', `keys/${(await main.find(key(2))).id}`, { state: 'disabled' });
    const pages = [];
    let after = 0;
    while (after !== null) {
      const page = await post('export', { filter: {}, limit: 3, after });
      assert.equal(page.one_balance_export, 1);
      pages.push(page);
      after = page.next;
    }
    assert.deepEqual(pages.map((page) => page.keys.length), [3, 1]);
    assert.equal((await main.manage('GET', 'events?verdict=export')).events.length, 2);
    const text = await main.send('/admin/api/export', { json: { filter: { provider: 'openai' }, format: 'text', limit: 2 } });
    assert.equal(await text.text(), `${key(1)}\n${key(2)}\n`);
    assert.match(text.headers.get('content-type'), /^text\/plain/);
    assert.match(text.headers.get('one-balance-next'), /^\d+$/);
    const none = await post('export', { secrets: 'none' });
    assert.ok(!JSON.stringify(none).includes(key(1)) && none.keys[0].hint);
    await fault(400, 'not_one_of', 'format', 'POST', 'export', { format: 'xml' });
    await fault(400, 'not_one_of', 'filter.state', 'POST', 'export', { filter: { state: 'x' } });
    const shape = async () => (await main.list('sort=created&order=asc')).map(({ provider, hint, remark, tags, project, priority, state }) => [provider, hint, remark, tags, project, priority, state]).sort();
    const before = await shape();
    await world.fresh();
    for (const page of pages) await post('keys', { keys: JSON.stringify(page) });
    assert.deepEqual(await shape(), before);
  });
});

describe('testing keys', () => {
  test('asks the provider now, restores what works and blocks what is certainly bad', async () => {
    const [good, bad, limited, was] = await world.keys('openai', [{}, { state: 'invalid' }, {}, {}]);
    const of = {};
    for (const secret of [good, bad, limited, was]) of[secret] = (await main.find(secret)).id;
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'invalid' WHERE id = ?1", of[was]);
    const { results } = await post('keys/test', { ids: [of[good], of[bad], of[was], 999_999] });
    const told = results.map(({ id, outcome, changed, state }) => [id, outcome, changed ?? null, state ?? null]);
    assert.deepEqual(told, [
      [of[good], 'works', null, 'ready'],
      [of[bad], 'rejected', 'blocked', 'blocked'],
      [of[was], 'works', 'restored', 'ready'],
      [999_999, 'missing', null, null],
    ]);
    assert.equal(results[1].status, 401);
    assert.ok(results[1].reason && results[1].message && !results[1].message.includes(bad));
    assert.equal((await main.find(bad)).state, 'blocked');
    assert.equal((await main.find(was)).state, 'ready');
    const one = await post(`keys/${of[good]}/test`, {});
    assert.deepEqual([one.outcome, one.status], ['works', 200]);
    await fault(404, 'no_such_key', null, 'POST', 'keys/999999/test', {});
    await fault(413, 'too_many', 'ids', 'POST', 'keys/test', { ids: Array.from({ length: 11 }, (_, at) => at) });
    await fault(400, 'required', 'ids', 'POST', 'keys/test', {});
  });

  test('a provider without a free question is not asked', async () => {
    await main.addKeys('custom-mine', ['abcdefgh-0123']);
    const { id } = await main.find('abcdefgh-0123');
    const { outcome, changed } = await post(`keys/${id}/test`, {});
    assert.deepEqual([outcome, changed], ['untestable', null]);
    assert.equal(await world.sim.count({}), 0);
  });
});

describe('ten thousand keys', () => {
  test('are listed, searched, counted and changed within the rows and statements of the Free plan', async () => {
    await world.query(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO provider_keys (provider, secret, digest, hint, slot, remark, tags, created_at, updated_at) SELECT 'openai', 'sk-' || i || '-0123456789', 'd' || i, 'sk-…' || i, i, 'remark ' || (i % 100), ',t' || (i % 10) || ',', i, i FROM n",
    );
    await main.probe({ forget: true });
    const page = await main.manage('GET', 'keys?provider=openai&per_page=200&page=50');
    assert.deepEqual([page.keys.length, page.total, page.keys.at(-1).created_at], [200, 10_000, 1]);
    assert.equal((await main.manage('GET', 'keys?search=remark%207&tag=t7')).total, 200);
    const { providers } = await main.manage('GET', 'overview');
    assert.deepEqual([providers[0].total, providers[0].ready], [10_000, 10_000]);
    await main.probe({ forget: true });
    assert.equal((await main.manage('GET', 'keys?provider=openai&state=ready')).total, 10_000);
    await main.manage('GET', 'overview');
    const { log } = await main.probe();
    const counted = log.flatMap(({ statements }) => statements).filter((sql) => /count\(\*\)/.test(sql) && /provider_keys/.test(sql));
    assert.deepEqual(counted, [], 'counted a moment ago');
    const { changed, undo } = await act('disable', { filter: { provider: 'openai' } }, { expect: 10_000 });
    assert.equal(changed, 10_000);
    assert.equal((await main.manage('GET', 'overview')).providers[0].disabled, 10_000, 'counted anew after a change');
    const [{ n }] = await world.query('SELECT count(*) AS n FROM undos');
    assert.ok(n <= 10, `${n} rows to take it back`);
    assert.equal((await post('keys/undo', { id: undo.id })).changed, 10_000);
    assert.equal((await main.manage('GET', 'keys?state=ready&per_page=1')).total, 10_000);
    const remarked = await act('set_remark', { filter: {} }, { remark: 'x'.repeat(500) });
    const again = await act('set_remark', { filter: {} }, { remark: 'y' });
    assert.deepEqual([remarked.changed, again.changed], [10_000, 10_000]);
    assert.equal((await post('keys/undo', { id: again.undo.id })).changed, 10_000, 'five million characters are kept in pieces');
  });
});

describe('the overview', () => {
  test('tells what is exhausted, what was blocked, and what is set wrongly', async () => {
    await main.addKeys('openai', [1, 2, 3, 4].map(key));
    const all = await ids();
    const until = Date.now() + DAY;
    await cool(all[0], 'gpt-5', until);
    await cool(all[1], 'gpt-5', until + 1000);
    await cool(all[2], '*', until + 2000);
    await cool(all[0], 'gpt-4o', until);
    await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'suspended', updated_at = ?2 WHERE id = ?1", all[3], Date.now());
    const overview = await main.manage('GET', 'overview');
    const [openai] = overview.providers;
    assert.deepEqual([openai.total, openai.ready, openai.cooling, openai.blocked, openai.usable], [4, 0, 3, 1, 2]);
    assert.deepEqual(openai.exhausted, [{ model: 'gpt-5', keys: 3, until }]);
    assert.deepEqual(openai.blocked_reasons, [{ reason: 'suspended', count: 1 }]);
    const warnings = overview.warnings.map(({ code, values }) => [code, values]);
    assert.deepEqual(warnings, [
      ['exhausted', { provider: 'openai', model: 'gpt-5', until }],
      ['blocked_since_yesterday', { provider: 'openai', reason: 'suspended', count: 1 }],
    ]);
    for (const { message, level } of overview.warnings) assert.ok(/\.$/.test(message) && level === 'warning');
    await cool(all[0], '*', until);
    await cool(all[1], '*', until);
    assert.deepEqual((await main.manage('GET', 'overview')).providers[0].exhausted, [{ model: '*', keys: 3, until }]);
    await act('disable', { ids: all });
    assert.ok((await main.manage('GET', 'overview')).warnings.some(({ code }) => code === 'no_usable_key'));
    await act('delete', { ids: all });
    assert.deepEqual((await main.manage('GET', 'overview')).warnings.map(({ code }) => code), ['no_keys_at_all']);
  });

  test('has a point for each bucket of its range', async () => {
    await main.addKeys('openai', [key(1)]);
    const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000;
    for (const [at, provider] of [[hour, 'openai'], [hour - 3_600_000, 'openai'], [hour, 'groq'], [hour - 3 * DAY, 'openai'], [hour - 40 * DAY, 'openai']]) {
      await world.query('INSERT INTO usage_hourly (hour, provider, model, requests, attempts, successes, rate_limited, errors) VALUES (?1, ?2, ?3, 5, 7, 4, 2, 1)', at, provider, 'm');
    }
    const total = ({ series }, name) => series.points.reduce((sum, point) => sum + point[name], 0);
    const day = await main.manage('GET', 'overview?range=24h');
    assert.equal(day.series.points.length, 24);
    assert.equal(day.series.bucket, 3_600_000);
    assert.deepEqual([total(day, 'requests'), total(day, 'attempts'), total(day, 'successes')], [15, 21, 12]);
    assert.deepEqual(day.series.points.map(({ at }) => at), Array.from({ length: 24 }, (_, at) => day.series.from + at * 3_600_000));
    const month = await main.manage('GET', 'overview?range=30d&provider=openai');
    assert.equal(month.series.points.length, 30);
    assert.equal(total(month, 'requests'), 15);
    assert.equal(month.day_start % DAY, 0);
    await fault(400, 'not_one_of', 'range', 'GET', 'overview?range=1y');
  });

  test('the settings are told with codes', async () => {
    await world.use('nowhere');
    const settings = await world.nowhere.manage('GET', 'settings');
    assert.equal(settings.gateway, null);
    const codes = settings.problems.map(({ code }) => code);
    assert.ok(codes.includes('not_a_number') && codes.includes('gateway'), codes.join());
    assert.deepEqual(settings.problems.find(({ code }) => code === 'not_a_number').values, { name: 'MAX_ATTEMPTS', used: 12 });
    assert.ok((await world.nowhere.manage('GET', 'overview')).warnings.some(({ code }) => code === 'setting'));
    const good = await main.manage('GET', 'settings');
    assert.deepEqual([good.problems, good.gateway.url, good.settings.max_attempts], [[], world.sim.base, 12]);
  });
});

describe('what happened', () => {
  test('events are filtered and paged, as far as one call looks', async () => {
    await world.query(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 7000) INSERT INTO events (id, at, key_id, provider, model, status, verdict, reason, message) SELECT i, i, i % 3, iif(i % 2, 'openai', 'groq'), 'm', 429, iif(i = 100, 'reject', 'cool'), 'rate_limit', iif(i = 6999, 'Put back for one try.', 'their words') FROM n",
    );
    const get = (query) => main.manage('GET', `events?${query}`);
    const first = await get('limit=3');
    assert.deepEqual([first.events.map(({ id }) => id), first.next], [[7000, 6999, 6998], 6998]);
    assert.deepEqual(first.events.map(({ code }) => code), [null, 'put_back_for_a_try', null]);
    assert.deepEqual((await get('before=3')).next, null);
    assert.deepEqual((await get('provider=groq&key=2&limit=2')).events.map(({ id }) => id), [6998, 6992]);
    let query = 'verdict=reject';
    const none = await get(query);
    assert.deepEqual(none.events, []);
    query += `&before=${none.next}`;
    assert.deepEqual((await get(query)).events.map(({ id }) => id), [100]);
    assert.equal((await get('reason=invalid&before=2000')).next, null);
    await fault(400, 'out_of_range', 'limit', 'GET', 'events?limit=501');
    await fault(400, 'out_of_range', 'key', 'GET', 'events?key=x');
  });

  test('failed requests are kept with the trail of their attempts, and sampled to D1', async () => {
    await world.keys('openai', [{ state: 'invalid' }, { state: 'invalid' }]);
    const answer = await main.ask('openai', 'gpt-5-mini');
    assert.ok(answer.status >= 400);
    assert.equal((await main.ask('groq', 'llama-3.1-8b-instant')).status, 503);
    assert.equal((await main.ask('openai', 'gpt-5-mini', { token: 'unknown-0123456789' })).status, 401);
    const { requests, next } = await main.manage('GET', 'requests');
    assert.equal(next, null);
    assert.deepEqual(requests.map(({ provider, model, method, status, code }) => [provider, model, method, status, code]), [
      ['groq', 'llama-3.1-8b-instant', 'POST', 503, 'no_keys'],
      ['openai', 'gpt-5-mini', 'POST', answer.status, null],
    ]);
    const { attempts, token } = requests[1];
    assert.equal(attempts.length, 2);
    for (const { status, verdict, reason, ms, key_id } of attempts) {
      assert.deepEqual([status, verdict], [401, 'reject']);
      assert.ok(reason && ms >= 0 && key_id > 0);
    }
    assert.match(token, /^[0-9a-f]{8}$/);
    assert.ok(!JSON.stringify(requests).includes(TOKEN));
    await eventually(async () => {
      await main.ask('groq', 'llama-3.1-8b-instant');
      const [{ n }] = await world.query('SELECT count(*) AS n FROM requests');
      assert.ok(n >= 1);
    });
    assert.ok((await main.manage('GET', 'requests?provider=openai&status=401')).requests.every(({ provider }) => provider === 'openai'));
    assert.deepEqual((await main.manage('GET', 'requests?model=nothing')).requests, []);
    const { requests: one, next: more } = await main.manage('GET', 'requests?limit=1');
    assert.ok(one.length === 1 && more <= one[0].at);
    await world.restart();
    const kept = (await main.manage('GET', 'requests')).requests;
    assert.ok(kept.length >= 1 && kept.every(({ sampled }) => sampled));
  });

  test('a day has room for a thousand of them at most', async () => {
    const day = Math.floor(Date.now() / DAY);
    for (const one of [day, day + 1]) {
      await world.query(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) INSERT INTO requests (id, tag, at, provider, model, method, status, code, ms, token, attempts) SELECT ?1 * 1000 + i, 't' || i, 1, 'p', 'm', 'GET', 500, NULL, 1, 't', '[]' FROM n",
        one,
      );
    }
    await main.probe({ forget: true });
    await eventually(async () => {
      await main.ask('groq', 'llama-3.1-8b-instant');
      const { log } = await main.probe();
      return log.some(({ statements }) => statements.some((sql) => sql.startsWith('INSERT INTO requests')));
    });
    const [{ n }] = await world.query('SELECT count(*) AS n FROM requests');
    assert.equal(n, 2000);
  });

  test('refusals for the place, and the gateway\'s own, are told', async () => {
    await world.keys('openai', 1);
    await world.query("INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) VALUES (?1, 0, 'openai', '*', 401, 'gateway', '2009', 'x'), (?1, 0, 'openai', '*', 403, 'egress', '', 'y')", Date.now());
    const { warnings } = await main.manage('GET', 'overview');
    const told = warnings.map(({ code, level, values }) => [code, level, values.gateway_code || values.status]).sort();
    assert.deepEqual(told, [['egress_refused', 'error', 403], ['gateway_error', 'error', '2009']]);
    const { events } = await main.manage('GET', 'events?verdict=egress');
    assert.deepEqual(events.map(({ key_id, hint }) => [key_id, hint]), [[0, null]]);
  });

  test('a database that did not answer is told', async () => {
    await main.probe({ d1: 'fails' });
    assert.equal((await main.admin('GET', 'keys')).json.error.code, 'store_unavailable');
    await main.probe({ d1: 'works' });
    assert.ok((await main.manage('GET', 'overview')).warnings.some(({ code, values }) => code === 'store_trouble' && values.count >= 1));
  });
});

// === docs/admin-api.md ===

/** The words of a command line with simple quotes and variables. */
function words(line, variables) {
  const found = line.matchAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|(\S+)/g);
  const fill = (text) => text.replace(/\$(\w+)/g, (_, name) => variables[name] ?? assert.fail(`$${name}`));
  return [...found].map(([, single, double, bare]) => single ?? fill((double ?? bare).replace(/\\(.)/g, '$1')));
}

test('every example of the documentation works, one after the other', async () => {
  const text = readFileSync(join(root, 'docs/admin-api.md'), 'utf8');
  const lines = [...text.matchAll(/```sh\n([^]*?)```/g)].flatMap(([, block]) => block.trim().split('\n'));
  assert.ok(lines.length >= 15, `${lines.length} examples`);
  const variables = { BASE: main.url, TOKEN };
  for (const line of lines) {
    const [curl, ...rest] = words(line, variables);
    assert.equal(curl, 'curl', line);
    let [url, method, body] = [];
    const headers = {};
    for (let at = 0; at < rest.length; at += 1) {
      if (rest[at] === '-X') method = rest[(at += 1)];
      else if (rest[at] === '-d') body = rest[(at += 1)];
      else if (rest[at] === '-H') {
        const [name, ...value] = rest[(at += 1)].split(': ');
        headers[name] = value.join(': ');
      } else url = rest[at];
    }
    // As curl sends it: no JSON in the content type.
    if (body !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded';
    const response = await fetch(url, { method: method ?? (body === undefined ? 'GET' : 'POST'), headers, body });
    const answer = await response.text();
    assert.equal(response.status, 200, `${line}: ${answer}`);
    const secret = /"secret":"(ob-[^"]*)"/.exec(answer)?.[1];
    if (secret) world.secrets.add(secret);
    variables.ID ??= JSON.parse(answer).added?.[0]?.id;
  }
});

test('every JSON example of the documentation has the fields of the real answer', async () => {
  const text = readFileSync(join(root, 'docs/admin-api.md'), 'utf8');
  const section = (title) => text.split(`\n## ${title}\n`)[1].split('\n## ')[0];
  const example = (title, at = 0) => JSON.parse([...section(title).matchAll(/```json\n([^]*?)```/g)][at][1].replaceAll('{…}', '{}'));
  const names = (value) => Object.keys(value).sort();
  await main.addKeys('openai', [key(1), 'sk-ant-0123456789'], { tags: ['a'] });
  const [{ id }] = await main.list(`search=${key(1)}`);
  await cool(id, 'm', Date.now() + DAY);
  await act('disable', { ids: [id] });
  const real = {
    'Session': await main.manage('GET', 'session'),
    'Settings': await main.manage('GET', 'settings'),
    'Overview': await main.manage('GET', 'overview'),
    'Providers': await main.manage('GET', 'providers'),
    'List keys': await main.manage('GET', 'keys?state=disabled'),
    'Events': await main.manage('GET', 'events'),
  };
  for (const [title, answer] of Object.entries(real)) assert.deepEqual(names(answer), names(example(title)), title);
  assert.deepEqual(names(real['List keys'].keys[0]), names(example('List keys').keys[0]));
  assert.deepEqual(names(real['List keys'].keys[0].coolings[0]), names(example('List keys').keys[0].coolings[0]));
  assert.deepEqual(names(real.Overview.providers[0]), names(example('Overview').providers[0]));
  assert.deepEqual(names(real.Overview.series.points[0]), names(example('Overview').series.points[0]));
  assert.deepEqual(names(real.Providers.providers[0]), names(example('Providers').providers[0]));
  assert.deepEqual(names(real.Providers.known[0]), names(example('Providers').known[0]));
  assert.deepEqual(names(real.Events.events[0]), names(example('Events').events[0]));
  const added = await post('keys', { provider: 'openai', keys: ['sk-new-0123456789', key(1), 'short'] });
  assert.deepEqual(names(added), names(example('Add keys', 1)));
  const preview = await post('keys/preview', { provider: 'openai', keys: [key(2)] });
  assert.deepEqual(names(preview), names(example('Add keys')));
  assert.deepEqual(names(preview.items[0]), names(example('Add keys').items[0]));
  assert.deepEqual(names(await act('enable', { ids: [id] })), names(example('Change keys')));
  const tested = await post('keys/test', { ids: [id] });
  assert.deepEqual(names(tested.results[0]), names(example('Test keys').results[0]));
  const { token, secret } = await post('tokens', { name: 'x' });
  world.secrets.add(secret);
  assert.deepEqual(names(token), names(example('Tokens').tokens[0]));
  assert.deepEqual(names((await main.manage('GET', 'tokens')).auth_key[0]), names(example('Tokens').auth_key[0]));
  assert.deepEqual(names(await post('export', {})), names(example('Export')));
  await main.ask('groq', 'llama-3.1-8b-instant');
  const { requests } = await main.manage('GET', 'requests');
  assert.deepEqual(names(requests[0]), names(example('Requests').requests[0]));
});
