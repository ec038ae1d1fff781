// Small requests: throughput, waiting time and CPU at 1, 16 and 64 connections, and whether the number
// of keys in D1 matters.

import { Ours, field, fixed, interleaved, load, ratio, reference, table, whole } from '../world.mjs';

export const title = 'Small requests (1 KB)';

const CONNECTIONS = [1, 16, 64];

export async function run({ upstream, repetitions, quick, say }) {
  const seconds = quick ? 0.2 : 1.5;
  const pools = quick ? [10, 1000] : [10, 1000, 100_000, 1_000_000];
  const candidates = { null: reference('null', upstream), floor: reference('floor', upstream) };
  for (const keys of pools) candidates[keys] = new Ours(`${whole(keys)} keys`, { upstream, keys });
  const started = [];
  try {
    for (const [name, candidate] of Object.entries(candidates)) {
      say(`starting ${candidate.name}`);
      started.push(await candidate.start());
      // Enough that V8 has optimised what it will.
      for (const connections of [1, 16]) await load(candidates[name], { connections, seconds });
    }
    const rows = [];
    const figures = {};
    for (const connections of CONNECTIONS) {
      say(`${connections} connections`);
      const names = Object.keys(candidates);
      const found = await interleaved(names, repetitions, (name) => load(candidates[name], { connections, seconds }));
      for (const name of names) {
        const runs = found[name];
        const floor = ratio(runs, found.floor, 'per_second');
        figures[`${connections}/${name}`] = floor;
        rows.push([
          `${connections} connections, ${candidates[name].name}`,
          whole(field(runs, 'per_second')),
          fixed(floor),
          fixed(ratio(runs, found.null, 'per_second')),
          fixed(field(runs, 'p50_us') / 1000),
          fixed(field(runs, 'p99_us') / 1000),
          whole(field(runs, 'cpu_us')),
          fixed(ratio(runs, found.floor, 'cpu_us')),
        ]);
      }
    }
    const most = pools.at(-1);
    const text = [
      table(['', 'requests/s', 'of floor', 'of null', 'p50 ms', 'p99 ms', 'CPU µs', 'CPU of floor'], rows),
      '',
      '“of floor” and “of null” are ratios of throughput, each the median of the ratios within one repetition; CPU is that of the whole workerd process for one request.',
    ].join('\n');
    const goals = [16, 64].map((connections) => ({
      what: `${connections} connections, 1,000 keys: at least 0.95 of the floor's throughput`,
      found: fixed(figures[`${connections}/1000`]),
      met: figures[`${connections}/1000`] >= 0.95,
    }));
    for (const connections of [16, 64]) {
      const share = figures[`${connections}/${most}`] / figures[`${connections}/1000`];
      goals.push({ what: `${connections} connections, ${whole(most)} keys: within 5 % of that`, found: fixed(share), met: share >= 0.95 });
    }
    return { text, goals };
  } finally {
    for (const candidate of started) await candidate.stop();
  }
}
