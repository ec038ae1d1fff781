// What the documents say against what is there: links, variables, scripts, error codes, and the two
// READMEs against each other. Reads files only; needs no Worker.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { endpointsTable, withEndpoints } from './endpoints.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const read = (...path) => readFileSync(join(root, ...path), 'utf8');

/** Folders that are made, not written. */
const MADE = new Set(['node_modules', 'target', 'build', 'backups']);

/** Every document, as its path from the root. */
function documents(folder = root) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return MADE.has(entry.name) || (entry.name.startsWith('.') && entry.name !== '.github') ? [] : documents(path);
    return entry.name.endsWith('.md') ? [relative(root, path)] : [];
  });
}

/** Documents that a command writes, and that may not be there yet. */
const WRITTEN = new Set([join('bench', 'results.md')]);

const FENCE = /^(`{3,})([^\n`]*)\n([^]*?)^\1[ \t]*$/gm;
/** The blocks of code: their language and their text. */
const blocks = (text) => [...text.matchAll(FENCE)].map(([, , language, code]) => ({ language: language.trim(), code }));
const withoutBlocks = (text) => text.replace(FENCE, '');
const withoutCode = (text) => withoutBlocks(text).replace(/`[^`\n]*`/g, '');
const headings = (text) => [...withoutBlocks(text).matchAll(/^(#{1,6}) +(.+?) *$/gm)].map(([, marks, title]) => ({ level: marks.length, title }));

/** Where links and pictures lead. */
const links = (text) => [...withoutCode(text).matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|<(https?:[^>\s]+)>|(?:src|href|srcset)="([^"]+)"/g)].map((match) => match[1] ?? match[2] ?? match[3]);

/** The anchors that GitHub gives to headings. */
function anchors(text) {
  const seen = new Map();
  return headings(text).map(({ title }) => {
    const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = plain.replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '').replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count ? `${slug}-${count}` : slug;
  });
}

/** The tables: lists of rows, which are lists of cells; without the line of dashes. */
function tables(text) {
  const found = [];
  for (const [block] of withoutBlocks(text).matchAll(/^(?:\|.*\|[ \t]*\n)+/gm)) {
    const rows = block.trimEnd().split('\n').map((line) => line.trim().slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim()));
    found.push(rows.filter((row) => !row.every((cell) => /^:?-+:?$/.test(cell))));
  }
  return found;
}

const all = documents();

describe('documents', () => {
  test('lead somewhere', () => {
    const broken = [];
    for (const name of all) {
      for (const link of links(read(name))) {
        if (/^(https?:|mailto:)/.test(link)) continue;
        const [path, anchor] = decodeURI(link).split('#');
        const target = path ? join(dirname(name), path) : name;
        if (WRITTEN.has(target)) continue;
        if (target.startsWith('..') || !existsSync(join(root, target))) broken.push(`${name}: ${link}`);
        else if (anchor && target.endsWith('.md') && !anchors(read(target)).includes(anchor)) broken.push(`${name}: ${link} (there is no such heading)`);
      }
    }
    assert.deepEqual(broken, []);
  });

  test('name scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json'));
    const missing = [];
    for (const name of all) {
      for (const [said, run, script] of read(name).matchAll(/\bnpm (run )?([a-z][\w:-]*)/g)) {
        if (run ? !scripts[script] : ['start', 'test'].includes(script) && !scripts[script]) missing.push(`${name}: ${said}`);
      }
    }
    assert.deepEqual(missing, []);
  });

  test('name no machine and no registry', () => {
    const told = /(?<![\w.:/])\/(?:home|root|tmp|work|Users|private)\/|registry\.npmjs|static\.crates\.io|index\.crates\.io|files\.pythonhosted|pypi\.org|deb\.debian\.org/;
    const found = all.flatMap((name) => read(name).split('\n').flatMap((line, at) => (told.test(line) ? [`${name}:${at + 1}: ${line}`] : [])));
    assert.deepEqual(found, []);
  });
});

describe('README', () => {
  /** The names in the first column of the table of variables, and what is in the second: the default. */
  function variables(name) {
    const table = tables(read(name)).find((rows) => rows.some(([first]) => first === '`AUTH_KEY`'));
    assert.ok(table, `${name} has a table of variables`);
    return new Map(table.slice(1).map(([first, second]) => [first.replaceAll('`', ''), second]));
  }

  test('has every variable that the Worker reads, and no other', () => {
    const code = read('src/edge/env.rs');
    const names = new Set([...code.matchAll(/\b(?:text|number|switch|choice|sealing_key)\(\s*"([A-Z][A-Z0-9_]+)"/g)].map((match) => match[1]));
    assert.ok(names.has('AUTH_KEY') && names.has('MAX_ATTEMPTS') && names.has('CHECK_STREAMS'), 'variables are found in env.rs');
    const said = 'a variable of src/edge/env.rs has a row in README.md and README.zh.md, and the other way round';
    assert.deepEqual([...variables('README.md').keys()].sort(), [...names].sort(), said);
  });

  test('has the settings of wrangler.toml and .dev.vars.example, with their defaults', () => {
    const told = variables('README.md');
    const toml = read('wrangler.toml');
    const named = [...toml.slice(toml.indexOf('[vars]')).matchAll(/^#?\s*([A-Z][A-Z0-9_]+)\s*=\s*"([^"]*)"/gm)];
    assert.ok(named.length > 5, 'wrangler.toml names variables');
    for (const [, name, value] of named) {
      assert.ok(told.has(name), `${name} of wrangler.toml`);
      if (value) assert.equal(told.get(name), `\`${value}\``, `the default of ${name}`);
    }
    for (const [, name] of read('.dev.vars.example').matchAll(/^#?\s*([A-Z][A-Z0-9_]+)=/gm)) assert.ok(told.has(name), `${name} of .dev.vars.example`);
  });

  test('has the table of endpoints that are tested', () => {
    for (const name of ['README.md', 'README.zh.md']) {
      assert.ok(read(name).includes(endpointsTable()), `${name}: run \`npm run endpoints\``);
      assert.equal(withEndpoints(read(name)), read(name), `${name}: run \`npm run endpoints\``);
    }
  });

  test('says the same in Chinese', () => {
    const [en, zh] = [read('README.md'), read('README.zh.md')];
    const both = (what, of) => assert.deepEqual(of(zh), of(en), what);
    both('levels of headings', (text) => headings(text).map(({ level }) => level));
    both('tables: columns of each row', (text) => tables(text).map((rows) => rows.map((row) => row.length)));
    // Comments are translated, and so are the labels of diagrams.
    const uncommented = (code) => code.replace(/(^|\s)(?:#|\/\/)\s.*$/gm, '$1').replace(/[ \t]+$/gm, '');
    both('blocks of code', (text) => blocks(text).map(({ language, code }) => (language === 'mermaid' ? [language, code.split('\n').length] : [language, uncommented(code)])));
    const elsewhere = (text) => links(text).map((link) => (link.startsWith('#') ? '#' : link.replace('README.zh.md', 'README.md'))).sort();
    both('links', elsewhere);
    both('names in code', (text) => [...new Set([...withoutBlocks(text).matchAll(/`([^`\n]+)`/g)].map((match) => match[1]).filter((code) => /^[\x20-\x7e]+$/.test(code) && !code.includes('<')))].sort());
    both('paragraphs and items between headings', (text) => withoutBlocks(text).split(/^#{1,6} .*$/m).map((section) => [section.split(/\n{2,}/).filter((part) => part.trim()).length, [...section.matchAll(/^- /gm)].length]));
    assert.deepEqual([...variables('README.zh.md')], [...variables('README.md')], 'variables and their defaults');
  });
});

describe('troubleshooting', () => {
  const page = read('docs/troubleshooting.md');
  const code = read('src/balance/error.rs');
  /** Where sentences are written. */
  const sources = ['src/balance/error.rs', 'src/edge/env.rs'].map((name) => read(name)).join('\n');
  const sections = new Map(page.split(/^### /m).slice(1).map((section) => [/^`(\w+)`/.exec(section)?.[1], section]));

  test('has every error code, with its status', () => {
    const codes = [.../fn code\([^]*?\n {4}\}/.exec(code)[0].matchAll(/=> "([a-z_]+)"/g)].map((match) => match[1]);
    assert.ok(codes.length >= 19, 'codes are found in error.rs');
    assert.deepEqual([...sections.keys()].filter((name) => /^[a-z_]+$/.test(name ?? '')).sort(), codes.sort());
  });

  test('quotes what the Worker says', () => {
    const said = sources.replace(/\\\n\s*/g, '').replace(/\s+/g, ' ');
    for (const [name, section] of sections) {
      const quotes = [...section.matchAll(/^> (.+(?:\n> .+)*)/gm)].map((match) => match[1].replaceAll('\n> ', ' '));
      assert.ok(quotes.length > 0, `${name} quotes its sentence`);
      for (const quote of quotes) for (const part of quote.split('…')) assert.ok(said.includes(part.trim().replace(/^[.]$/, '')), `${name}: “${part.trim()}” is said nowhere`);
    }
  });
});
