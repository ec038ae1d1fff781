// How large the Worker is, and what its start costs.

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { functionSizes } from '../../tests/wasm.mjs';
import { Ours, TOKEN, cpuOf, fixed, interleaved, median, reference, table, whole } from '../world.mjs';

export const title = 'Size and start';

export async function run({ upstream, repetitions, quick, say }) {
  const wasm = readFileSync(inRoot('build', 'index_bg.wasm'));
  const script = readFileSync(inRoot('build', 'index.js'));
  const sizes = functionSizes(wasm);
  const kinds = {
    null: () => reference('null', upstream),
    floor: () => reference('floor', upstream),
    ours: () => new Ours('One Balance', { upstream, keys: 1000 }),
  };
  say('starts');
  const found = await interleaved(Object.keys(kinds), quick ? 1 : repetitions, async (name) => {
    const candidate = kinds[name]();
    try {
      await candidate.start();
      return await first(candidate);
    } finally {
      await candidate.stop();
    }
  });
  const of = (name, what) => median(found[name].map((one) => one[what]));
  const text = [
    table(
      ['', 'bytes', 'gzipped'],
      [
        ['wasm', whole(wasm.length), whole(gzipSync(wasm).length)],
        ['JavaScript', whole(script.length), whole(gzipSync(script).length)],
        [`largest of ${whole(sizes.length)} wasm functions`, whole(Math.max(...sizes)), ''],
      ],
    ),
    '',
    table(
      ['first request', 'ms', 'CPU ms', 'second request, CPU ms'],
      Object.keys(kinds).map((name) => [name === 'ours' ? 'One Balance' : name, fixed(of(name, 'wall'), 1), fixed(of(name, 'cpu'), 1), fixed(of(name, 'second'), 1)]),
    ),
    '',
    'The first request finds everything to be compiled, and reads the working set from D1, which runs in the same process here. workerd compiles the module before it listens; Cloudflare does so when it is deployed.',
  ].join('\n');
  return { text, goals: [] };
}

async function first(candidate) {
  const ask = async () => {
    const before = cpuOf(candidate.pid);
    const started = performance.now();
    const answer = await fetch(candidate.url, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-5-mini', messages: [] }),
    });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`${candidate.name}: ${answer.status}`);
    return { wall: performance.now() - started, cpu: (cpuOf(candidate.pid) - before) * 1000 };
  };
  const one = await ask();
  return { ...one, second: (await ask()).cpu };
}
