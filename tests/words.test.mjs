// The page has a word in each language for everything that the admin API may tell: what the API tells
// is read from the Worker's own sources, so that no code can be added there and forgotten here.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { build } from 'esbuild';
import { root } from './harness.mjs';

const read = (name) => readFileSync(join(root, name), 'utf8');
const rust = (folder) => readdirSync(join(root, folder), { recursive: true }).filter((name) => name.endsWith('.rs') && !/(^|\/)tests[./]/.test(name)).map((name) => `${folder}/${name}`);
/** The sources without their tests. */
const source = (name) => read(name).split('#[cfg(test)]')[0];
const found = (names, pattern) => [...new Set([names].flat().flatMap((name) => [...source(name).matchAll(pattern)].map((match) => match[1])))].sort();

/** The words of both languages, as the page has them. */
async function words() {
  const { outputFiles } = await build({
    stdin: { contents: "export { en } from './en'; export { zh } from './zh';", resolveDir: join(root, 'static/i18n'), loader: 'ts' },
    bundle: true, write: false, format: 'esm', target: 'es2022',
  });
  // What the page asks of the browser to know which language is the reader's.
  const browser = { navigator: { languages: ['en'] }, document: { documentElement: {} }, localStorage: { getItem: () => null, setItem: () => {} } };
  for (const [name, value] of Object.entries(browser)) Object.defineProperty(globalThis, name, { value, configurable: true });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString('base64')}`);
}

const { en, zh } = await words();

/** Whether each language has a word or a sentence for each code; `least` as many are to be found at all. */
function has(what, codes, of, least) {
  assert.ok(codes.length >= least, `${what}: only ${codes.join(', ')} are found in the sources`);
  for (const [language, its] of Object.entries({ en, zh })) {
    const known = of(its);
    assert.deepEqual(codes.filter((code) => !known.some((table) => table[code])), [], `${what} without words, ${language}`);
  }
}

const MADE = /Problem::new\(\s*"(\w+)"/g;
const AS_STR = /Self::\w+(?: \{ \.\. \})? => "(\w+)"/g;

describe('what the admin API tells has words in both languages', () => {
  test('problems: of settings, of pasted keys, of the webhook', () => {
    const settings = ['src/edge/env.rs', 'src/edge/sealing.rs', 'src/edge/admin/overview.rs', 'src/balance/custom.rs', 'src/balance/gateway.rs', 'src/balance/webhook.rs'];
    const pasted = ['src/balance/import.rs', 'src/balance/paste.rs'];
    const webhook = ['src/edge/webhook.rs', 'src/edge/admin/webhook.rs'];
    const tokens = 'src/balance/token.rs';
    has('problems of settings', found(settings, MADE), (its) => [its.problems], 10);
    has('problems of AUTH_KEY', found(tokens, /problem\(\s*"(\w+)"/g), (its) => [its.problems], 6);
    has('problems of pasted keys', found(pasted, MADE), (its) => [its.add.problems, its.add.oddities], 10);
    has('why a test message did not arrive', found(webhook, MADE), (its) => [its.settings.webhook.problems], 4);
    const others = [...rust('src/balance'), ...rust('src/edge')].filter((name) => /Problem::new\(/.test(source(name)) && ![...settings, ...pasted, ...webhook, tokens, 'src/edge/admin/fault.rs'].includes(name));
    assert.deepEqual(others, [], 'who else makes problems is to be listed here');
    const told = /Codes of problems:\n([^]*?)\n\n/.exec(read('docs/admin-api.md'))[1].replace(/\(.*?\)/gs, '');
    assert.deepEqual([...told.matchAll(/`(\w+)`/g)].map((match) => match[1]).sort(), [...found(settings, MADE), ...found(tokens, /problem\(\s*"(\w+)"/g)].sort(), 'docs/admin-api.md');
  });

  test('why a call was not done, each in the table of docs/admin-api.md, too', () => {
    const faults = found(rust('src/edge/admin'), /(?:Fault|Self)::(?:new|of)\(\s*(?:"[\w.]*"|[\w&.]+),\s*"(\w+)"/g);
    has('faults', faults, (its) => [its.errors.codes], 20);
    // What the proxy alone refuses is among the failed requests, never an answer of the admin API.
    const proxy = ['no_keys', 'keys_exhausted', 'token_out_of_scope', 'token_disabled', 'token_limited', 'model_not_found', 'upstream_unreachable', 'gateway_limited'];
    const kinds = found('src/balance/error.rs', /Kind::\w+(?: \{ \.\. \})? => "(\w+)"/g);
    has('refusals', kinds.filter((code) => !proxy.includes(code)), (its) => [its.errors.codes], 9);
    has('codes of failed requests', kinds, (its) => [its.activity.codes], 19);
    const told = [...read('docs/admin-api.md').matchAll(/^\| [45]\d\d \| (.*?) \|/gm)].flatMap(([, cell]) => [...cell.replace(/\(.*?\)/g, '').matchAll(/`(\w+)`/g)].map((match) => match[1]));
    assert.deepEqual(told.sort(), [...new Set([...faults, ...kinds.filter((code) => !proxy.includes(code))])].sort(), 'docs/admin-api.md');
  });

  test('warnings of the overview', () => {
    has('warnings', found('src/edge/admin/overview.rs', /(?:warning\(|=> \()\s*"(\w+)",/g).filter((code) => code !== 'setting'), (its) => [its.warnings], 8);
  });

  test('reasons, verdicts and events', () => {
    has('reasons', found('src/balance/verdict.rs', /Self::\w+ => "(\w+_?\w*)",\s*(?=Self|\})/g).concat(found('src/edge/store/keys.rs', /reason: "(\w+)"/g)).filter((word) => !['success', 'caller', 'egress'].includes(word)), (its) => [its.reasons], 17);
    has('verdicts', found('src/balance/verdict.rs', /Self::(?:Success|Caller|Cool|Reject|Transient|Egress|Gateway)(?: \{ \.\. \})? => "(\w+)"/g), (its) => [its.activity.verdicts], 7);
    has('events', found('src/edge/store/keys.rs', /event\("(\w+)"/g).concat(found('src/edge/admin/keys.rs', /store\.note\([^;]*?"(\w+)"/g), found('src/edge/store/keys.rs', /'\*', 0, '(\w+)', 'administrator'/g)), (its) => [its.activity.verdicts], 5);
    has('our own sentences in events', found('src/edge/store/history.rs', /\("[^"]+\.", "(\w+)"\)/g), (its) => [its.activity.sentences], 2);
  });

  test('what a test of a key found, forms of pasted texts, states, kinds of webhooks, settings', () => {
    has('outcomes', found('src/edge/admin/ask.rs', /(?:\("|"outcome": ")(works|limited|rejected|unclear|untestable|missing)"/g), (its) => [its.outcomes], 6);
    has('forms', found('src/balance/import.rs', AS_STR), (its) => [its.add.formats], 6);
    has('states', ['ready', 'cooling', 'blocked', 'disabled'], (its) => [its.states], 4);
    has('kinds of webhooks', found('src/balance/webhook.rs', AS_STR), (its) => [its.settings.webhook.kinds], 4);
    const settings = /"settings": \{([^}]*)\}/.exec(source('src/edge/admin/overview.rs'))[1];
    has('settings', [...settings.matchAll(/"(\w+)":/g)].map((match) => match[1]), (its) => [its.settings.names], 4);
  });

  test('and the languages have the same words', () => {
    const shape = (it, path = '') => (typeof it === 'object' ? Object.entries(it).flatMap(([name, value]) => shape(value, `${path}.${name}`)) : [`${path} ${typeof it}`]);
    assert.deepEqual(shape(zh).sort(), shape(en).sort());
  });
});
