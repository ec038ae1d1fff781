// A Rust that compiles for wasm32, from Debian's packages: for machines that reach a Debian mirror
// but not rustup's servers. The packages have no standard library for wasm32, but its sources; it
// is built once, into a sysroot of our own, so that nothing under /usr is changed by hand.

import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { canInstall, install, isDebian } from './apt.mjs';
import { forCargo } from './cargo.mjs';
import { cache, inRoot } from './paths.mjs';
import { capture, mustRun } from './run.mjs';
import { fail, step } from './say.mjs';
import { scratch } from './scratch.mjs';

const PACKAGES = ['rustc-web', 'cargo-web', 'rust-web-src', 'rust-web-clippy', 'lld-22'];
const LINKER = 'wasm-ld-22';
const RUSTLIB = '/usr/lib/rustlib';
const TARGET = 'wasm32-unknown-unknown';
const EMPTY_CRATE = `[package]
name = "empty"
version = "0.0.0"
edition = "2021"
[profile.release]
debug = false
[workspace]
`;
const TOOLS = ['rustc', 'cargo', 'cargo-clippy'].map((tool) => `/usr/bin/${tool}`);

/** Whether the packages are installed and the standard library is built. */
export const hasDebianToolchain = () => isDebian() && hasPackages() && existsSync(homeOfToolchain());

export async function debianToolchain() {
  if (!hasPackages()) await installPackages();
  const home = homeOfToolchain();
  if (!existsSync(home)) await buildStandardLibrary(home);
  const sysroot = join(home, 'sysroot');
  const bin = join(home, 'bin');
  return {
    // Not `cargo clippy`: cargo looks into ~/.cargo/bin first, where rustup's is.
    clippy: [TOOLS[2], 'clippy'],
    env: {
      PATH: `${bin}${delimiter}${process.env.PATH}`,
      CARGO: join(bin, 'cargo'),
      RUSTC: join(bin, 'rustc'),
      SYSROOT: sysroot, // for clippy, which does not go through the wrapper
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: LINKER,
    },
  };
}

const hasPackages = () => [...TOOLS, `/usr/bin/${LINKER}`, `${RUSTLIB}/src`].every((path) => existsSync(path));

/** The standard library fits one version of the compiler only. */
function homeOfToolchain() {
  const version = capture('/usr/bin/rustc', ['--version']) ?? fail('/usr/bin/rustc does not run.');
  return join(cache, `debian-rust-${/\d\S+/.exec(version)[0]}`);
}

async function installPackages() {
  if (!canInstall()) {
    fail(
      `Rust's target ${TARGET} could not be downloaded: run \`rustup target add ${TARGET}\` where there is a network, or, as root, \`apt-get install ${PACKAGES.join(' ')}\`, and then this again.`,
    );
  }
  const sentence = `Debian's Rust could not be installed: see above, or install it by hand (apt-get install ${PACKAGES.join(' ')}), and run this again.`;
  await step("Installing Debian's Rust for wasm32", '1 minute', (progress) =>
    install(PACKAGES, sentence, progress),
  );
}

async function buildStandardLibrary(home) {
  const work = scratch('debian');
  const empty = scratch('empty');
  const target = scratch('std');
  mkdirSync(join(empty, 'src'), { recursive: true });
  writeFileSync(join(empty, 'Cargo.toml'), EMPTY_CRATE);
  writeFileSync(join(empty, 'src', 'lib.rs'), '');
  await step('Building the standard library for wasm32', '90 seconds', (progress) =>
    mustRun(
      '/usr/bin/cargo',
      ['build', '--release', '--target', TARGET, '-Zbuild-std=std,panic_abort,panic_unwind'],
      forCargo({
        cwd: empty,
        progress,
        env: {
          RUSTC: '/usr/bin/rustc',
          RUSTC_BOOTSTRAP: '1', // -Z on a stable compiler
          RUSTFLAGS: '-Cembed-bitcode=yes', // without it a crate cannot be built with LTO
          CARGO_TARGET_DIR: target,
        },
      }),
      'The standard library for wasm32 could not be built: see above.',
    ),
  );
  layOut(work, home, join(target, TARGET, 'release', 'deps'));
  // What was compiled against another build of the standard library cannot be linked with this one.
  rmSync(inRoot('target', TARGET), { recursive: true, force: true });
  renameSync(work, home);
}

/** The sysroot: Debian's, by links, and the new libraries. And a rustc that uses it. */
function layOut(work, home, built) {
  const rustlib = join(work, 'sysroot', 'lib', 'rustlib');
  const libraries = join(rustlib, TARGET, 'lib');
  mkdirSync(libraries, { recursive: true });
  for (const name of readdirSync(RUSTLIB)) {
    if (name !== TARGET) symlinkSync(join(RUSTLIB, name), join(rustlib, name));
  }
  for (const name of readdirSync(built)) {
    if (name.endsWith('.rlib') && !name.startsWith('libempty')) {
      copyFileSync(join(built, name), join(libraries, name));
    }
  }
  const bin = join(work, 'bin');
  mkdirSync(bin);
  symlinkSync('/usr/bin/cargo', join(bin, 'cargo'));
  const rustc = join(bin, 'rustc');
  writeFileSync(rustc, `#!/bin/sh\nexec /usr/bin/rustc --sysroot '${join(home, 'sysroot')}' "$@"\n`);
  chmodSync(rustc, 0o755);
}
