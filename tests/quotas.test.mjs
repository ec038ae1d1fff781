// What is learnt of quotas, from 429s and from headers, and that what is sure to fail is not sent: the
// simulator counts what arrives. More: tests/keys.test.mjs (what one 429 does to its key).
//
// A window of the provider is 60 s long, and no test waits for that: a 429 says that it ends soon, and the
// next one has only just begun when its requests are sent.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { attemptsOf, eventually, startWorld } from './harness.mjs';

const world = await startWorld({ isolates: { main: {} }, others: { second: {} } });
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main } = world;
const MINUTE = 60_000;
const LIMIT = 30;
/** Longer than a bucket would ask for, so that it is the end of a window. */
const WAIT = 3;

const violation = (per, limit) => ({ quotaId: `GenerateRequestsPer${per}PerProjectPerModel-FreeTier`, quotaValue: String(limit) });
const resourceExhausted = (seconds, ...violations) => ({
  status: 429,
  body: {
    error: {
      code: 429,
      message: 'You exceeded your current quota.',
      status: 'RESOURCE_EXHAUSTED',
      details: [
        { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations },
        { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${seconds}s` },
      ],
    },
  },
});

/** Each says that a key may send 30 requests a minute, and that the minute is over in 3 s. */
const LESSONS = [
  ['google-ai-studio', 'gemini-2.5-flash', 'the quotaValue of Gemini', resourceExhausted(WAIT, violation('Minute', LIMIT))],
  [
    'groq',
    'llama-3.1-8b-instant',
    'the words `Limit 30`',
    {
      status: 429,
      headers: { 'retry-after': String(WAIT) },
      body: { error: { message: `Rate limit reached for model \`m\` on requests per minute (RPM): Limit ${LIMIT}, Used ${LIMIT}, Requested 1. Please try again in ${WAIT}s.`, type: 'requests', code: 'rate_limit_exceeded' } },
    },
  ],
];

/** So many requests, all served, at the first attempt; the keys that were used. */
async function serve(count, provider, model, isolate = main) {
  const before = await world.sim.count();
  for (let request = 0; request < count; request += 1) {
    const answer = await isolate.ask(provider, model);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(attemptsOf(answer), 1, `request ${request} of ${count}`);
  }
  return (await world.sim.requests()).slice(before).map(({ key }) => key);
}

/** Keys of a project, in the pool and at the provider. */
async function ofProject(project, provider, settings) {
  const keys = await world.keys(provider, settings.map((one) => ({ ...one, project })));
  for (const key of keys) await main.manage('PATCH', `keys/${(await main.find(key)).id}`, { project });
  return keys;
}

/** The keys have met one 429 with this lesson; its time is over, and the provider's next minute begins. */
async function taught(provider, model, lesson, keys) {
  await serve(keys.length, provider, model);
  await world.sim.faults({ match: { key: keys[0] }, times: 1, ...lesson });
  await eventually(async () => {
    assert.equal((await main.ask(provider, model)).status, 200);
    assert.equal(await world.sim.count({ status: 429 }), 1);
  });
  // It is used again.
  await eventually(async () => {
    const before = await world.sim.count({ key: keys[0], status: 200 });
    await main.ask(provider, model);
    return (await world.sim.count({ key: keys[0], status: 200 })) > before;
  });
}

describe('a limit that a 429 tells', () => {
  for (const [provider, model, words, lesson] of LESSONS) {
    test(`${words}: in the next minute the key is not asked beyond it`, async () => {
      // The limited one refuses what is too much; it is never asked for that.
      const keys = await world.keys(provider, 2);
      const [limited, other] = keys;
      await taught(provider, model, lesson, keys);
      const before = await world.sim.count({ key: limited, status: 200 });
      // It has served once or twice of this minute, and has room for 28 more at the least.
      const used = await serve(3 * LIMIT, provider, model);
      const sent = used.filter((key) => key === limited).length;
      assert.ok(sent >= LIMIT - 2 && sent < LIMIT, `${sent} more after the first, though it would have answered`);
      assert.ok(used.slice(-LIMIT + 5).every((key) => key === other));
      assert.equal(await world.sim.count({ key: limited }) - before, sent + 1, 'the 429 and what was served');
      assert.equal(await world.sim.count({ status: 429 }), 1);
      // For another model nothing was learnt.
      const elsewhere = await serve(10, provider, `${model}-8b`);
      assert.equal(elsewhere.filter((key) => key === limited).length, 5);
    });
  }

  test('when all keys have sent what they may, the caller is told so without a request', async () => {
    const [provider, model, , lesson] = LESSONS[0];
    const [key] = await world.keys(provider, [{ rpm: LIMIT }]);
    await serve(1, provider, model);
    await world.sim.faults(lesson);
    assert.equal((await main.ask(provider, model)).status, 429);
    await eventually(async () => assert.equal((await main.ask(provider, model)).status, 200));
    await world.sim.roll('minute');
    await serve(LIMIT - 1, provider, model);
    // One request may test whether that is still so.
    const started = Date.now();
    const before = await world.sim.count();
    for (let request = 0; request < 20; request += 1) {
      const answer = await main.ask(provider, model);
      if (answer.status === 200) continue; // the minute of the provider began a moment later than ours
      assert.equal(answer.status, 429);
      const wait = Number(answer.headers.get('retry-after'));
      assert.ok(wait > 0 && wait <= 61, `${wait} s`);
    }
    const sent = (await world.sim.count()) - before;
    assert.ok(sent <= 2 + (Date.now() - started) / 20_000, `${sent} of 20 were sent`);
    assert.equal(await world.sim.count({ key }), (await world.sim.count()));
  });

  test('a minute’s is over with the minute, a day’s is not', async () => {
    const [provider, model] = ['google-ai-studio', 'gemini-2.5-flash'];
    const [minute, day] = await world.keys(provider, 2);
    await world.sim.faults(
      { match: { key: minute }, times: 1, ...resourceExhausted(WAIT, violation('Minute', LIMIT)) },
      // The delay that it claims is the minute's, which does not help.
      { match: { key: day }, times: 1, ...resourceExhausted(WAIT, violation('Day', 250), violation('Minute', LIMIT)) },
    );
    const refused = await main.ask(provider, model);
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) <= WAIT + 1, 'until the first one is back');
    assert.equal(await world.sim.count({ status: 429 }), 2);
    await eventually(async () => assert.equal((await main.ask(provider, model)).status, 200));
    const used = await serve(LIMIT - 5, provider, model);
    assert.ok(used.every((key) => key === minute));
    const { coolings } = await eventually(async () => {
      const known = await main.find(day);
      return known.coolings.length === 1 && known;
    });
    assert.equal(coolings[0].reason, 'day_quota');
    assert.ok(coolings[0].until > Date.now() + WAIT * 1_000);
  });
});

describe('headers that tell what is left', () => {
  test('requests at the same time send a key no more than that', async () => {
    // 2 are left after its first one; the other has plenty.
    const [limited] = await world.keys('openai', [{ rpm: 3 }, {}]);
    await world.sim.roll('minute');
    await serve(2, 'openai', 'gpt-5-mini');
    await world.sim.config({ latency_ms: 200 });
    const answers = await Promise.all(Array.from({ length: 24 }, () => main.ask('openai', 'gpt-5-mini')));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(await world.sim.count({ status: 429 }), 0);
    assert.equal(await world.sim.count({ key: limited }), 3);
  });

  test('of keys that share a project’s quota count for all of them', async () => {
    const members = await ofProject('shared', 'openai', [{ rpm: 4 }, { rpm: 4 }]);
    await world.keys('openai', 1);
    await world.sim.roll('minute');
    await serve(30, 'openai', 'gpt-5-mini');
    const sent = await Promise.all(members.map((key) => world.sim.count({ key })));
    assert.equal(sent[0] + sent[1], 4);
    assert.equal(await world.sim.count({ status: 429 }), 0);
  });
});

describe('keys of one project', () => {
  const [provider, model, , lesson] = LESSONS[0];

  test('cool together: the 429 of one is not earned by the others, nor in a cold isolate', async () => {
    await ofProject('shared', provider, [{ rpm: 2 }, { rpm: 2 }, { rpm: 2 }]);
    const [alone] = await world.keys(provider, 1);
    await world.sim.roll('minute');
    for (let request = 0; request < 12; request += 1) assert.equal((await main.ask(provider, model)).status, 200);
    assert.equal(await world.sim.count({ status: 429 }), 1);
    await eventually(async () => assert.equal((await world.query('SELECT count(*) AS n FROM coolings'))[0].n, 1));
    await world.restart();
    const used = await serve(8, provider, model);
    assert.deepEqual(new Set(used), new Set([alone]));
    assert.equal(await world.sim.count({ status: 429 }), 1);
  });

  test('do not cool together for what is one key’s own fault', async () => {
    const [one, two] = await ofProject('shared', provider, [{ state: 'invalid' }, {}]);
    await world.keys(provider, 1);
    for (let request = 0; request < 9; request += 1) assert.equal((await main.ask(provider, model)).status, 200);
    assert.equal(await world.sim.count({ key: one }), 1);
    assert.ok((await world.sim.count({ key: two })) >= 4);
  });

  test('share what was learnt: together they send no more than the limit', async () => {
    const members = await ofProject('shared', provider, [{}, {}]);
    const [other] = await world.keys(provider, 1);
    await taught(provider, model, lesson, members);
    const used = await serve(4 * LIMIT, provider, model);
    const sent = used.filter((key) => key !== other).length;
    assert.ok(sent >= LIMIT - 4 && sent < LIMIT, `${sent}`);
    for (const key of members) assert.ok(used.includes(key));
    assert.equal(await world.sim.count({ status: 429 }), 1);
  });
});

test('what was learnt is this isolate’s own, and a 429 that comes early corrects it', async () => {
  const [provider, model, , lesson] = LESSONS[0];
  await world.use('second');
  const keys = await world.keys(provider, [{}, {}]);
  const [limited] = keys;
  await taught(provider, model, lesson, keys);
  // The other isolate has used up the minute.
  await world.sim.faults({ match: { key: limited }, times: 1, ...resourceExhausted(30, violation('Minute', LIMIT)) });
  await eventually(async () => {
    assert.equal((await main.ask(provider, model)).status, 200);
    assert.equal(await world.sim.count({ status: 429 }), 2);
  });
  const used = await serve(LIMIT, provider, model);
  assert.ok(!used.includes(limited));
  const { until } = await eventually(async () => {
    const known = await main.find(limited);
    const cooling = known.coolings.find((one) => one.model === model);
    return cooling && cooling.until > Date.now() + 10_000 && cooling;
  });
  assert.ok(until < Date.now() + MINUTE);
});
