// All tests, in the order in which they are cheap: `npm test`. One part alone:
// `npm test -- lint`, `core`, `build`, `blackbox` or `browser`.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from './lib/chromium.mjs';
import { main } from './lib/main.mjs';
import { npmPackages } from './lib/npm.mjs';
import { inRoot } from './lib/paths.mjs';
import { pythonClients } from './lib/python.mjs';
import { run } from './lib/run.mjs';
import { WASM, requireRust, wasmToolchain } from './lib/rust.mjs';
import { Failure, bold, elapsed, fail, green, say, withoutColour } from './lib/say.mjs';
import { buildSimulator } from './lib/upstream.mjs';
import { build } from './build.mjs';

const SIMULATOR = ['--manifest-path', join('tools', 'gateway-sim', 'Cargo.toml')];
const SIMULATION = ['--manifest-path', join('tools', 'simulation', 'Cargo.toml')];
const FUZZER = ['--manifest-path', join('tools', 'fuzz', 'Cargo.toml')];
const LOAD = ['--manifest-path', join('tools', 'load', 'Cargo.toml')];
const BENCH_CORE = ['--manifest-path', join('tools', 'bench-core', 'Cargo.toml')];
/** A glance at every run; `--seconds 600` is for by hand. */
const FUZZ_SECONDS = '5';
/** No test needs as long; one that hangs must not keep the others from being told of. */
const HANGS_MS = 10 * 60_000;
const DENY_WARNINGS = ['--', '-D', 'warnings'];

const PARTS = {
  lint: [
    ['Format', () => cargo('fmt', '--check')],
    ['Format of the simulator', () => cargo('fmt', ...SIMULATOR, '--check')],
    ['Format of the simulation', () => cargo('fmt', ...SIMULATION, '--check')],
    ['Format of the fuzzer', () => cargo('fmt', ...FUZZER, '--check')],
    ['Format of the load generator', () => cargo('fmt', ...LOAD, '--check')],
    ['Format of the benchmark of the core', () => cargo('fmt', ...BENCH_CORE, '--check')],
    ['Clippy, the core', () => cargo('clippy', '--locked', '--no-default-features', '--all-targets', ...DENY_WARNINGS)],
    ['Clippy, the Worker', wasmClippy],
    ['Clippy, the simulator', () => cargo('clippy', '--locked', ...SIMULATOR, '--all-targets', ...DENY_WARNINGS)],
    ['Types of the page', pageTypes],
    ['Clippy, the simulation', () => cargo('clippy', '--locked', '--release', ...SIMULATION, '--all-targets', ...DENY_WARNINGS)],
    ['Clippy, the fuzzer', () => cargo('clippy', '--locked', '--release', ...FUZZER, '--all-targets', ...DENY_WARNINGS)],
    ['Clippy, the load generator', () => cargo('clippy', '--locked', '--release', ...LOAD, '--all-targets', ...DENY_WARNINGS)],
    ['Clippy, the benchmark of the core', () => cargo('clippy', '--locked', ...BENCH_CORE, '--all-targets', ...DENY_WARNINGS)],
  ],
  core: [
    ['Tests of the core', () => cargo('test', '--locked', '--no-default-features')],
    ['Tests of the simulator', () => cargo('test', '--locked', ...SIMULATOR)],
    ['Simulation', () => cargo('run', '--locked', '--release', ...SIMULATION, '--', '--seeds', '2000')],
    ['A glance at damaged input', () => cargo('run', '--locked', '--release', ...FUZZER, '--', '--seconds', FUZZ_SECONDS)],
  ],
  build: [['Build', build]],
  blackbox: [['Tests of the built Worker', async () => blackBox((name) => !isBrowserTest(name), await withPython())]],
  browser: [['Tests of the page', async () => blackBox(isBrowserTest, { CHROME_PATH: await chromium() })]],
};

const counts = { passed: 0, failed: 0 };
/** Files of tests that passed only the second time. */
const unsteady = [];

async function test(title, work) {
  const started = Date.now();
  say(`\n${bold(`== ${title}`)}`);
  try {
    await work();
  } catch (error) {
    // A step that fails without a failed test, such as a lint, counts as one.
    if (counts.failed === 0) counts.failed = 1;
    if (!(error instanceof Failure)) throw error;
    fail(`${error.message}\n\n${title} failed after ${elapsed(started)}; what comes after it was not run.`);
  }
  say(`${green('✓')} ${title}, ${elapsed(started)}`);
}

async function wasmClippy() {
  const { clippy, env } = await wasmToolchain();
  const [command, ...args] = clippy;
  await stream(command, [...args, '--locked', '--target', WASM, ...DENY_WARNINGS], env);
}

async function pageTypes() {
  await npmPackages();
  await stream(process.execPath, [inRoot('node_modules', 'typescript', 'bin', 'tsc'), '--noEmit', '-p', inRoot('static')]);
}

/** The built Worker under workerd, against the simulator. */
async function blackBox(choose, env) {
  await npmPackages();
  await build();
  await buildSimulator();
  const files = readdirSync(inRoot('tests'))
    .filter((name) => name.endsWith('.test.mjs') && choose(name))
    .sort()
    .map((name) => join('tests', name));
  if (files.length === 0) return say('There are none.');
  const failed = [];
  for (const file of files) if (!(await testFile(file, env))) failed.push(file);
  if (failed.length > 0) fail(`Tests failed in ${failed.join(', ')}: see above.`);
}

/**
 * The tests of one file, in a process of their own. They start a runtime, a database, a simulator and a browser,
 * on a machine that may be busy: a file that fails is run once more, and only what fails twice is a failure. One
 * that passed the second time is named at the end, to be mended.
 */
async function testFile(file, env) {
  const before = { ...counts };
  const once = async () => {
    Object.assign(counts, before);
    const { ok } = await streamed(process.execPath, ['--test', '--test-reporter=spec', `--test-timeout=${HANGS_MS}`, file], env);
    return ok;
  };
  say(`\n${bold(file)}`);
  if (await once()) return true;
  say(`\n${bold(file)}, once more`);
  if (!(await once())) return false;
  unsteady.push(file);
  return true;
}

async function withPython() {
  const python = await pythonClients();
  return python ? { PYTHON_CLIENTS: python } : {};
}

/** tests/browser.test.mjs and tests/browser-*.test.mjs need a browser. */
const isBrowserTest = (name) => /^browser[.-]/.test(name);

const cargo = (...args) => stream('cargo', args);

/** Runs a program, shows what it prints, and counts the tests it reports. It must succeed. */
async function stream(command, args, env) {
  const { ok } = await streamed(command, args, env);
  if (!ok) fail(`${command} ${args.join(' ')} failed: see above.`);
}

function streamed(command, args, env) {
  const colours = process.stdout.isTTY ? { CARGO_TERM_COLOR: 'always', FORCE_COLOR: '1' } : {};
  return run(command, args, {
    env: { ...colours, ...env },
    onLine: (line) => {
      count(withoutColour(line));
      say(line);
    },
  });
}

function count(line) {
  const cargoSays = /^test result: \S+ (\d+) passed; (\d+) failed/.exec(line);
  if (cargoSays) add(Number(cargoSays[1]), Number(cargoSays[2]));
  const nodeSays = /^(?:ℹ|#) (pass|fail|cancelled) (\d+)$/.exec(line);
  if (nodeSays) add(nodeSays[1] === 'pass' ? Number(nodeSays[2]) : 0, nodeSays[1] === 'pass' ? 0 : Number(nodeSays[2]));
}

function add(passed, failed) {
  counts.passed += passed;
  counts.failed += failed;
}

await main(import.meta.url, async ([part, ...rest]) => {
  if (rest.length > 0 || (part && !(part in PARTS))) {
    fail(`There is no such part of the tests: choose one of ${Object.keys(PARTS).join(', ')}, or none for all.`);
  }
  requireRust();
  const started = Date.now();
  try {
    for (const [title, work] of part ? PARTS[part] : Object.values(PARTS).flat()) await test(title, work);
    for (const file of unsteady) say(`${file} failed once and passed when it was run again: it is not steady.`);
    say(green(`\nAll is well after ${elapsed(started)}.`));
  } finally {
    process.on('exit', () => process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`));
  }
});
