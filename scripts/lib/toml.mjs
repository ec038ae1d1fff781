// Reads the part of TOML that a wrangler.toml is usually written in. What it does not know it does
// not guess at: then the answer is undefined, and wrangler is asked, which takes seconds to load.

const BARE = /^[A-Za-z0-9_-]+$/;
const ESCAPES = { '"': '"', '\\': '\\', n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };

/** The document as an object, or undefined when there is something in it that is not understood. */
export function parseToml(text) {
  try {
    return document(text);
  } catch (error) {
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}

class Unknown extends Error {}

const unknown = () => {
  throw new Unknown();
};

function document(text) {
  const result = {};
  let table = result;
  const seen = new Set();
  const reader = new Reader(text);
  for (;;) {
    reader.skipBlank(true);
    if (reader.ended()) return result;
    if (reader.take('[[')) {
      const path = reader.path();
      reader.need(']]');
      const last = path.pop();
      const parent = path.reduce(step, result);
      if (!Array.isArray((parent[last] ??= []))) unknown();
      parent[last].push((table = {}));
    } else if (reader.take('[')) {
      const path = reader.path();
      reader.need(']');
      // A table is opened once; one below an element of an array of tables may come again with the next.
      if (seen.has(path.join('\0')) && !path.some((_, index) => Array.isArray(at(result, path.slice(0, index))))) unknown();
      seen.add(path.join('\0'));
      table = path.reduce(step, result);
    } else {
      pair(reader, table);
    }
    reader.endOfLine();
  }
}

const at = (from, path) => path.reduce((table, name) => table?.[name], from);

function step(table, name) {
  const next = (table[name] ??= {});
  const open = Array.isArray(next) ? next.at(-1) : next;
  return typeof open === 'object' && open !== null ? open : unknown();
}

function pair(reader, table) {
  const path = reader.path();
  const last = path.pop();
  const parent = path.reduce(step, table);
  reader.need('=');
  if (last === '__proto__' || Object.hasOwn(parent, last)) unknown();
  parent[last] = reader.value();
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  ended() {
    return this.at >= this.text.length;
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at += found[0].length;
    return found;
  }

  skipBlank(lines = false) {
    this.match(lines ? /(?:[ \t\r\n]|#[^\n]*)*/y : /[ \t]*/y);
  }

  take(what) {
    this.skipBlank();
    if (!this.text.startsWith(what, this.at)) return false;
    this.at += what.length;
    return true;
  }

  need(what) {
    if (!this.take(what)) unknown();
  }

  endOfLine() {
    if (!this.match(/[ \t]*(?:#[^\n]*)?(?:\r?\n|(?![^]))/y)) unknown();
  }

  path() {
    const path = [];
    do {
      this.skipBlank();
      const name = this.string() ?? this.match(/[A-Za-z0-9_-]+/y)?.[0] ?? unknown();
      if (name === '__proto__' || !(BARE.test(name) || name.length > 0)) unknown();
      path.push(name);
    } while (this.take('.'));
    return path;
  }

  /** A string on one line, or undefined when there is none here. */
  string() {
    if (this.text.startsWith('"""', this.at) || this.text.startsWith("'''", this.at)) unknown();
    const literal = this.match(/'([^'\n]*)'/y);
    if (literal) return literal[1];
    const basic = this.match(/"((?:[^"\\\n]|\\.)*)"/y);
    return basic?.[1].replace(/\\(.)/g, (_, letter) => ESCAPES[letter] ?? unknown());
  }

  value() {
    this.skipBlank();
    const text = this.string();
    if (text !== undefined) return text;
    const word = this.match(/true\b|false\b/y)?.[0];
    if (word) return word === 'true';
    if (this.take('[')) return this.list();
    if (this.take('{')) return this.inline();
    const number = this.match(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?=[ \t\r\n,\]}#]|(?![^]))/y)?.[0];
    return number === undefined ? unknown() : Number(number);
  }

  list() {
    const values = [];
    for (;;) {
      this.skipBlank(true);
      if (this.take(']')) return values;
      values.push(this.value());
      this.skipBlank(true);
      if (!this.take(',') && !this.text.startsWith(']', this.at)) unknown();
    }
  }

  inline() {
    const table = {};
    if (this.take('}')) return table;
    do pair(this, table);
    while (this.take(','));
    this.need('}');
    return table;
  }
}
