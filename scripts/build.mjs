// Builds the Worker into build/: `npm run build`, and wrangler's build command. Does nothing when
// what it is built from has not changed. `BUILD=quick` leaves out most of the optimisation: for
// trying things, in a fraction of the time.

import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { forCargo } from './lib/cargo.mjs';
import { main } from './lib/main.mjs';
import { inRoot } from './lib/paths.mjs';
import { mustRun } from './lib/run.mjs';
import { WASM } from './lib/rust.mjs';
import { say, step } from './lib/say.mjs';
import { hashOf, isStamped, stamp, unstamp } from './lib/stamp.mjs';
import { fromNpm } from './lib/tools.mjs';
import { page } from './page.mjs';
import { setup } from './setup.mjs';

const INPUTS = [
  ...['src', 'static', 'Cargo.toml', 'Cargo.lock', '.cargo', 'build.rs', 'package-lock.json'],
  ...['scripts/build.mjs', 'scripts/page.mjs', 'scripts/lib/tools.mjs'],
];
const OUTPUTS = ['build/index.js', 'build/index_bg.wasm'];
const STAMP = inRoot('build', '.inputs');
const QUICK = process.env.BUILD === 'quick';
const PROFILE = QUICK ? 'debug' : 'release';
const SENTENCE = 'The Worker could not be built: see above.';

/** What this Rust emits, and SIMD, which finds the model in long bodies; workerd has them all. */
const FEATURES = [
  'mutable-globals',
  'sign-ext',
  'nontrapping-float-to-int',
  'bulk-memory',
  'multivalue',
  'reference-types',
  'simd',
];

const inputsNow = () => `${PROFILE} ${hashOf(...INPUTS)}`;

/** Whether build/ is made of what is there now. */
export const isBuilt = (inputs = inputsNow()) => isStamped(STAMP, inputs) && OUTPUTS.every((file) => existsSync(inRoot(file)));

/** Does not put together again what `task::apart` keeps apart: a function is compiled as a whole. */
const SMALL = ['--one-caller-inline-max-function-size', '1000'];

/** Resolves to whether there was anything to do. */
export async function build() {
  const inputs = inputsNow();
  if (isBuilt(inputs)) return false;
  const { toolchain, tools } = await setup();
  unstamp(STAMP);
  const pageFolder = await step('Building the page', '2 seconds', page);
  await step('Building the Worker', '1 to 2 minutes the first time', async (progress) => {
    const args = ['build', '--locked', '--lib', '--target', WASM, ...(QUICK ? [] : ['--release'])];
    const target = inRoot('target');
    // ONE_BALANCE_PAGE is for build.rs.
    const env = { ...toolchain.env, CARGO_TARGET_DIR: target, ONE_BALANCE_PAGE: pageFolder };
    await mustRun('cargo', args, forCargo({ progress, env }), SENTENCE);
    await bundle(join(target, WASM, PROFILE, 'one_balance.wasm'), tools);
  });
  stamp(STAMP, inputs);
  return true;
}

/**
 * Makes the two files of the Worker: the optimised wasm module, and one JavaScript module of
 * src/edge/entry.js and what wasm-bindgen makes. They appear in build/ when they are complete.
 */
async function bundle(wasm, { wasmBindgen }) {
  const build = inRoot('build');
  const work = join(build, '.work');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  await mustRun(
    wasmBindgen,
    // `reset`: after a trap entry.js begins with a new instance.
    [wasm, '--out-dir', work, '--out-name', 'index', '--no-typescript', '--target', 'module', '--experimental-reset-state-function'],
    {},
    SENTENCE,
  );
  const made = join(work, 'index_bg.wasm');
  const { wasmOpt, esbuild } = fromNpm();
  if (!QUICK) {
    const features = FEATURES.map((feature) => `--enable-${feature}`);
    await mustRun(process.execPath, [wasmOpt, made, '-o', made, '-O', ...SMALL, '--strip-debug', '--strip-producers', ...features], {}, SENTENCE);
  }
  const glue = join(work, 'index.js');
  // "Source phase" imports are what wasm-bindgen writes and workerd does by itself.
  writeFileSync(glue, readFileSync(glue, 'utf8').replace('import source ', 'import '));
  await mustRun(
    esbuild,
    [
      inRoot('src', 'edge', 'entry.js'),
      '--bundle',
      '--format=esm',
      '--external:./index_bg.wasm',
      `--alias:one-balance=${glue}`,
      `--alias:one-balance-entry=${inRoot('src', 'edge', 'entry.js')}`,
      `--outfile=${join(work, 'bundle.js')}`,
      '--log-level=warning',
      ...(QUICK ? [] : ['--minify']),
    ],
    {},
    SENTENCE,
  );
  renameSync(made, join(build, 'index_bg.wasm'));
  renameSync(join(work, 'bundle.js'), join(build, 'index.js'));
  for (const name of readdirSync(build)) {
    if (!KEPT.includes(name)) rmSync(join(build, name), { recursive: true, force: true });
  }
}

/** What may be in build/; an earlier version of this script made more. */
const KEPT = ['index.js', 'index_bg.wasm', '.inputs', '.gitignore'];

await main(import.meta.url, async () => {
  if (!(await build())) say('The Worker in build/ is up to date.');
});
