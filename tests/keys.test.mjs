// What an answer does to the key that earned it, and to the caller who waits: rotation, cooling,
// blocking, retries, and what is written down.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { attemptsOf, eventually, midnightPacific, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: { main: {} },
  others: {
    second: {},
    tight: { MAX_ATTEMPTS: '2' },
    greedy: { MAX_ATTEMPTS: '1000' },
    daily: { CONSECUTIVE_429_THRESHOLD: '1' },
  },
  probe: true,
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const gemini = (model = 'gemini-2.5-flash', init) => world.main.ask('google-ai-studio', model, init);
const openai = (model = 'gpt-5-mini', init) => world.main.ask('openai', model, init);
const tooMany = (headers = {}) => ({
  status: 429,
  headers,
  body: { error: { message: 'Rate limit reached', type: 'requests', param: null, code: 'rate_limit_exceeded' } },
});

/** The state of each key, from D1: `ready`, `blocked`, ... */
async function states(...keys) {
  return Promise.all(keys.map(async (key) => (await world.main.find(key)).state));
}

/** `until` is the midnight that was the next one when the test began, or, in a night of bad luck, the one after. */
function assertMidnight(until, before) {
  const late = [before, midnightPacific(Date.now())].map((midnight) => until - midnight);
  assert.ok(late.some((ms) => ms >= 0 && ms < 2_000), new Date(until).toISOString());
  assert.ok(until > Date.now());
}

/** Nothing at all happened to these keys, now and after all writes are done. */
async function assertUntouched(...keys) {
  for (const key of keys) {
    const known = await world.main.find(key);
    assert.equal(known.state, 'ready', JSON.stringify(known));
    assert.deepEqual(known.coolings, []);
  }
  const { events } = await world.main.manage('GET', 'events');
  assert.deepEqual(events.filter((event) => event.key_id > 0), []);
  await world.main.probe({ forget: true });
  const { log } = await world.main.probe();
  assert.deepEqual(log, []);
}

describe('rotation', () => {
  test('ten keys are used in turn: thirty requests are three for each', async () => {
    const keys = await world.keys('openai', 10);
    for (let request = 0; request < 30; request += 1) assert.equal((await openai()).status, 200);
    const used = (await world.sim.requests()).map(({ key }) => key);
    assert.deepEqual([...new Set(used.slice(0, 10))].sort(), [...keys].sort(), 'none twice before all once');
    for (const key of keys) assert.equal(used.filter((one) => one === key).length, 3);
  });

  test('requests at the same time go to different keys', async () => {
    const keys = await world.keys('openai', 8);
    await openai('gpt-4o'); // so that the keys are read
    await world.sim.config({ latency_ms: 300 });
    await Promise.all(keys.map(() => openai()));
    const used = (await world.sim.requests({ model: 'gpt-5-mini' })).map(({ key }) => key);
    assert.equal(new Set(used).size, 8, used.join(' '));
  });

  test('two hundred requests at once, over good, bad and limited keys and with faults between, are all answered', async () => {
    await world.keys('google-ai-studio', [
      ...Array.from({ length: 6 }, () => ({})),
      { state: 'invalid' }, { state: 'suspended' }, { state: 'bare_403' }, { rpd: 3 }, { rpd: 0 }, { rpm: 1 },
    ]);
    await world.sim.config({ latency_ms: 30 });
    await world.sim.faults({ times: 8, skip: 5, case: 'gai-503-overloaded' });
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => gemini('gemini-2.5-flash', { stream: index % 2 === 0, text: `number ${index}` })));
    for (const [index, answer] of answers.entries()) {
      assert.equal(answer.status, 200, `${index}: ${answer.text}`);
      const said = [...answer.text.matchAll(/"text":"([^"]*)"/g)].map(([, text]) => text).join('');
      assert.equal(said, `You said: number ${index}`, 'and with the answer to its own question');
    }
  });

  test('a key of higher priority is used as long as it can be', async () => {
    const [low, high] = await world.keys('openai', [{}, { rpm: 2 }]);
    const { id } = await world.main.find(high);
    await world.main.manage('PATCH', `keys/${id}`, { priority: 5 });
    for (let request = 0; request < 4; request += 1) assert.equal((await openai()).status, 200);
    const used = (await world.sim.requests()).map(({ key }) => key);
    assert.deepEqual(used, [high, high, low, low]);
  });

  test('keys of other providers are never used', async () => {
    await world.keys('groq', 3);
    const [own] = await world.keys('openai', 1);
    for (let request = 0; request < 4; request += 1) await openai();
    assert.deepEqual([...new Set((await world.sim.requests()).map(({ key }) => key))], [own]);
  });
});

describe('quotas', () => {
  test('a minute’s limit cools the key for that model only, until the provider’s own time', async () => {
    const [key] = await world.keys('google-ai-studio', [{ rpm: 1 }]);
    await world.sim.roll('minute');
    assert.equal((await gemini('gemini-2.5-flash')).status, 200);
    const limited = await gemini('gemini-2.5-flash');
    assert.equal(limited.status, 429);
    assert.equal(limited.json.error.status, 'RESOURCE_EXHAUSTED');
    assert.equal((await gemini('gemini-2.5-pro')).status, 200, 'the other model is served');
    const { coolings, state } = await eventually(async () => {
      const known = await world.main.find(key);
      return known.coolings.length === 1 && known;
    });
    const [cooling] = coolings;
    assert.equal(state, 'cooling');
    assert.equal(cooling.model, 'gemini-2.5-flash');
    assert.equal(cooling.source, 'stated');
    const wait = cooling.until - cooling.since;
    assert.ok(wait > 1_000 && wait <= MINUTE + 1_000, `${wait} ms`);
  });

  test('when the minute is over, the key is used again', async () => {
    await world.keys('google-ai-studio', [{ rpm: 1 }]);
    await world.sim.config({ minute_ms: 1_500 });
    await world.sim.roll('minute');
    await gemini();
    await gemini();
    const answer = await eventually(async () => {
      const again = await gemini();
      return again.status === 200 && again;
    });
    assert.equal(attemptsOf(answer), 1);
  });

  test('a day’s quota lasts until midnight in California, whatever delay the answer claims', async () => {
    const [key] = await world.keys('google-ai-studio', [{ rpd: 1 }]);
    assert.equal((await gemini()).status, 200);
    const before = midnightPacific(Date.now());
    const answer = await gemini();
    assert.equal(answer.status, 429);
    assert.match(answer.text, /PerDay/);
    assert.match(answer.text, /"retryDelay":"(1|2|3|4|5)\d[.\d]*s"/, 'the answer claims some seconds');
    const [cooling] = await eventually(async () => {
      const { coolings } = await world.main.find(key);
      return coolings.length > 0 && coolings;
    });
    assertMidnight(cooling.until, before);
    assert.equal(cooling.reason, 'day_quota');
  });

  for (const [id, midnight] of [
    ['gai-429-embed-rpd', true],
    ['gai-429-tpd-free', true],
    ['gai-429-rpd-paidtier2', false],
    ['gai-429-free-limit0', true],
  ]) {
    test(`the day quota is told from the minute’s in the answer ${id}`, async () => {
      const [key] = await world.keys('google-ai-studio', 1);
      const before = midnightPacific(Date.now());
      await world.sim.faults({ case: id });
      await gemini();
      const [cooling] = await eventually(async () => {
        const { coolings } = await world.main.find(key);
        return coolings.length > 0 && coolings;
      });
      if (midnight) assert.ok(cooling.until >= before && cooling.until <= Date.now() + 26 * 60 * MINUTE, new Date(cooling.until).toISOString());
      else assert.ok(cooling.until - cooling.since >= 5 * MINUTE, `${cooling.until - cooling.since} ms`);
      assert.equal(cooling.model, 'gemini-2.5-flash');
    });
  }

  test('using up one model leaves the other for the same keys', async () => {
    await world.keys('google-ai-studio', Array.from({ length: 3 }, () => ({ models: { 'gemini-2.5-pro': { rpd: 0 } } })));
    assert.equal((await gemini('gemini-2.5-pro')).status, 429);
    for (let request = 0; request < 3; request += 1) {
      const exhausted = await gemini('gemini-2.5-pro');
      assert.equal(exhausted.status, 429);
      const served = await gemini('gemini-2.5-flash');
      assert.equal(served.status, 200, served.text);
    }
  });

  test('minute limits with successes between them never add up to a day', async () => {
    const [key] = await world.keys('google-ai-studio', [{ rpm: 1 }]);
    await world.sim.config({ minute_ms: 1_100 });
    for (let round = 0; round < 3; round += 1) {
      await eventually(async () => (await gemini()).status === 200);
      await eventually(async () => (await gemini()).status === 429);
    }
    const { coolings, cooled_seconds } = await eventually(async () => {
      const known = await world.main.find(key);
      return known.coolings.length > 0 && known;
    });
    for (const { since, until } of coolings) assert.ok(until - since <= 3_000, `${until - since} ms`);
    assert.ok(cooled_seconds < 60, `${cooled_seconds} s in all`);
  });

  test('an unexplained 429 is guessed at a minute, the next one in a row at two, and after a success at one again', async () => {
    const [key] = await world.keys('openai', 1);
    const { id } = await world.main.find(key);
    /** As if the time had passed. */
    const wake = async () => {
      await world.query('UPDATE coolings SET until = ?1 WHERE key_id = ?2', Date.now() - 1, id);
      await world.query('UPDATE provider_keys SET updated_at = updated_at + 1 WHERE id = ?1', id);
      await world.restart();
    };
    const wait = async (times) => {
      const cooling = await eventually(async () => {
        const [row] = await world.query('SELECT * FROM coolings WHERE key_id = ?1 AND until > ?2', id, Date.now());
        return row ?? false;
      });
      assert.equal(cooling.source, 'guessed');
      assert.equal(Math.round((cooling.until - cooling.since) / MINUTE), times);
    };
    await world.sim.faults(tooMany());
    await openai();
    await wait(1);
    await wake();
    await world.sim.faults(tooMany());
    await openai();
    await wait(2);
    await wake();
    assert.equal((await openai()).status, 200);
    await world.sim.faults(tooMany());
    await openai();
    await wait(1);
  });

  test('unexplained 429s of different models are not counted together', async () => {
    const [key] = await world.keys('google-ai-studio', 1);
    for (const model of ['a-1', 'b-2', 'c-3', 'd-4', 'e-5', 'f-6']) {
      await world.sim.faults({ case: 'gai-429-generic' });
      assert.equal((await gemini(model)).status, 429);
    }
    const { coolings } = await eventually(async () => {
      const known = await world.main.find(key);
      return known.coolings.length === 6 && known;
    });
    for (const { model, since, until } of coolings) assert.equal(until - since, MINUTE, model);
  });

  test('at CONSECUTIVE_429_THRESHOLD the day counts as used up: until midnight in California for Gemini, a day elsewhere', async () => {
    await world.use('daily');
    const [google] = await world.keys('google-ai-studio', 1);
    const [other] = await world.keys('openai', 1);
    await world.sim.faults({ match: { provider: 'google-ai-studio' }, case: 'gai-429-generic' }, { match: { provider: 'openai' }, ...tooMany() });
    const before = midnightPacific(Date.now());
    await world.daily.ask('google-ai-studio', 'gemini-2.5-flash');
    await world.daily.ask('openai', 'gpt-5-mini');
    await eventually(async () => {
      const [cooling] = (await world.main.find(google)).coolings;
      assertMidnight(cooling.until, before);
    });
    await eventually(async () => {
      const [cooling] = (await world.main.find(other)).coolings;
      assert.equal(cooling.until - cooling.since, DAY);
    });
  });

  test('a key that says it has none left is not asked again: its 429 is never earned', async () => {
    await world.keys('openai', [{ rpm: 2 }, { rpm: 2 }, { rpm: 2 }]);
    await world.sim.roll('minute');
    for (let request = 0; request < 6; request += 1) {
      const answer = await openai();
      assert.equal(answer.status, 200, answer.text);
      assert.equal(attemptsOf(answer), 1);
    }
    const refused = await openai();
    assert.equal(refused.status, 429);
    assert.equal(await world.sim.count(), 6);
    assert.equal(await world.sim.count({ status: 429 }), 0);
  });

  test('a stated time is obeyed, but never for more than 31 days', async () => {
    const keys = await world.keys('openai', 1);
    await world.sim.faults(tooMany({ 'retry-after': '7200' }));
    await openai('gpt-4o');
    await world.sim.faults(tooMany({ 'retry-after': '99999999' }));
    await openai('gpt-5-mini');
    const { coolings } = await eventually(async () => {
      const known = await world.main.find(keys[0]);
      return known.coolings.length === 2 && known;
    });
    const wait = (model) => {
      const { since, until } = coolings.find((cooling) => cooling.model === model);
      return until - since;
    };
    assert.equal(wait('gpt-4o'), 2 * 60 * MINUTE);
    assert.equal(wait('gpt-5-mini'), 31 * DAY);
  });

  test('a key without credit is put aside for long, and for every model', async () => {
    for (const [provider, model] of [['openai', 'gpt-5-mini'], ['deepseek', 'deepseek-chat'], ['anthropic', 'claude-haiku-4-5'], ['openrouter', 'openai/gpt-5-mini']]) {
      const [poor, rich] = await world.keys(provider, [{ state: 'no_credit' }, {}]);
      for (let request = 0; request < 3; request += 1) {
        const answer = await world.main.ask(provider, model);
        assert.equal(answer.status, 200, `${provider}: ${answer.text}`);
      }
      assert.equal(await world.sim.count({ key: poor }), 1, provider);
      assert.equal(await world.sim.count({ key: rich }), 3, provider);
      const { state, coolings } = await eventually(async () => {
        const known = await world.main.find(poor);
        return known.state !== 'ready' && known;
      });
      assert.equal(state, 'cooling', provider);
      assert.equal(coolings[0].model, '*', provider);
      assert.ok(coolings[0].until - coolings[0].since >= 60 * MINUTE, provider);
    }
  });
});

describe('bad keys', () => {
  for (const [provider, model, state, reason] of [
    ['google-ai-studio', 'gemini-2.5-flash', 'invalid', 'invalid'],
    ['google-ai-studio', 'gemini-2.5-flash', 'expired', 'expired'],
    ['google-ai-studio', 'gemini-2.5-flash', 'suspended', 'suspended'],
    ['google-ai-studio', 'gemini-2.5-flash', 'leaked', 'leaked'],
    ['google-ai-studio', 'gemini-2.5-flash', 'disabled_api', 'service_disabled'],
    ['google-ai-studio', 'gemini-2.5-flash', 'restricted', 'restricted'],
    ['openai', 'gpt-5-mini', 'invalid', 'invalid'],
    ['openai', 'gpt-5-mini', 'suspended', 'suspended'],
    ['anthropic', 'claude-haiku-4-5', 'invalid', 'invalid'],
    ['anthropic', 'claude-haiku-4-5', 'suspended', 'suspended'],
    ['groq', 'llama-3.1-8b-instant', 'invalid', 'invalid'],
    ['openrouter', 'openai/gpt-5-mini', 'invalid', 'invalid'],
    ['mistral', 'mistral-small-latest', 'invalid', 'invalid'],
    ['deepseek', 'deepseek-chat', 'invalid', 'invalid'],
    ['grok', 'grok-4', 'invalid', 'invalid'],
    ['cerebras', 'gpt-oss-120b', 'invalid', 'invalid'],
  ]) {
    test(`${provider}: a key that is ${state} is blocked at its first use, and the caller is served by the next`, async () => {
      const [bad, good] = await world.keys(provider, [{ state }, {}]);
      const attempts = [];
      for (let request = 0; request < 4; request += 1) {
        const answer = await world.main.ask(provider, model);
        assert.equal(answer.status, 200, answer.text);
        attempts.push(attemptsOf(answer));
      }
      assert.equal(attempts.reduce((sum, one) => sum + one), 5, `one attempt was wasted, no more: ${attempts}`);
      assert.equal(await world.sim.count({ key: bad }), 1);
      await eventually(async () => assert.equal((await world.main.find(bad)).state, 'blocked'));
      const known = await world.main.find(bad);
      assert.equal(known.reason, reason);
      assert.equal(known.certain, true);
      assert.deepEqual(await states(good), ['ready']);
      const { events } = await world.main.manage('GET', `events?key=${known.id}`);
      assert.equal(events.length, 1);
      assert.equal(events[0].verdict, 'reject');
      assert.equal(events[0].key_id, known.id);
    });
  }

  for (const state of ['bare_401', 'bare_403']) {
    test(`a key that gets a ${state.replace('_', ' ')} is blocked once another key has been accepted, and marked as uncertain`, async () => {
      const [bad, good] = await world.keys('openai', [{ state }, {}]);
      for (let request = 0; request < 3; request += 1) assert.equal((await openai()).status, 200);
      assert.equal(await world.sim.count({ key: bad }), 1);
      await eventually(async () => assert.equal((await world.main.find(bad)).state, 'blocked'));
      assert.equal((await world.main.find(bad)).certain, false);
      assert.deepEqual(await states(good), ['ready']);
    });
  }

  test('when five keys are refused alike and none is accepted, it is not the keys: none is blocked', async () => {
    const keys = await world.keys('openai', Array.from({ length: 5 }, () => ({ state: 'bare_401' })));
    const answer = await openai();
    assert.equal(answer.status, 401, 'the upstream’s own answer');
    assert.ok(await world.sim.count() <= 5, 'no key is tried twice');
    assert.ok(await world.sim.count() >= 3);
    await assertUntouched(...keys);
    assert.match(world.stdio, /rejected alike/, 'the log says so');
    // They are still used: the trouble may be over.
    await world.sim.keys(keys.map((key) => ({ provider: 'openai', key })));
    assert.equal((await openai()).status, 200);
  });

  test('an answer from the gateway’s cache vouches for no key', async () => {
    const [cached, ...refused] = await world.keys('openai', [{}, { state: 'bare_401' }, { state: 'bare_401' }, { state: 'bare_401' }]);
    for (const key of refused) await world.main.manage('PATCH', `keys/${(await world.main.find(key)).id}`, { priority: 5 });
    await world.sim.faults({ match: { key: cached }, times: 1, status: 200, headers: { 'cf-aig-cache-status': 'HIT' }, body: {} });
    assert.equal((await openai()).status, 200);
    assert.deepEqual(await states(...refused), ['ready', 'ready', 'ready']);
    assert.equal((await openai()).status, 200);
    await eventually(async () => assert.deepEqual(await states(...refused), ['blocked', 'blocked', 'blocked']));
  });

  test('a gateway that wants a token stops at the first call, says what to do, and costs no key', async () => {
    await world.sim.config({ gateway_token: 'a-token-that-the-worker-does-not-have' });
    const keys = await world.keys('openai', 5);
    const answer = await openai();
    assert.equal(answer.status, 502, answer.text);
    assert.match(answer.json.error.message, /AI Gateway.*token/);
    assert.equal(await world.sim.count(), 1);
    await assertUntouched(...keys);
  });

  test('other refusals of the gateway itself cost no key either', async () => {
    const keys = await world.keys('openai', 3);
    for (const [number, id] of ['gw-2001', 'gw-2003', 'gw-2021'].entries()) {
      await world.sim.faults({ case: id });
      const answer = await openai();
      assert.ok(answer.status >= 400, id);
      assert.match(answer.json.error.message, /AI Gateway/, id);
      assert.equal(await world.sim.count(), number + 1, id);
    }
    await assertUntouched(...keys);
  });

  test('an administrator restores a blocked key and it serves again at once', async () => {
    const [key] = await world.keys('google-ai-studio', [{ state: 'invalid' }]);
    assert.equal((await gemini()).status, 400);
    await eventually(async () => assert.deepEqual(await states(key), ['blocked']));
    assert.equal((await gemini()).status, 503, 'nothing left');
    await world.sim.keys([{ provider: 'google-ai-studio', key, state: 'valid' }]);
    const { id } = await world.main.find(key);
    assert.equal((await world.main.manage('POST', 'keys/actions', { action: 'restore', ids: [id] })).changed, 1);
    const answer = await gemini();
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(await states(key), ['ready']);
  });

  test('an administrator clears a cooling and the key serves again at once', async () => {
    const [key] = await world.keys('openai', 1);
    await world.sim.faults(tooMany({ 'retry-after': '3600' }));
    await openai();
    assert.equal((await openai()).status, 429);
    await eventually(async () => assert.deepEqual(await states(key), ['cooling']));
    const { id } = await world.main.find(key);
    await world.main.manage('POST', 'keys/actions', { action: 'clear_coolings', ids: [id] });
    const answer = await openai();
    assert.equal(answer.status, 200, answer.text);
  });
});

describe('mistakes of the caller', () => {
  test('a bad request, an unknown model, a blocked prompt: the answer comes back, once, and no key pays', async () => {
    const keys = await world.keys('openai', 4);
    const bad = await world.main.api('openai/chat/completions', { json: { model: 'gpt-5-mini' } });
    assert.equal(bad.status, 400);
    assert.equal(bad.json.error.code, 'missing_required_parameter');
    const unknown = await openai('model-that-does-not-exist');
    assert.equal(unknown.status, 404);
    assert.equal(unknown.json.error.code, 'model_not_found');
    const blocked = await openai('gpt-5-mini', { text: 'BLOCK_ME' });
    assert.equal(blocked.status, 400);
    const route = await world.main.api('openai/no/such/route', { json: { model: 'gpt-5-mini' } });
    assert.equal(route.status, 404);
    assert.equal(await world.sim.count(), 4);
    await assertUntouched(...keys);
  });

  test('a file of another key is the caller’s mistake: one call, no key blocked', async () => {
    const keys = await world.keys('google-ai-studio', 10);
    for (const path of ['v1beta/files/of-another', 'v1beta/files/of-another?alt=json']) {
      const answer = await world.main.api(`google-ai-studio/${path}`);
      assert.equal(answer.status, 403, answer.text);
      assert.match(answer.json.error.message, /permission to access the File/);
    }
    const used = await world.main.api('google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent', {
      json: { contents: [{ parts: [{ fileData: { fileUri: 'https://generativelanguage.googleapis.com/v1beta/files/abc' } }] }] },
    });
    assert.equal(used.status, 403, used.text);
    assert.equal(await world.sim.count(), 3);
    await assertUntouched(...keys);
  });

  test('a response of another key (previous_response_id) costs no key', async () => {
    const keys = await world.keys('openai', 3);
    const answer = await world.main.api('openai/responses', { json: { model: 'gpt-5-mini', input: 'hi', previous_response_id: 'resp_of_another' } });
    assert.equal(answer.status, 400);
    assert.equal(await world.sim.count(), 1);
    await assertUntouched(...keys);
  });

  test('a region that the provider does not serve: one call, the answer comes back, no key is touched', async () => {
    for (const [provider, model, status] of [['openai', 'gpt-5-mini', 403], ['google-ai-studio', 'gemini-2.5-flash', 400], ['anthropic', 'claude-haiku-4-5', 403]]) {
      const keys = await world.keys(provider, [{ state: 'region' }, { state: 'region' }, { state: 'region' }]);
      const answer = await world.main.ask(provider, model);
      assert.equal(answer.status, status, `${provider}: ${answer.text}`);
      assert.equal(await world.sim.count({ provider }), 1, provider);
      await assertUntouched(...keys);
      await eventually(() => world.stdio.includes(`"${provider} ${status}"`) && world.stdio.includes('refused for the place'));
    }
  });
});

describe('faults of nobody', () => {
  for (const [provider, model, fault, status] of [
    ['google-ai-studio', 'gemini-2.5-flash', { case: 'gai-503-overloaded' }, 503],
    ['openai', 'gpt-5-mini', { case: 'oai-503-overloaded' }, 503],
    ['anthropic', 'claude-haiku-4-5', { case: 'ant-529' }, 529],
    ['openai', 'gpt-5-mini', { status: 502, body: '<html><title>502 Bad Gateway</title></html>' }, 502],
  ]) {
    test(`${provider} ${status} (${fault.case ?? 'a page'}): at most three attempts, then its own answer; no key is touched`, async () => {
      const keys = await world.keys(provider, 6);
      await world.sim.faults({ ...fault, times: null });
      const answer = await world.main.ask(provider, model);
      assert.equal(answer.status, status);
      const seen = await world.sim.requests();
      assert.ok(seen.length <= 3 && seen.length >= 2, `${seen.length} attempts`);
      assert.equal(new Set(seen.map(({ key }) => key)).size, seen.length, 'each with another key');
      await assertUntouched(...keys);
    });
  }

  test('a passing overload is not seen by the caller', async () => {
    const keys = await world.keys('anthropic', 2);
    await world.sim.faults({ case: 'ant-529' });
    const answer = await world.main.ask('anthropic', 'claude-haiku-4-5');
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.get('one-balance-attempts'), '2');
    await assertUntouched(...keys);
  });

  test('with one key only, that key is tried again', async () => {
    const keys = await world.keys('openai', 1);
    await world.sim.faults({ case: 'oai-503-overloaded' });
    const answer = await openai();
    assert.equal(answer.status, 200, answer.text);
    assert.equal(await world.sim.count(), 2);
    await assertUntouched(...keys);
  });

  test('a connection that is reset is tried again', async () => {
    const keys = await world.keys('openai', 3);
    await world.sim.faults({ reset: true });
    const answer = await openai();
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.get('one-balance-attempts'), '2');
    await assertUntouched(...keys);
  });

  test('connections that are always reset end in a clear error', async () => {
    const keys = await world.keys('openai', 3);
    await world.sim.faults({ reset: true, times: null });
    const answer = await openai();
    assert.equal(answer.status, 502, answer.text);
    assert.match(answer.json.error.message, /could not be reached/);
    assert.ok(await world.sim.count() <= 3);
    await assertUntouched(...keys);
  });

  test('what one key was told is not the answer when another one gets none', async () => {
    const [, good] = await world.keys('openai', [{ state: 'invalid' }, {}]);
    await world.sim.faults({ match: { key: good }, times: null, reset: true });
    const answer = await openai();
    assert.equal(answer.status, 502, answer.text);
    assert.match(answer.json.error.message, /could not be reached/);
  });

  test('a key that no header can hold, from an old database, is out at once and the next one answers', async () => {
    const [odd, good] = await world.keys('openai', 2);
    await world.query("UPDATE provider_keys SET secret = 'sk-\u5bc6\u94a5\n' WHERE id = ?1", (await world.main.find(odd)).id);
    await world.restart();
    for (let request = 0; request < 3; request += 1) {
      const answer = await openai();
      assert.equal(answer.status, 200, answer.text);
    }
    assert.equal(await world.sim.count({ key: good }), 3);
    const [{ reason, message }] = await eventually(async () => {
      const { events } = await world.main.manage('GET', 'events');
      return events.length > 0 && events;
    });
    assert.equal(reason, 'invalid');
    assert.match(message, /cannot be sent/);
  });

  test('a picture that may have been painted is not paid for twice', async () => {
    await world.keys('openai', 4);
    await world.sim.faults({ status: 500, body: { error: { message: 'The server had an error', type: 'server_error' } }, times: null });
    const answer = await world.main.api('openai/images/generations', { json: { model: 'gpt-image-1', prompt: 'a cat' } });
    assert.equal(answer.status, 500);
    assert.equal(await world.sim.count(), 1);
  });
});

describe('when nothing is left', () => {
  for (const [provider, model, check] of [
    ['openai', 'gpt-5-mini', ({ error }) => assert.equal(error.type, 'rate_limit_error')],
    ['google-ai-studio', 'gemini-2.5-flash', ({ error }) => {
      assert.equal(error.code, 429);
      assert.equal(error.status, 'RESOURCE_EXHAUSTED');
      assert.ok(error.details.some((detail) => /RetryInfo$/.test(detail['@type']) && /^\d+s$/.test(detail.retryDelay)));
    }],
    ['anthropic', 'claude-haiku-4-5', ({ type, error }) => {
      assert.equal(type, 'error');
      assert.equal(error.type, 'rate_limit_error');
    }],
  ]) {
    test(`${provider}: an exhausted pool answers 429 with Retry-After in its own dialect, without a call upstream`, async () => {
      await world.keys(provider, 3);
      await world.sim.faults(
        { times: 2, ...tooMany({ 'retry-after': '500' }) },
        { times: 1, ...tooMany({ 'retry-after': '300' }) },
      );
      assert.equal((await world.main.ask(provider, model)).status, 429);
      assert.equal(await world.sim.count(), 3);
      const answer = await world.main.ask(provider, model);
      assert.equal(answer.status, 429);
      assert.equal(await world.sim.count(), 3, 'no call to a key that is known to be exhausted');
      const wait = Number(answer.headers.get('retry-after'));
      assert.ok(wait > 200 && wait <= 301, `until the soonest key: ${wait}`);
      check(answer.json);
      assert.ok(answer.json.error.message.includes(model), answer.text);
      const other = await world.main.ask(provider, `${model}-other`);
      assert.equal(other.status, 200, 'another model is not exhausted');
    });

    test(`${provider}: an empty pool answers 503 in its own dialect and says who can help`, async () => {
      const answer = await world.main.ask(provider, model);
      assert.equal(answer.status, 503);
      assert.match(answer.json.error.message, /no usable key/);
      if (provider === 'anthropic') assert.equal(answer.json.type, 'error');
      if (provider === 'google-ai-studio') assert.equal(answer.json.error.status, 'UNAVAILABLE');
      assert.equal(await world.sim.count(), 0);
    });
  }

  test('when every key has failed, the caller gets the provider’s last answer with the time to come back', async () => {
    await world.keys('google-ai-studio', [{ rpd: 0 }, { rpd: 0 }, { rpd: 0 }]);
    const answer = await gemini();
    assert.equal(answer.status, 429);
    assert.equal(answer.json.error.status, 'RESOURCE_EXHAUSTED');
    assert.match(answer.text, /generate_content_free_tier_requests/, 'the provider’s own words');
    assert.equal(answer.headers.get('one-balance-attempts'), '3');
    const wait = Number(answer.headers.get('retry-after'));
    assert.ok(wait >= 1 && wait <= DAY / 1000 + 3_700, `${wait} s`);
    const seen = await world.sim.requests();
    assert.equal(new Set(seen.map(({ key }) => key)).size, 3, 'each key once');
  });

  test('a request tries as many keys as MAX_ATTEMPTS says, never one twice, also of six hundred', async () => {
    await world.use('tight');
    await world.keys('google-ai-studio', Array.from({ length: 600 }, () => ({ rpd: 0 })));
    assert.equal((await world.tight.ask('google-ai-studio', 'gemini-2.5-flash')).status, 429);
    assert.equal(await world.sim.count(), 2);
    const answer = await gemini();
    assert.equal(answer.status, 429);
    const seen = (await world.sim.requests()).slice(2);
    assert.equal(seen.length, 12, 'twelve, when nothing is said');
    assert.equal(new Set(seen.map(({ key }) => key)).size, 12);
  });

  test('however large MAX_ATTEMPTS is, a request stays within the subrequests of the Free plan', async () => {
    await world.use('greedy');
    await world.keys('google-ai-studio', Array.from({ length: 70 }, () => ({ rpd: 0 })));
    await world.greedy.probe({ forget: true });
    assert.equal((await world.greedy.ask('google-ai-studio', 'gemini-2.5-flash')).status, 429);
    const calls = await world.sim.count();
    assert.ok(calls > 12, String(calls));
    await eventually(async () => assert.ok((await world.query('SELECT count(*) AS n FROM coolings'))[0].n > 0));
    const { log } = await world.greedy.probe();
    assert.ok(calls + log.length <= 50, `${calls} calls upstream and ${log.length} to D1`);
  });

  test('a good key behind eleven bad ones is found within one request', async () => {
    await world.keys('google-ai-studio', [...Array.from({ length: 11 }, () => ({ rpd: 0 })), {}]);
    const answer = await gemini();
    assert.equal(answer.status, 200, answer.text);
  });

  test('a key that its provider repeats in an error is blotted out, for the caller, in the events and in the log', async () => {
    const [key] = await world.keys('google-ai-studio', [{ state: 'suspended' }]);
    const answer = await gemini();
    assert.equal(answer.status, 403);
    assert.match(answer.text, /has been suspended/);
    assert.ok(!answer.text.includes(key), answer.text);
    assert.ok(answer.json, 'and it is still JSON');
    const { events } = await eventually(async () => {
      const all = await world.main.manage('GET', 'events');
      return all.events.length > 0 && all;
    });
    assert.ok(!JSON.stringify(events).includes(key), JSON.stringify(events));
    const [{ events: stored }] = await world.query("SELECT group_concat(message) AS events FROM events");
    assert.ok(!stored.includes(key), stored);
  });

  test('a key is blotted out of an error wherever it stands, also in a long body', async () => {
    const [key] = await world.keys('custom-mine', 1);
    await world.sim.faults({ status: 400, body: `${'x'.repeat(200_000)} ${key} ${'y'.repeat(200_000)} ${key}` });
    const answer = await world.main.ask('custom-mine', 'm');
    assert.equal(answer.status, 400);
    assert.ok(!answer.text.includes(key));
    assert.ok(answer.text.length >= 400_000, `${answer.text.length}`);
    assert.ok(answer.text.includes('yyy'));
  });
});

describe('what other isolates and the future know', () => {
  test('a cooling and a block survive a cold isolate', async () => {
    const [cooled, bad] = await world.keys('google-ai-studio', [{ rpd: 0 }, { state: 'invalid' }]);
    const first = await gemini();
    assert.ok([429, 400].includes(first.status), first.text);
    await eventually(async () => assert.deepEqual(await states(cooled, bad), ['cooling', 'blocked']));
    const calls = await world.sim.count();
    await world.restart();
    const answer = await gemini();
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
    assert.equal(await world.sim.count(), calls, 'the cold isolate knows without asking');
  });

  test('an isolate that starts later knows what another has learnt', async () => {
    await world.use('second');
    const [key] = await world.keys('openai', 1);
    await world.sim.faults(tooMany({ 'retry-after': '600' }));
    await openai();
    await eventually(async () => assert.deepEqual(await states(key), ['cooling']));
    assert.equal((await world.second.ask('openai', 'gpt-5-mini')).status, 429);
    assert.equal(await world.sim.count(), 1);
  });

  test('a key that was added elsewhere is found before a caller is told that there is none', async () => {
    await world.use('second');
    assert.equal((await openai()).status, 503);
    await world.keys('openai', 1, 'second');
    await eventually(async () => assert.equal((await openai()).status, 200));
  });

  test('two isolates that block and cool the same key agree: the block stays', async () => {
    await world.use('second');
    const [key] = await world.keys('google-ai-studio', 1);
    await gemini(); // both know the key
    await world.second.ask('google-ai-studio', 'gemini-2.5-flash');
    await world.sim.faults({ case: 'gai-key-expired' });
    await gemini();
    await eventually(async () => assert.deepEqual(await states(key), ['blocked']));
    await world.sim.faults({ case: 'gai-429-generic' });
    await world.second.ask('google-ai-studio', 'gemini-2.5-flash');
    await eventually(async () => assert.equal((await world.query('SELECT count(*) AS n FROM coolings'))[0].n, 1));
    assert.deepEqual(await states(key), ['blocked']);
    await world.restart();
    assert.equal((await gemini()).status, 503);
  });

  test('what happens while keys are being read is not undone by what was read', async () => {
    const [bad, good] = await world.keys('openai', 2);
    for (let request = 0; request < 2; request += 1) await openai();
    const { id } = await world.main.find(good);
    await world.main.manage('PATCH', `keys/${id}`, { remark: 'so that the keys are read again' });
    await world.main.probe({ hold: 1 });
    const slow = openai('gpt-4o');
    await eventually(async () => assert.equal((await world.main.probe()).held, 1));
    await world.sim.keys([{ provider: 'openai', key: bad, state: 'invalid' }]);
    await eventually(async () => {
      await openai();
      assert.equal(await world.sim.count({ key: bad, status: 401 }), 1);
    });
    await eventually(async () => assert.deepEqual(await states(bad), ['blocked']));
    await world.main.probe({ hold: 0 });
    assert.equal((await slow).status, 200);
    for (let request = 0; request < 4; request += 1) assert.equal((await openai()).status, 200);
    assert.equal(await world.sim.count({ key: bad, status: 401 }), 1, 'the blocked key did not reappear');
  });

  test('of seven hundred keys the one that is not cooling is found, with a single call', async () => {
    const texts = Array.from({ length: 700 }, () => world.makeKey('openai'));
    await world.sim.keys(texts.map((key) => ({ provider: 'openai', key })));
    await world.main.addKeys('openai', texts);
    const good = texts[613];
    const { id } = await world.main.find(good);
    await world.query(
      "INSERT INTO coolings (key_id, model, provider, until, since, source, reason, updated_at) SELECT id, 'gpt-5-mini', provider, ?1, ?2, 'stated', 'day_quota', ?2 FROM provider_keys WHERE id <> ?3",
      Date.now() + DAY,
      Date.now(),
      id,
    );
    await world.query('UPDATE provider_keys SET cooled_until = ?1 WHERE id <> ?2', Date.now() + DAY, id);
    for (let cold = 0; cold < 3; cold += 1) {
      await world.restart();
      const answer = await openai();
      assert.equal(answer.status, 200, answer.text);
    }
    const used = await world.sim.requests();
    assert.deepEqual(used.map(({ key }) => key), [good, good, good]);
  });
});

describe('what D1 is asked', () => {
  test('a success on a warm isolate asks D1 nothing', async () => {
    await world.keys('openai', 3);
    await openai();
    await world.main.probe({ forget: true });
    for (let request = 0; request < 5; request += 1) await openai();
    const { log } = await world.main.probe();
    assert.deepEqual(log, []);
  });

  test('a cold isolate reads the keys in one round trip, also for twenty requests at once', async () => {
    await world.keys('openai', 20);
    await world.restart();
    const answers = await Promise.all(Array.from({ length: 20 }, () => openai()));
    assert.deepEqual(answers.map(({ status }) => status), Array(20).fill(200));
    const { log } = await world.main.probe();
    assert.equal(log.length, 1, JSON.stringify(log));
  });

  test('whatever happens to keys in one request is written in one batch behind the answer', async () => {
    const keys = await world.keys('google-ai-studio', [{ state: 'invalid' }, { state: 'leaked' }, { rpd: 0 }, { rpd: 0 }]);
    await world.main.api('google-ai-studio/v1beta/models'); // the keys are read; one of them may be blocked by it
    await world.fresh();
    await world.sim.keys(keys.map((key) => ({ provider: 'google-ai-studio', key, rpd: 0 })));
    await world.main.addKeys('google-ai-studio', keys);
    await world.main.api('google-ai-studio/v1beta/models');
    await world.main.probe({ forget: true });
    assert.equal((await gemini()).status, 429);
    assert.equal(await world.sim.count({ status: 429 }), 4);
    await eventually(async () => assert.equal((await world.query('SELECT count(*) AS n FROM coolings'))[0].n, 4));
    const { log } = await world.main.probe();
    assert.equal(log.filter(({ statements }) => statements.some((sql) => /INSERT|UPDATE/.test(sql))).length, 1, JSON.stringify(log));
    assert.ok(log.length <= 2, `one write, and at most one look for other keys: ${JSON.stringify(log)}`);
  });

  test('many 429s do not make the isolate read all keys again', async () => {
    await world.keys('google-ai-studio', Array.from({ length: 40 }, () => ({ models: { 'gemini-2.5-pro': { rpd: 0 } } })));
    await gemini();
    await world.main.probe({ forget: true });
    for (let request = 0; request < 4; request += 1) await gemini('gemini-2.5-pro');
    assert.ok((await world.sim.count({ status: 429 })) >= 40);
    const { log } = await world.main.probe();
    const wholeReads = log.flatMap(({ statements }) => statements).filter((sql) => /FROM provider_keys/.test(sql) && !/updated_at >/.test(sql));
    assert.ok(wholeReads.length <= 2, JSON.stringify(wholeReads));
  });
});
