// Streams: what a chunk costs on its way through. `npm run bench:streams` has what looking into them
// costs.

import { Ours, field, fixed, interleaved, load, ratio, reference, table } from '../world.mjs';

export const title = 'Streams';

const SHAPES = [
  { chunks: 50, requests: 400 },
  { chunks: 1000, requests: 40 },
];

export async function run({ upstream, repetitions, quick, say }) {
  const candidates = {
    null: reference('null', upstream),
    floor: reference('floor', upstream),
    ours: new Ours('One Balance', { upstream, keys: 1000 }),
  };
  const names = Object.keys(candidates);
  const started = [];
  const rows = [];
  const goals = [];
  try {
    for (const candidate of Object.values(candidates)) started.push(await candidate.start());
    for (const { chunks, requests } of SHAPES) {
      say(`${chunks} chunks`);
      const plan = { connections: 8, requests: quick ? 8 : requests, headers: { 'x-answer': `sse-${chunks}` }, ends: 'data: [DONE]\n\n' };
      for (const name of names) await load(candidates[name], plan);
      const found = await interleaved(names, quick ? 1 : repetitions, (name) => load(candidates[name], plan));
      for (const name of names) {
        const runs = found[name];
        const cpu = field(runs, 'cpu_us');
        rows.push([
          `${chunks} chunks, ${candidates[name].name}`,
          fixed(field(runs, 'per_second'), 1),
          fixed(ratio(runs, found.null, 'per_second')),
          fixed(cpu / 1000),
          fixed(ratio(runs, found.null, 'cpu_us')),
        ]);
      }
      // A request costs what it costs; a chunk must cost nothing on top of it.
      if (chunks === 1000) {
        const cpu = ratio(found.ours, found.null, 'cpu_us');
        goals.push({ what: '1,000 chunks: the CPU of null, within noise (at most 1.05)', found: fixed(cpu), met: cpu <= 1.05 });
      }
    }
  } finally {
    for (const candidate of started) await candidate.stop();
  }
  const text = table(['', 'streams/s', 'of null', 'CPU ms', 'CPU of null'], rows);
  return { text, goals };
}
