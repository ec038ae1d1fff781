// wasm-bindgen, at the version this crate needs: the one on PATH when it is the right one, else built
// once per user into the cache.

import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { forCargo } from './cargo.mjs';
import { cache, exe, inRoot, windows } from './paths.mjs';
import { capture, giveUp, run } from './run.mjs';
import { fail, step } from './say.mjs';
import { scratch } from './scratch.mjs';

// It runs for a second or two in a build: compiling them fast matters more than fast code.
const CHEAP = {
  CARGO_PROFILE_RELEASE_OPT_LEVEL: '0',
  CARGO_PROFILE_RELEASE_LTO: 'off',
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
  CARGO_PROFILE_RELEASE_DEBUG: '0',
  CARGO_PROFILE_RELEASE_STRIP: 'symbols',
};

/** How to start it. */
export async function buildTools() {
  const wasmBindgen = await tool('wasm-bindgen', 'wasm-bindgen-cli', wasmBindgenVersion(), '1 to 2 minutes');
  return { wasmBindgen };
}

/** What else a build needs: wasm-opt, a program for Node, and esbuild. */
export const fromNpm = () => ({
  wasmOpt: inRoot('node_modules', 'binaryen', 'bin', 'wasm-opt'),
  esbuild: inRoot(
    'node_modules',
    '@esbuild',
    `${process.platform}-${process.arch}`,
    windows ? 'esbuild.exe' : 'bin/esbuild',
  ),
});

/** wasm-bindgen's command line must be of the same version as the library. */
function wasmBindgenVersion() {
  const lock = readFileSync(inRoot('Cargo.lock'), 'utf8');
  return (
    /name = "wasm-bindgen"\r?\nversion = "(.*)"/.exec(lock)?.[1] ??
    fail('Cargo.lock names no wasm-bindgen: restore it with `git checkout Cargo.lock`.')
  );
}

async function tool(name, crate, version, usually) {
  if (capture(name, ['--version'])?.endsWith(version)) return name;
  const home = join(cache, `${name}-${version}`);
  if (!existsSync(home)) {
    await step(`Building ${name} ${version}`, usually, async (progress) => {
      // Into another folder first: `home` exists only when it is complete.
      const work = scratch(name);
      await cargoInstall(work, [`${crate}@${version}`, '--bin', name], progress);
      renameSync(work, home);
    });
  }
  return join(home, 'bin', `${name}${exe}`);
}

async function cargoInstall(folder, what, progress) {
  const install = (...args) =>
    run(
      'cargo',
      // Without its default features wasm-bindgen leaves out the web server of its test runner.
      ['install', ...args, '--root', folder, '--no-default-features', ...what],
      forCargo({ progress, env: { ...CHEAP, CARGO_TARGET_DIR: scratch('tools') } }),
    );
  let result = await install('--locked');
  // A mirror that lags behind may lack a version of the lock file; a compatible one will do.
  if (/failed to select a version/.test(result.output.join('\n'))) result = await install();
  if (!result.ok) giveUp(result.output, `${what[0]} could not be built: see above, then run this again.`);
}
