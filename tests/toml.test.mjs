// The small reader of TOML: it agrees with wrangler's own, or says that it does not know.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import wrangler from 'wrangler';
import { parseToml } from '../scripts/lib/toml.mjs';
import { root } from './harness.mjs';

const folder = mkdtempSync(join(tmpdir(), 'one-balance-toml-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** As wrangler reads it; undefined when it does not. */
function wranglers(text) {
  const file = join(folder, 'wrangler.toml');
  writeFileSync(file, text);
  try {
    return JSON.parse(JSON.stringify(wrangler.experimental_readRawConfig({ config: file }).rawConfig));
  } catch {
    return undefined;
  }
}

test('reads the repository’s wrangler.toml, and that with every line in use, as wrangler does', () => {
  const text = readFileSync(join(root, 'wrangler.toml'), 'utf8');
  assert.deepEqual(parseToml(text), wranglers(text));
  const all = text.replace(/^# ([A-Z_0-9]+ *= )/gm, '$1').replaceAll('\n', '\r\n');
  assert.ok(Object.keys(parseToml(all).vars).length > Object.keys(parseToml(text).vars).length);
  assert.deepEqual(parseToml(all), wranglers(all));
});

test('reads what is usual as wrangler does', () => {
  for (const text of [
    '',
    'a = 1\nb = -2.5\nc = true # yes\nd = "x # y"\ne = \'a\\b\'\nf = "tab\\t\\"q\\" \\\\"',
    '[a.b]\nc = []\nd = [1, 2,]\n\n[a.e]\nf = [\n  "x", # one\n  "y"\n]\n',
    '[[d]]\nx = 1\n[[d]]\nx = 2\n[d.y]\nz = { a = 1, "b c" = [ { d = false } ] }\n',
    '[[d]]\n[d.y]\na = 1\n[[d]]\n[d.y]\na = 2\n',
    'a.b = 1\na."c.d" = {}\n[e]\n"f" = "ü 日本"',
  ]) {
    assert.notEqual(parseToml(text), undefined, text);
    assert.deepEqual(parseToml(text), wranglers(text), text);
  }
});

test('does not guess: what it does not know, and what is wrong, is undefined', () => {
  for (const text of [
    'a = """\nx"""', "a = '''x'''", 'a = 1979-05-27', 'a = 0x1F', 'a = 1_000', 'a = inf', 'a = 1e5', 'a = "\\u00e9"',
    'a', 'a =', 'a = 1 b = 2', 'a = [1', 'a = {', 'a = "x', '[a', '[[a]', 'a = 1\na = 2', '[a]\n[a]', 'a = 1\n[a]', '= 1', 'a = yes', 'a = 01', '__proto__ = 1',
  ]) {
    assert.equal(parseToml(text), undefined, text);
  }
});
