// Custom providers whose key belongs in another header than most: CUSTOM_HEADERS.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TOKEN, eventually, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: { main: { CUSTOM_HEADERS: 'custom-acme=X-Acme-Key, custom-foo=authorization: Token, custom-bar=x-api-key' } },
  others: { odd: { CUSTOM_HEADERS: 'custom-acme=x-acme-key, acme=x-api-key, custom-foo=content-type, custom-bar=x-api-key' } },
});
beforeEach(async () => {
  await world.fresh();
  await world.sim.config({ custom_headers: { 'custom-acme': 'x-acme-key', 'custom-foo': 'authorization: Token', 'custom-bar': 'x-api-key' } });
});
afterEach(() => world.assertClean());

const chat = { json: { model: 'own-model', messages: [{ role: 'user', content: 'hi' }] } };
const path = 'v1/chat/completions';

describe('the key of a custom provider', () => {
  for (const [provider, header, scheme] of [
    ['custom-acme', 'x-acme-key', ''],
    ['custom-foo', 'authorization', 'Token '],
    ['custom-bar', 'x-api-key', ''],
    ['custom-other', 'authorization', 'Bearer '],
  ]) {
    test(`${provider}: ${header}, and nowhere else`, async () => {
      const [key] = await world.keys(provider, 1);
      const answer = await world.main.api(`${provider}/${path}`, chat);
      assert.equal(answer.status, 200, answer.text);
      const { headers, model } = await world.sim.last();
      assert.equal(headers[header], scheme + key);
      assert.equal(model, 'own-model');
      for (const other of ['authorization', 'x-api-key', 'x-acme-key'].filter((name) => name !== header)) assert.equal(headers[other], undefined, other);
    });
  }

  test('a rejected one is blocked, one over its quota cools, and the next answers', async () => {
    const [bad, limited] = await world.keys('custom-acme', [{ state: 'invalid' }, { rpm: 0 }, {}]);
    for (let turn = 0; turn < 3; turn += 1) assert.equal((await world.main.api(`custom-acme/${path}`, chat)).status, 200);
    await eventually(async () => (await world.main.find(bad)).state === 'blocked');
    await eventually(async () => (await world.main.find(limited)).coolings.some(({ model }) => model === 'own-model'));
  });

  test('through compat it is a bearer token, as the gateway wants it there', async () => {
    const [key] = await world.keys('custom-acme', 1);
    await world.sim.config({ custom_headers: {} });
    const answer = await world.main.api('compat/chat/completions', { json: { ...chat.json, model: 'custom-acme/own-model' } });
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await world.sim.last()).headers.authorization, `Bearer ${key}`);
  });
});

describe('a client’s token', () => {
  for (const [provider, headers] of [
    ['custom-acme', { 'x-acme-key': TOKEN }],
    ['custom-acme', { 'x-acme-key': `Bearer ${TOKEN}` }],
    ['custom-acme', { authorization: `Bearer ${TOKEN}` }],
    ['custom-acme', { 'api-key': TOKEN }],
    ['custom-foo', { authorization: `Token ${TOKEN}` }],
    ['custom-bar', { 'x-api-key': TOKEN }],
  ]) {
    test(`of ${provider} is taken from ${JSON.stringify(headers).replace(TOKEN, '…')}`, async () => {
      await world.keys(provider, 1);
      const answer = await world.main.api(`${provider}/${path}`, { ...chat, token: null, headers });
      assert.equal(answer.status, 200, answer.text);
    });
  }

  test('in such a header goes on to no other provider', async () => {
    await world.keys('openai', 1);
    const answer = await world.main.ask('openai', 'gpt-5-mini', { headers: { 'x-acme-key': TOKEN, 'x-own': 'kept' } });
    assert.equal(answer.status, 200, answer.text);
    const { headers } = await world.sim.last();
    assert.equal(headers['x-acme-key'], undefined);
    assert.equal(headers['x-own'], 'kept');
  });

  test('in such a header is none for another provider', async () => {
    await world.keys('openai', 1);
    const answer = await world.main.ask('openai', 'gpt-5-mini', { token: null, headers: { 'x-acme-key': TOKEN } });
    assert.equal(answer.status, 401, answer.text);
  });
});

test('a wrong entry is told of, at /healthz and in the log, and the others hold', async () => {
  await world.use('odd');
  const health = await (await world.odd.send('/healthz', { token: null })).json();
  assert.equal(health.ok, true);
  assert.equal(health.problems.length, 2, JSON.stringify(health));
  assert.match(health.problems[0], /^Entry 2 of CUSTOM_HEADERS .*custom-acme=x-api-key/);
  assert.match(health.problems[1], /^Entry 3 of CUSTOM_HEADERS .*something else/);
  await eventually(() => health.problems.every((sentence) => world.stdio.includes(sentence)));
  for (const provider of ['custom-acme', 'custom-bar']) {
    await world.keys(provider, 1);
    assert.equal((await world.odd.api(`${provider}/${path}`, chat)).status, 200, provider);
  }
  const { problems } = await world.odd.manage('GET', 'settings');
  assert.deepEqual(problems.map(({ code, values }) => [code, values.entry]), [['custom_header', 2], ['custom_header', 3]]);
});
