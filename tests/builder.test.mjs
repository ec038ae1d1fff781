// Cloudflare's own builder has no Rust: the build brings it there, and only there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { root } from './harness.mjs';

const skip = process.platform === 'win32' && 'the builder is a Linux machine';
const folder = mkdtempSync(join(tmpdir(), 'one-balance-builder-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A machine with a shell and a `curl` that says what rustup's would: a script that installs Rust. */
function machine() {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['sh', 'mkdir', 'cat', 'chmod', 'rm']) {
    const found = ['/bin', '/usr/bin'].map((path) => join(path, name)).find(existsSync);
    symlinkSync(found, join(bin, name));
  }
  const write = (name, text) => {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  };
  write('curl', `#!${join(bin, 'sh')}
cat <<'END'
case "$*" in *"-y"*"wasm32-unknown-unknown"*) ;; *) echo "wrong options: $*"; exit 1 ;; esac
mkdir -p "$HOME/.cargo/bin"
for tool in cargo rustc; do
  echo '#!${join(bin, 'sh')}' > "$HOME/.cargo/bin/$tool"
  echo "echo $tool 1.99.0" >> "$HOME/.cargo/bin/$tool"
  chmod 755 "$HOME/.cargo/bin/$tool"
done
END
`);
  return bin;
}

test('Rust is installed where Cloudflare builds, once, and is then on the path', { skip }, () => {
  const bin = machine();
  const run = (env) => {
    const rust = pathToFileURL(join(root, 'scripts', 'lib', 'rust.mjs')).href;
    const source = `const { bringRust, requireRust } = await import(${JSON.stringify(rust)}); await bringRust(); requireRust();`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8', env: { PATH: bin, HOME: folder, ...env } });
    return { status, text: stdout + stderr };
  };
  const elsewhere = run({});
  assert.notEqual(elsewhere.status, 0);
  assert.match(elsewhere.text, /Rust is missing: install it from https:\/\/rustup\.rs/);

  const first = run({ WORKERS_CI: '1' });
  assert.equal(first.status, 0, first.text);
  assert.match(first.text, /Installing Rust/);
  const second = run({ WORKERS_CI: '1' });
  assert.equal(second.status, 0, second.text);
  assert.doesNotMatch(second.text, /Installing Rust/);

  rmSync(join(folder, '.cargo'), { recursive: true });
  writeFileSync(join(bin, 'curl'), `#!${join(bin, 'sh')}\necho no network >&2\nexit 6\n`);
  const offline = run({ WORKERS_CI: '1' });
  assert.notEqual(offline.status, 0, 'and without a network it says so');
  assert.match(offline.text, /Rust (could not be installed|is missing)/);
});
