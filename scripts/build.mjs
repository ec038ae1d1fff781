// Builds the Worker into build/: `npm run build`, and wrangler's build command. Does nothing when
// what it is built from has not changed. `BUILD=quick` leaves out most of the optimisation: for
// trying things, in a fraction of the time.

import { existsSync } from 'node:fs';
import { dirname, delimiter } from 'node:path';
import { forCargo } from './lib/cargo.mjs';
import { main } from './lib/main.mjs';
import { inRoot } from './lib/paths.mjs';
import { mustRun } from './lib/run.mjs';
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
const CHATTER = /^\[(INFO|WARN)\]|^Error: Compiling your crate|^Caused by:|^ +failed to execute|^ +full command:/;
const STAMP = inRoot('build', '.inputs');
const PROFILE = process.env.BUILD === 'quick' ? '--dev' : '--release';

/** Resolves to whether there was anything to do. */
export async function build() {
  const inputs = `${PROFILE} ${hashOf(...INPUTS)}`;
  if (isStamped(STAMP, inputs) && OUTPUTS.every((file) => existsSync(inRoot(file)))) return false;
  const { toolchain, tools } = await setup();
  unstamp(STAMP);
  const pageFolder = await step('Building the page', '2 seconds', page);
  await step('Building the Worker', '1 to 2 minutes the first time', (progress) =>
    mustRun(
      tools.workerBuild,
      [PROFILE],
      forCargo({
        progress,
        quiet: CHATTER,
        env: {
          RUST_BACKTRACE: '0', // worker-build's own is of no use
          ...toolchain.env,
          ...fromNpm(),
          WASM_BINDGEN_BIN: tools.wasmBindgen,
          ONE_BALANCE_PAGE: pageFolder, // for build.rs
          PATH: withNode(toolchain.env.PATH ?? process.env.PATH),
        },
      }),
      'The Worker could not be built: see above.',
    ),
  );
  stamp(STAMP, inputs);
  return true;
}

/** wasm-opt, as npm has it, is a Node program that looks for `node` on PATH. */
const withNode = (path) => `${path}${delimiter}${dirname(process.execPath)}`;

await main(import.meta.url, async () => {
  if (!(await build())) say('The Worker in build/ is up to date.');
});
