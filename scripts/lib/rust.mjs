// The Rust toolchains: the one on PATH for everything native, and one that can compile for
// wasm32-unknown-unknown, which is the same wherever possible.
//
// The wasm32 toolchain is, in this order:
//   1. the one on PATH, when it has the target
//   2. the one on PATH, after `rustup target add`
//   3. Debian's `rustc-web`, where rustup cannot download (see debian.mjs); once it is there, it is
//      used without trying rustup again
// ONE_BALANCE_TOOLCHAIN=debian goes straight to the third.

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { isDebian } from './apt.mjs';
import { debianToolchain, hasDebianToolchain } from './debian.mjs';
import { capture, mustRun, run } from './run.mjs';
import { fail, step } from './say.mjs';

export const WASM = 'wasm32-unknown-unknown';

const OLDEST = 91; // 1.91, which the `worker` crate needs

const RUSTUP =
  "curl --proto '=https' --tlsv1.2 --retry 3 -sSf https://sh.rustup.rs | sh -s -- -y --no-modify-path --profile minimal --default-toolchain stable --target wasm32-unknown-unknown";

/**
 * Cloudflare's own builder, which a deploy button starts, has no Rust: there, and nowhere else, it
 * is installed as rustup.rs says.
 */
export async function bringRust() {
  if (!process.env.WORKERS_CI) return;
  const bin = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'bin');
  process.env.PATH = `${bin}${delimiter}${process.env.PATH}`;
  if (capture('cargo', ['--version'])) return;
  await step('Installing Rust', '1 minute', () =>
    mustRun('sh', ['-c', RUSTUP], {}, 'Rust could not be installed: see above, then start the build again.'),
  );
}

/** Fails with a sentence when there is no Rust, or too old a one. */
export function requireRust() {
  if (!capture('cargo', ['--version']) || !capture('rustc', ['--version'])) {
    fail(
      'Rust is missing: install it from https://rustup.rs, open a new terminal and run this again.',
    );
  }
  const version = capture('rustc', ['--version']);
  const minor = Number(/^rustc 1\.(\d+)/.exec(version)?.[1]);
  if (minor < OLDEST) {
    const fix = hasRustup() ? 'run `rustup update stable`' : 'install it from https://rustup.rs';
    fail(`${version} is too old, 1.${OLDEST} or later is needed: ${fix} and run this again.`);
  }
}

/**
 * The toolchain that compiles for wasm32: the environment for cargo, and how to start its clippy.
 */
export async function wasmToolchain() {
  if (process.env.ONE_BALANCE_TOOLCHAIN === 'debian') return debianToolchain();
  if (hasTarget()) return onPath;
  if (hasDebianToolchain()) return debianToolchain();
  if (hasRustup() && (await addTarget())) return onPath;
  if (isDebian()) return debianToolchain();
  return fail(
    hasRustup()
      ? `Rust's target ${WASM} could not be downloaded: check the network connection, run \`rustup target add ${WASM}\` and then this again.`
      : `This Rust cannot compile for ${WASM}: install that target with your system's packages, or Rust from https://rustup.rs, and run this again.`,
  );
}

const onPath = { env: {}, clippy: ['cargo', 'clippy'] };

const hasRustup = () => capture('rustup', ['show', 'active-toolchain']) !== undefined;

function hasTarget() {
  const libraries = capture('rustc', ['--target', WASM, '--print', 'target-libdir']);
  return libraries !== undefined && existsSync(libraries);
}

const addTarget = () =>
  step(`Adding Rust's target ${WASM}`, '10 seconds', async () => {
    const { ok } = await run('rustup', ['target', 'add', WASM]);
    return ok && hasTarget();
  });
