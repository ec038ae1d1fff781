// Requests of one conversation prefer one key, and nothing else is given up for that.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { startWorld } from './harness.mjs';

const world = await startWorld({ isolates: { main: {}, second: {} }, others: { off: { AFFINITY: 'off' }, auto: { AFFINITY: 'auto' } } });
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const KEYS = 6;
const model = 'gpt-4o';

/** The keys that served so many requests of this kind, one after the other. */
async function keysOf(count, request, isolates = ['main']) {
  const before = await world.sim.count();
  for (let turn = 0; turn < count; turn += 1) {
    const [path, init] = request(turn);
    const answer = await world[isolates[turn % isolates.length]].api(path, init);
    assert.equal(answer.status, 200, answer.text);
  }
  return (await world.sim.requests()).slice(before).map(({ key }) => key);
}
const different = (keys) => new Set(keys).size;
const chat = (more = {}, headers = {}) => (turn) => ['openai/chat/completions', { headers, json: { model, messages: [{ role: 'user', content: `turn ${turn}` }], ...more } }];

describe('a conversation that is told', () => {
  const ways = {
    'prompt_cache_key': chat({ prompt_cache_key: 'conversation-1' }),
    'user': chat({ user: 'someone' }),
    'safety_identifier': chat({ safety_identifier: 'someone' }),
    'x-session-id': chat({}, { 'x-session-id': 's-1' }),
    'session_id': chat({}, { session_id: 's-1' }),
    'x-claude-code-session-id': chat({}, { 'x-claude-code-session-id': 's-1' }),
    'a cache key, whatever the user is': (turn) => chat({ prompt_cache_key: 'c', user: `user-${turn}` })(turn),
  };
  for (const [way, request] of Object.entries(ways)) {
    test(`${way}: one key, in every isolate`, async () => {
      await world.keys('openai', KEYS);
      assert.equal(different(await keysOf(4, request, ['main', 'second'])), 1);
    });
  }

  test('metadata.user_id, at Anthropic', async () => {
    await world.keys('anthropic', KEYS);
    const headers = { 'anthropic-version': '2023-06-01' };
    const json = { model: 'claude-haiku-4-5', max_tokens: 9, messages: [{ role: 'user', content: 'x' }], metadata: { user_id: 'user_1_session_2' } };
    assert.equal(different(await keysOf(4, () => ['anthropic/v1/messages', { headers, json }], ['main', 'second'])), 1);
  });

  test('others go to other keys, and untold ones by turns', async () => {
    await world.keys('openai', KEYS);
    const keys = await keysOf(24, (turn) => chat({ prompt_cache_key: `conversation-${turn}` })(turn));
    assert.ok(different(keys) >= 3, keys.join());
    assert.equal(different(await keysOf(KEYS, chat())), KEYS);
  });

  test('AFFINITY=off: by turns', async () => {
    await world.use('off');
    await world.keys('openai', KEYS);
    assert.equal(different(await keysOf(KEYS, chat({ prompt_cache_key: 'c' }), ['off'])), KEYS);
  });

  test('AFFINITY=auto: by its beginning', async () => {
    await world.use('auto');
    await world.keys('openai', KEYS);
    const said = [{ role: 'system', content: 'be nice' }];
    const grow = (first) => {
      const messages = [...said, { role: 'user', content: first }];
      return () => {
        const sent = ['openai/chat/completions', { json: { model, messages: [...messages] } }];
        messages.push({ role: 'assistant', content: 'yes' }, { role: 'user', content: 'more' });
        return sent;
      };
    };
    assert.equal(different(await keysOf(4, grow('hello'), ['auto'])), 1);
    const first = [];
    for (let conversation = 0; conversation < 24; conversation += 1) first.push(...(await keysOf(1, grow(`hello ${conversation}`), ['auto'])));
    assert.ok(different(first) >= 3, first.join());
  });
});

describe('a preference is weaker than', () => {
  test('a cooling: the conversation goes on with another key, and stays there', async () => {
    await world.keys('openai', KEYS);
    const request = chat({ prompt_cache_key: 'c' });
    const [preferred] = await keysOf(1, request);
    await world.sim.faults({ match: { key: preferred }, status: 429, headers: { 'retry-after': '600' }, body: { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } } });
    const then = await keysOf(3, request);
    assert.equal(then[0], preferred, 'it is asked, refuses,');
    assert.ok(!then.slice(1).includes(preferred), 'and is not asked again');
    assert.equal(different(then.slice(1)), 1);
  });

  test('a share of the work: one busy conversation does not use up one key', async () => {
    await world.keys('openai', KEYS);
    const keys = await keysOf(40, chat({ prompt_cache_key: 'c' }));
    const most = Math.max(...[...new Set(keys)].map((key) => keys.filter((one) => one === key).length));
    assert.ok(different(keys) >= 3, keys.join());
    assert.ok(most <= 20, `${most} of 40 with one key`);
  });

  test('priority', async () => {
    const keys = await world.keys('openai', KEYS);
    const { id } = await world.main.find(keys[0]);
    await world.query('UPDATE provider_keys SET priority = 5, updated_at = ? WHERE id = ?', Date.now(), id);
    await world.restart();
    for (const conversation of ['a', 'b', 'c', 'd']) {
      assert.deepEqual(await keysOf(1, chat({ prompt_cache_key: conversation })), [keys[0]]);
    }
  });

  test('an object that the request names', async () => {
    await world.keys('openai', KEYS);
    const made = await world.main.api('openai/responses', { json: { model, input: 'x' } });
    const [{ key: maker }] = (await world.sim.requests()).slice(-1);
    for (let conversation = 0; conversation < KEYS; conversation += 1) {
      const json = { model, input: 'y', previous_response_id: made.json.id, prompt_cache_key: `conversation-${conversation}` };
      assert.deepEqual(await keysOf(1, () => ['openai/responses', { json }]), [maker]);
    }
  });
});
