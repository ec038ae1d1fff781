// What looking into streams costs: the CPU time of workerd for streams passed on by the runtime
// alone (`CHECK_STREAMS` off) and for streams that the Worker reads along (`on`), in one run.
//
//   npm run bench:streams            # needs a build, the simulator's build, and /proc (Linux)
//
// Prints medians over repetitions and their ratio. Small answers that are not streams are measured
// too: the option must cost them nothing.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { World } from '../tests/harness.mjs';

const REPETITIONS = 5;
const SHAPES = [
  { name: 'JSON answers', requests: 600, stream: false, chunks: 4 },
  { name: 'streams of 50 chunks', requests: 200, stream: true, chunks: 50 },
  { name: 'streams of 1,000 chunks', requests: 20, stream: true, chunks: 1000 },
];
const CONCURRENCY = 4;

const world = await new World({
  isolates: { off: {}, on: { CHECK_STREAMS: 'on' } },
  others: {},
  probe: false,
  migrations: true,
  forbidden: [],
}).start();

/** CPU seconds that our workerd has used so far. */
function cpu() {
  const ticks = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const children = execFileSync('ps', ['-o', 'pid=,comm=', '--ppid', String(process.pid)], { encoding: 'utf8' });
  const pids = children.split('\n').filter((line) => line.includes('workerd')).map((line) => line.trim().split(' ')[0]);
  const used = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return used.reduce((sum, one) => sum + one, 0) / ticks;
}

async function run(isolate, { requests, stream }) {
  const before = cpu();
  let left = requests;
  const worker = async () => {
    while (left-- > 0) {
      const answer = await isolate.ask('openai', 'gpt-5-mini', { stream, text: 'x'.repeat(4000) });
      if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return ((cpu() - before) * 1000) / requests;
}

const median = (list) => list.slice().sort((a, b) => a - b)[Math.floor(list.length / 2)];

try {
  await world.keys('openai', 20, 'off');
  console.log('CPU of workerd per request, ms; median of', REPETITIONS);
  for (const shape of SHAPES) {
    await world.sim.config({ stream_chunks: shape.chunks, log: false });
    const found = { off: [], on: [] };
    for (const name of ['off', 'on']) await run(world[name], { ...shape, requests: Math.ceil(shape.requests / 10) });
    for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
      for (const name of ['off', 'on']) found[name].push(await run(world[name], shape));
    }
    const [off, on] = [median(found.off), median(found.on)];
    console.log(`${shape.name.padEnd(26)} off ${off.toFixed(2)}   on ${on.toFixed(2)}   ratio ${(on / off).toFixed(2)}`);
  }
} finally {
  await world.stop();
}
