// The way of a request into the Worker and out of it: many at once, a caller that hangs up, a panic.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { TOKEN, eventually, root, startWorld } from './harness.mjs';
import { functionSizes } from './wasm.mjs';

const world = await startWorld({ isolates: { main: {} }, probe: true });
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const { main } = world;

test('a hundred requests at once get each its own answer', async () => {
  await world.keys('openai', 5);
  await world.keys('google-ai-studio', 5);
  await world.sim.config({ latency_ms: 20 });
  const ask = async (number) => {
    const [provider, model] = number % 2 ? ['openai', 'gpt-5-mini'] : ['google-ai-studio', 'gemini-2.5-flash'];
    const text = `number ${number}. ${'x'.repeat((number % 7) * 30_000)}`;
    const answer = await main.ask(provider, model, { text, stream: number % 3 === 0 });
    assert.equal(answer.status, 200, answer.text);
    const said = [...answer.text.matchAll(/"(?:content|text)":\s?"((?:[^"\\]|\\.)*)"/g)].map(([, piece]) => piece).join('');
    assert.ok(said.includes(`number ${number}.`), `${number}: ${said.slice(0, 100)}`);
    assert.equal(said.match(/number/g).length, 1);
  };
  await Promise.all(Array.from({ length: 100 }, (_, number) => ask(number)));
  await eventually(async () => assert.equal((await main.probe()).tasks, 0, 'nothing is left over'));
});

describe('a request that comes to nothing', () => {
  // A caller that hangs up in the midst of a stream: tests/proxy.test.mjs and tests/recovery.test.mjs.
  test('because the runtime drops it: nothing of it stays in memory', async () => {
    await world.keys('openai', 1);
    await world.sim.faults({ times: null, stall: true });
    for (let time = 0; time < 3; time += 1) await main.probe({ abandon: TOKEN });
    await eventually(async () => assert.equal((await world.sim.stats()).in_flight, 0, 'it is ended upstream'));
    assert.equal((await world.sim.stats()).disconnected, 3);
    await eventually(async () => assert.equal((await main.probe({ litter: true })).tasks, 0), { within: 60_000 });
    await world.sim.clearFaults();
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
  });

  test('because the caller hangs up while sending its body', async () => {
    await world.keys('openai', 1);
    const caller = new AbortController();
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"model":"gpt-5-mini","messages":[')),
    });
    const sent = main.send('/api/openai/chat/completions', { body, duplex: 'half', method: 'POST', signal: caller.signal });
    const failed = assert.rejects(sent);
    await eventually(async () => assert.equal((await main.probe()).tasks, 1));
    caller.abort();
    await failed;
    await eventually(async () => assert.equal((await main.probe({ litter: true })).tasks, 0), { within: 60_000 });
    assert.equal(await world.sim.count({}), 0);
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
  });
});

describe('a panic', () => {
  test('is an error for its own request; the next one finds a new instance', async () => {
    await world.keys('openai', 2);
    await main.probe({ d1: 'panics' });
    for (let time = 0; time < 2; time += 1) {
      const answer = await main.ask('openai', 'gpt-5-mini');
      assert.equal(answer.status, 500);
      assert.equal(answer.json.error.code, 'internal');
    }
    await main.probe({ d1: 'works' });
    for (let time = 0; time < 3; time += 1) assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    assert.equal((await main.probe()).tasks, 0);
  });

  test('leaves nobody waiting: requests under way are told when their provider answers', async () => {
    await world.keys('openai', 2);
    await world.keys('groq', 1);
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
    await world.sim.faults({ match: { provider: 'openai' }, times: 1, delay_ms: 1_500 });
    const slow = main.ask('openai', 'gpt-5-mini');
    await eventually(async () => assert.equal((await world.sim.stats()).in_flight, 1));
    await main.probe({ d1: 'panics' });
    assert.equal((await main.ask('groq', 'llama-3.1-8b-instant')).status, 500);
    await main.probe({ d1: 'works' });
    assert.equal((await main.ask('groq', 'llama-3.1-8b-instant')).status, 200);
    const answer = await slow;
    assert.equal(answer.status, 500);
    assert.equal(answer.json.error.code, 'internal');
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
  });

  test('of the cron trigger does not hold up requests', async () => {
    await world.keys('openai', 1);
    await main.probe({ d1: 'panics' });
    await main.cron().catch(() => {});
    await main.probe({ d1: 'works' });
    assert.equal((await main.ask('openai', 'gpt-5-mini')).status, 200);
  });
});

test('no function of the module is so large that its compilation holds up a first request', (t) => {
  if (!readFileSync(join(root, 'build', '.inputs'), 'utf8').startsWith('release')) return t.skip('a quick build');
  // With all that it awaits inlined, the function of the hot path had 313 KB, and the first request took
  // twice its CPU time. See `apart` in src/edge/task.rs.
  const largest = Math.max(...functionSizes(readFileSync(join(root, 'build', 'index_bg.wasm'))));
  assert.ok(largest < 64 * 1024, `the largest has ${largest} bytes`);
});
