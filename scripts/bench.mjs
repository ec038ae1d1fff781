// Measures the built Worker beside the references: `npm run bench`. It writes bench/results.md.
//
//   npm run bench                           # everything, about 12 minutes; needs /proc, so Linux
//   npm run bench -- --reps 9               # more repetitions (default 5)
//   npm run bench -- --only small,bodies    # some parts, printed only
//   npm run bench -- --quick                # seconds: whether figures come out, not what they are
//
// docs/speed.md says what is measured and how. A part is a file of bench/parts.

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { forCargo } from './lib/cargo.mjs';
import { main } from './lib/main.mjs';
import { inRoot } from './lib/paths.mjs';
import { capture, mustRun } from './lib/run.mjs';
import { elapsed, fail, say, step } from './lib/say.mjs';
import { buildSimulator } from './lib/upstream.mjs';
import { build } from './build.mjs';

const PARTS = readdirSync(inRoot('bench', 'parts')).filter((name) => name.endsWith('.mjs')).sort();
const nameOf = (file) => /^\d+-(.*)\.mjs$/.exec(file)[1];
const RESULTS = inRoot('bench', 'results.md');

function options(args) {
  const found = { repetitions: 5, only: undefined, quick: false };
  for (let at = 0; at < args.length; at += 1) {
    if (args[at] === '--quick') found.quick = true;
    else if (args[at] === '--reps' && Number(args[at + 1]) > 0) found.repetitions = Number(args[++at]);
    else if (args[at] === '--only' && args[at + 1]) found.only = args[++at].split(',');
    else fail(`${args[at]} is no option: see the beginning of scripts/bench.mjs.`);
  }
  const unknown = found.only?.find((name) => !PARTS.some((file) => nameOf(file) === name));
  if (unknown) fail(`There is no part ${unknown}: choose of ${PARTS.map(nameOf).join(', ')}.`);
  return found;
}

/** A tool of tools/, built in its own target folder. */
const tool = (name) =>
  step(`Building tools/${name}`, '20 seconds the first time', (progress) =>
    mustRun(
      'cargo',
      ['build', '--release', '--locked', '--manifest-path', inRoot('tools', name, 'Cargo.toml')],
      forCargo({ progress, env: { CARGO_TARGET_DIR: inRoot('tools', name, 'target') } }),
      `tools/${name} could not be built: see above.`,
    ),
  );

async function bench({ repetitions, only, quick }) {
  if (process.platform !== 'linux') fail('The benchmark reads CPU time and memory from /proc, so it needs Linux.');
  if (process.env.BUILD === 'quick') fail('Unset BUILD: what is measured must be the optimised Worker.');
  await build();
  await tool('load');
  await buildSimulator();
  const { Upstream } = await import(pathToFileURL(inRoot('bench', 'world.mjs')).href);
  const upstream = await new Upstream().start();
  const started = Date.now();
  const sections = [];
  const goals = [];
  try {
    for (const file of PARTS.filter((name) => !only || only.includes(nameOf(name)))) {
      const part = await import(pathToFileURL(inRoot('bench', 'parts', file)).href);
      const begun = Date.now();
      say(`\n${part.title}`);
      const context = { upstream: upstream.address, repetitions, quick, say: (text) => say(`  ${text}`) };
      // One that fails must not cost the others their minutes.
      const result = await part.run(context).catch((error) => {
        process.exitCode = 1;
        return { text: `This part failed: ${error.message}`, goals: [] };
      });
      say(`\n${result.text}\n`);
      for (const goal of result.goals) say(`  ${mark(goal)} ${goal.what}: ${goal.found}`);
      say(`  (${elapsed(begun)})`);
      sections.push({ title: part.title, text: result.text });
      goals.push(...result.goals);
    }
  } finally {
    await upstream.stop();
  }
  say(`\nDone after ${elapsed(started)}.`);
  if (only || quick) return;
  writeFileSync(RESULTS, document(sections, goals, repetitions, elapsed(started)));
  say(`Written to ${join('bench', 'results.md')}.`);
}

const mark = (goal) => (goal.met ? '✓' : '✗');

function document(sections, goals, repetitions, took) {
  const git = (...args) => execFileSync('git', args, { cwd: inRoot(), encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain').split('\n').some((line) => line && !line.endsWith('bench/results.md'));
  const version = (name) => JSON.parse(readFileSync(inRoot('node_modules', name, 'package.json'), 'utf8')).version;
  const rows = [
    ['commit', `${git('rev-parse', '--short=12', 'HEAD')}${changed ? ', with changes that are not committed' : ''}`],
    ['date', new Date().toISOString().slice(0, 16).replace('T', ' ') + ' UTC'],
    ['machine', `${cpus().length} × ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}, ${arch()}`],
    ['versions', `workerd ${version('workerd')}, Miniflare ${version('miniflare')}, Node ${process.versions.node}, ${capture('rustc', ['--version'])}`],
    ['repetitions', `${repetitions}; figures are medians over them. It took ${took}.`],
  ];
  return [
    '# What the benchmark found',
    '',
    'Written by `npm run bench`, which measures all of it anew; see docs/speed.md for what the figures mean. The load generator and the upstream run on the same machine and take their share of it.',
    '',
    ...rows.map(([name, value]) => `- ${name}: ${value}`),
    '',
    '## Goals',
    '',
    '| | goal | found |',
    '| :-- | :-- | --: |',
    ...goals.map((goal) => `| ${mark(goal)} | ${goal.what} | ${goal.found} |`),
    ...sections.flatMap(({ title, text }) => ['', `## ${title}`, '', text]),
    '',
  ].join('\n');
}

await main(import.meta.url, (args) => bench(options(args)));
