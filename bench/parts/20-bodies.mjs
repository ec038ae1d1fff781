// Long bodies: CPU and peak memory. The model is behind the messages, where nobody can find it without
// looking through (or past) all of them; once it is in their midst.

import { Ours, field, fixed, forgetPeak, interleaved, load, memoryOf, peakOf, ratio, reference, table, whole } from '../world.mjs';

export const title = 'Long bodies';

const MB = 1024 * 1024;
const SHAPES = [
  { name: '1 MB', size: MB, requests: 60 },
  { name: '5 MB', size: 5 * MB, requests: 24, goal: true },
  { name: '5 MB, the model in the middle', size: 5 * MB, requests: 24, model: 'middle' },
  { name: '20 MB', size: 20 * MB, requests: 8, goal: true },
  { name: '20 MB, the model in the middle', size: 20 * MB, requests: 8, model: 'middle' },
];
const CONNECTIONS = 4;

export async function run({ upstream, repetitions, quick, say }) {
  const rows = [];
  const goals = [];
  for (const shape of quick ? SHAPES.slice(0, 1) : SHAPES) {
    say(shape.name);
    // New ones for each size: what a heap once had it keeps.
    const candidates = {
      null: reference('null', upstream),
      floor: reference('floor', upstream),
      ours: new Ours('One Balance', { upstream, keys: 1000 }),
    };
    const started = [];
    try {
      for (const candidate of Object.values(candidates)) {
        started.push(await candidate.start());
        await load(candidate, { connections: 1, requests: 200 });
        candidate.idle = memoryOf(candidate.pid);
        forgetPeak(candidate.pid);
      }
      const names = Object.keys(candidates);
      const requests = quick ? 8 : shape.requests;
      const found = await interleaved(names, quick ? 1 : repetitions, (name) =>
        load(candidates[name], { connections: CONNECTIONS, requests, size: shape.size, model: shape.model ?? 'last' }),
      );
      const peaks = Object.fromEntries(names.map((name) => [name, peakOf(candidates[name].pid)]));
      for (const name of names) {
        rows.push([
          `${shape.name}, ${candidates[name].name}`,
          fixed(field(found[name], 'per_second'), 1),
          fixed(field(found[name], 'cpu_us') / 1000, 1),
          fixed(ratio(found[name], found.floor, 'cpu_us')),
          fixed(ratio(found[name], found.null, 'cpu_us')),
          whole(peaks[name]),
          fixed(peaks[name] / peaks.floor),
        ]);
      }
      if (shape.goal) {
        const cpu = ratio(found.ours, found.floor, 'cpu_us');
        const memory = peaks.ours / peaks.floor;
        goals.push({ what: `${shape.name}: at most 1.1 of the floor's CPU`, found: fixed(cpu), met: cpu <= 1.1 });
        goals.push({ what: `${shape.name}: at most 1.1 of the floor's peak memory`, found: fixed(memory), met: memory <= 1.1 });
      }
    } finally {
      for (const candidate of started) await candidate.stop();
    }
  }
  const text = [
    table(['', 'requests/s', 'CPU ms', 'of floor', 'of null', 'peak MB', 'of floor'], rows),
    '',
    `${CONNECTIONS} connections at a time. The peak is that of the whole workerd process over all repetitions.`,
  ].join('\n');
  return { text, goals };
}
