// Whether the tests would notice: what the harness itself claims.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { TOKEN, eventually, fnv1a, midnightPacific, startWorld, statements } from './harness.mjs';

const world = await startWorld();
afterEach(async () => {
  world.stdio = '';
  await world.fresh();
});

/** A request that reaches the simulator without the Worker. */
const past = (headers, query = '') => fetch(`${world.sim.base}/openai/models${query}`, { headers }).then((response) => response.text());

test('what must not arrive at the gateway fails the test that sent it', async () => {
  const [key] = await world.keys('openai', 1);
  const [other] = await world.keys('groq', 1);
  const right = { 'cf-aig-max-attempts': '1', 'cf-aig-no-wholesale': 'true' };
  const cases = [
    [{ ...right, authorization: `Bearer ${key}` }, '', []],
    [{ ...right, authorization: `Bearer ${key}`, cookie: 'a=b' }, '', ['cookie']],
    [{ ...right, authorization: `Bearer ${key}`, 'x-anything': `x${TOKEN}x` }, '', ['forbidden']],
    [{ ...right, authorization: `Bearer ${key}` }, `?q=${TOKEN}`, ['forbidden']],
    [{ ...right, authorization: `Bearer ${other}` }, '', ['foreign-key']],
    [{ ...right, authorization: `Bearer ${key}`, 'x-api-key': 'second' }, '', ['several-credentials']],
    [{ ...right, authorization: `Bearer ${key}`, 'x-forwarded-for': '203.0.113.7' }, '', ['client-address']],
    [{ authorization: `Bearer ${key}` }, '', ['missing-header', 'missing-header']],
  ];
  let before = 0;
  for (const [headers, query, kinds] of cases) {
    await past(headers, query);
    const all = await world.sim.violations();
    assert.deepEqual(all.slice(before).map(({ kind }) => kind), kinds, JSON.stringify(kinds));
    before = all.length;
  }
  await assert.rejects(world.assertClean());
});

test('a secret in the log fails the test', async () => {
  const [key] = await world.keys('openai', 1);
  await world.assertClean();
  world.stdio += `some line with ${key} in it`;
  await assert.rejects(world.assertClean(), /secrets in the log/);
});

test('the Worker’s log is read', async () => {
  await world.sim.config({ gateway_token: 'what the Worker does not have' });
  await world.keys('openai', 1);
  await world.main.ask('openai', 'gpt-5-mini');
  await eventually(async () => assert.match(world.stdio, /2009/));
});

test('hashes are those of the simulator', async () => {
  assert.equal(fnv1a(Buffer.from('')), 'cbf29ce484222325');
  assert.equal(fnv1a(Buffer.from('a')), 'af63dc4c8601ec8c');
  assert.equal(fnv1a(Buffer.from('foobar')), '85944171f73967e8');
});

test('a script is cut into statements at the semicolons that end them', () => {
  assert.deepEqual(
    statements("-- it's a comment; with one\nSELECT 'a;''b' /* ; */ ; INSERT INTO \"x;y\" VALUES (1); "),
    ["SELECT 'a;''b'", 'INSERT INTO "x;y" VALUES (1)'],
  );
});

test('midnight in California is found on days of 23, 24 and 25 hours', () => {
  const iso = (time) => new Date(midnightPacific(Date.parse(time))).toISOString();
  assert.equal(iso('2026-01-15T12:00:00Z'), '2026-01-16T08:00:00.000Z');
  assert.equal(iso('2026-07-15T12:00:00Z'), '2026-07-16T07:00:00.000Z');
  assert.equal(iso('2026-03-08T09:00:00Z'), '2026-03-09T07:00:00.000Z');
  assert.equal(iso('2026-11-01T08:00:00Z'), '2026-11-02T08:00:00.000Z');
  assert.equal(iso('2026-01-15T08:00:00Z'), '2026-01-16T08:00:00.000Z', 'always in the future');
});
