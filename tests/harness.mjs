// What the tests stand on: the built Worker in workerd, real D1, and the simulated gateway, all on
// loopback and on ports of their own.
//
//   const world = await startWorld({ isolates: { main: {} }, others: { tight: { MAX_ATTEMPTS: '2' } } });
//   beforeEach(() => world.fresh());           // empty D1, empty simulator, cold isolates
//   const [a, b] = await world.keys('openai', 2);
//   const answer = await world.main.ask('openai', 'gpt-5-mini');
//   await world.use('tight');                  // `isolates` always run, others when they are needed
//
// Every isolate is a Worker of its own with its own memory and vars; all share one D1, as the
// isolates of a deployment do. After each test the simulator must not have seen anything that may
// never arrive there (a client's token, a cookie, a second key), nor the log any secret.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Miniflare, NoOpLog, fetch as fetchFor } from 'miniflare';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** The token of the tests. It begins and ends like nothing else, so that it is found wherever it leaks. */
export const TOKEN = 'tok-9f31c6a2e8-unrestricted-5d07';

// === waiting ===

/** Asks until `work` neither throws nor returns `false`; its last error is the failure. */
export async function eventually(work, { within = 60_000 } = {}) {
  const deadline = Date.now() + within;
  for (;;) {
    try {
      const result = await work();
      if (result !== false) return result;
      if (Date.now() > deadline) assert.fail('it did not come true in time');
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await pause(20);
  }
}

/** The error that a call ends with. */
export async function errorOf(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return assert.fail('it should have failed');
}

// === the simulated gateway ===

class Simulator {
  static async start() {
    const file = join(root, 'tools/gateway-sim/target/release', process.platform === 'win32' ? 'gateway-sim.exe' : 'gateway-sim');
    assert.ok(existsSync(file), `${file} is missing: \`npm test\` builds it`);
    const child = spawn(file, ['--port', '0', '--quiet', '--exit-with-stdin'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const address = await new Promise((resolve, reject) => {
      let text = '';
      child.on('error', reject);
      child.on('exit', (code) => reject(new Error(`gateway-sim ended with ${code}`)));
      child.stdout.on('data', (chunk) => {
        text += chunk;
        const found = /http:\/\/[\d.]+:\d+/.exec(text);
        if (found) resolve(found[0]);
      });
    });
    return new Simulator(child, address);
  }

  constructor(child, address) {
    this.child = child;
    this.address = address;
    this.base = `${address}/v1/account/one-balance`;
  }

  async stop() {
    if (this.child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin.end();
    const patience = setTimeout(() => this.child.kill('SIGKILL'), 3_000);
    await ended;
    clearTimeout(patience);
  }

  async control(method, path, body) {
    const response = await fetch(`${this.address}/__sim/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    assert.equal(response.status, 200, `simulator: ${method} ${path}: ${text}`);
    return JSON.parse(text);
  }

  reset() {
    return this.control('POST', 'reset');
  }
  config(patch) {
    return this.control('PATCH', 'config', patch);
  }
  keys(list) {
    return this.control('PUT', 'keys', list);
  }
  faults(...list) {
    return this.control('POST', 'faults', list);
  }
  clearFaults() {
    return this.control('DELETE', 'faults');
  }
  roll(which) {
    return this.control('POST', 'clock/roll', { which });
  }
  stats() {
    return this.control('GET', 'stats');
  }
  violations() {
    return this.control('GET', 'violations');
  }
  /** What arrived, oldest first; `match` compares fields. */
  async requests(match = {}) {
    const all = await this.control('GET', 'requests');
    return all.filter((entry) => Object.entries(match).every(([name, value]) => entry[name] === value));
  }
  async last() {
    return (await this.requests()).at(-1);
  }
  async count(match) {
    return (await this.requests(match)).length;
  }
}

/** How many keys were tried for an answer: a success of the first says nothing of it. */
export const attemptsOf = (answer) => Number(answer.headers.get('one-balance-attempts') ?? 1);

/** 64-bit FNV-1a in hexadecimal, as the simulator's log has it, in four limbs of 16 bits. */
export function fnv1a(bytes) {
  let [a, b, c, d] = [0x2325, 0x8422, 0x9ce4, 0xcbf2]; // least significant first
  for (const byte of bytes) {
    a ^= byte;
    // times 2^40 + 0x1b3
    const low = a * 0x1b3;
    const second = b * 0x1b3 + (low >>> 16);
    const third = c * 0x1b3 + (a << 8) + (second >>> 16);
    const fourth = d * 0x1b3 + (b << 8) + (third >>> 16);
    [a, b, c, d] = [low & 0xffff, second & 0xffff, third & 0xffff, fourth & 0xffff];
  }
  return [d, c, b, a].map((limb) => limb.toString(16).padStart(4, '0')).join('');
}

// === the Worker ===

export function builtModules() {
  const build = join(root, 'build');
  assert.ok(existsSync(join(build, 'index.js')), 'build/index.js is missing: `npm run build` makes it');
  const files = readdirSync(build, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(m?js|wasm)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort((a, b) => Number(b.endsWith('/index.js')) - Number(a.endsWith('/index.js')));
  return files.map((file) => ({
    type: file.endsWith('.wasm') ? 'CompiledWasm' : 'ESModule',
    path: relative(build, file).replaceAll('\\', '/'),
    contents: readFileSync(file),
  }));
}

export function compatibility() {
  const toml = readFileSync(join(root, 'wrangler.toml'), 'utf8');
  const date = /^compatibility_date = "(.*)"/m.exec(toml)?.[1];
  const flags = /^compatibility_flags = (\[.*\])/m.exec(toml)?.[1] ?? '[]';
  return { compatibilityDate: date, compatibilityFlags: JSON.parse(flags) };
}

/**
 * Stands between the runtime and the Worker, for the tests that count what the Worker asks of D1,
 * take D1 away, or play the `AI` binding. The Worker itself is the built one.
 */
const PROBE = `
import Worker from './index.js';
import { WorkerEntrypoint } from 'cloudflare:workers';

const state = { d1: 'works', log: [], asked: [], ai: null, hold: 0, holds: '', left: 0, held: 0 };

async function ask(kind, statements, work) {
  const entry = { kind, statements, rows_read: 0, rows_written: 0 };
  state.log.push(entry);
  if (state.d1 === 'fails') throw new Error('D1_ERROR: D1 DB is overloaded. Requests queued for too long.');
  if (state.d1 === 'full' && statements.some((sql) => /^(INSERT|UPDATE|DELETE)/.test(sql))) {
    throw new Error('D1_ERROR: Your account has exceeded D1 maximum account rows written limit. Please upgrade to keep using D1.');
  }
  while (state.d1 === 'stalls') await scheduler.wait(20);
  if (state.d1 === 'dies') await new Promise(() => {}); // nothing can end this: the runtime ends the request
  const holds = state.left > 0 && statements.some((sql) => sql.includes(state.holds));
  if (holds) state.left -= 1;
  const result = await work();
  for (const { meta } of [result].flat()) {
    entry.rows_read += meta?.rows_read ?? 0;
    entry.rows_written += meta?.rows_written ?? 0;
  }
  if (holds) state.held += 1;
  while (holds && state.hold > 0) await scheduler.wait(5);
  return result;
}

class Statement {
  constructor(inner, sql) { this.inner = inner; this.sql = sql; }
  bind(...values) { return new Statement(this.inner.bind(...values), this.sql); }
  all() { return ask('all', [this.sql], () => this.inner.all()); }
  run() { return ask('run', [this.sql], () => this.inner.run()); }
  first(...column) { return ask('first', [this.sql], () => this.inner.first(...column)); }
  raw(...options) { return ask('raw', [this.sql], () => this.inner.raw(...options)); }
}

class D1Database {
  constructor(inner) { this.inner = inner; }
  prepare(sql) {
    // The Rust side takes it for granted that this works: it panics.
    if (state.d1 === 'panics') throw new Error('a panic was asked for');
    return new Statement(this.inner.prepare(sql), sql);
  }
  batch(list) { return ask('batch', list.map((one) => one.sql), () => this.inner.batch(list.map((one) => one.inner))); }
  exec(sql) { return ask('exec', [sql], () => this.inner.exec(sql)); }
}

const AI = {
  gateway: (name) => ({
    getUrl: async (provider) => {
      state.asked.push({ name, provider: provider ?? null });
      return state.ai + '/' + name;
    },
  }),
};

export default class extends WorkerEntrypoint {
  bindings() {
    const env = { ...this.env };
    if (env.DB && state.d1 !== 'unbound') env.DB = new D1Database(env.DB);
    else delete env.DB;
    if (state.ai) env.AI = AI;
    return env;
  }
  async fetch(request) {
    if (new URL(request.url).pathname !== '/__probe') return Worker.fetch(request, this.bindings(), this.ctx);
    const wanted = await request.json();
    if ('d1' in wanted) state.d1 = wanted.d1;
    if ('ai' in wanted) state.ai = wanted.ai;
    if ('hold' in wanted) Object.assign(state, { hold: wanted.hold, holds: wanted.holds ?? '', left: wanted.hold, held: 0 });
    if (wanted.abandon) {
      // Nobody waits for this one: the runtime drops it with the request that it came with.
      const headers = { authorization: 'Bearer ' + wanted.abandon };
      const url = new URL('/api/openai/chat/completions', request.url);
      Worker.fetch(new Request(url, { method: 'POST', headers, body: '{"model":"gpt-5-mini"}' }), this.bindings(), this.ctx);
      await scheduler.wait(1000);
    }
    // Garbage makes the collector run; it takes some rounds to find what is not needed.
    if (wanted.litter) for (let round = 0; round < 20; round += 1) new Uint8Array(5_000_000).fill(round);
    const tasks = globalThis.__worker_init_state.tasks();
    const answer = { log: state.log, asked: state.asked, held: state.held, tasks };
    if (wanted.forget) { state.log = []; state.asked = []; }
    return Response.json(answer);
  }
  async scheduled(event) { return Worker.scheduled(event, this.bindings(), this.ctx); }
}
`;

class Isolate {
  constructor(world, name) {
    this.world = world;
    this.name = name;
  }

  /** A request with the token of the tests, unless `token` says otherwise (`null`: none). */
  send(path, { token = TOKEN, headers = {}, json, body, ...init } = {}) {
    const all = new Headers(headers);
    if (token !== null && !all.has('authorization')) all.set('authorization', `Bearer ${token}`);
    if (json !== undefined && !all.has('content-type')) all.set('content-type', 'application/json');
    const sent = json === undefined ? body : JSON.stringify(json);
    const method = init.method ?? (sent === undefined ? 'GET' : 'POST');
    return fetch(`${this.url}${path}`, { redirect: 'manual', ...init, method, headers: all, body: sent });
  }

  /** The whole answer to a request below `/api/`. */
  async api(path, init) {
    return whole(await this.send(`/api/${path}`, init));
  }

  /** The whole answer to a chat with a model, in the provider's own shape. */
  ask(provider, model, { text = 'Hello', stream = false, ...init } = {}) {
    return this.api(...question(provider, model, text, stream, init));
  }

  /** A request below `/admin/api/`. */
  async admin(method, path, body, init = {}) {
    return whole(await this.send(`/admin/api/${path}`, { method, json: body, ...init }));
  }

  /** The answer of the admin API, which must be a success. */
  async manage(method, path, body) {
    const answer = await this.admin(method, path, body);
    assert.equal(answer.status, 200, `${method} ${path}: ${answer.text}`);
    return answer.json;
  }

  async addKeys(provider, keys, more = {}) {
    return this.manage('POST', 'keys', { provider, keys, ...more });
  }

  /** Every key of the pool, as the list shows them. */
  async list(query = '') {
    return (await this.manage('GET', `keys?per_page=200&${query}`)).keys;
  }

  /** The key of the pool that has this text, with all that is known of it. */
  async find(key) {
    const { keys } = await this.manage('GET', `keys?search=${encodeURIComponent(key)}`);
    assert.equal(keys.length, 1, `one key with the hint of ${key.slice(0, 4)}`);
    return (await this.manage('GET', `keys/${keys[0].id}`)).key;
  }

  /** Sends exactly these bytes as request target and headers: no client library tidies them up. */
  raw({ method = 'GET', path, headers = {}, body }) {
    const { hostname, port } = new URL(this.url);
    return new Promise((resolve, reject) => {
      const request = http.request({ hostname, port, method, path, headers, agent: false }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode, headers: response.headers, text, json: parsed(text) });
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  /**
   * Sets and tells what stands between the runtime and the Worker:
   * `d1`: 'works', 'fails', 'stalls', 'full' (what writes fails), 'unbound', 'panics' or 'dies' with the
   * request that asks; `hold`: the results of so many D1 calls are held back until it is 0, of those
   * with `holds` in a statement; `ai`: the base address that an `AI` binding tells; `forget`: starts the
   * log over, which has each call's statements and rows; `litter`: leaves garbage; `abandon`: sends a
   * request with this token and does not wait for it. It tells how many `tasks` are under way.
   */
  async probe(wanted = {}) {
    const answer = await fetch(`${this.url}/__probe`, { method: 'POST', body: JSON.stringify(wanted) });
    return answer.json();
  }

  /** Runs the cron trigger. */
  async cron() {
    const worker = await this.world.mf.getWorker(this.name);
    return worker.scheduled({ cron: '*/5 * * * *' });
  }
}

async function whole(response) {
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parsed(text) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A chat as each provider wants it: the path below `/api/` and what to send. */
export function question(provider, model, text, stream, init = {}) {
  const message = { role: 'user', content: text };
  switch (provider) {
    case 'google-ai-studio': {
      const path = `v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;
      return [`${provider}/${path}`, { ...init, json: { contents: [{ role: 'user', parts: [{ text }] }] } }];
    }
    case 'anthropic': {
      const headers = { 'anthropic-version': '2023-06-01', ...init.headers };
      return [`${provider}/v1/messages`, { ...init, headers, json: { model, max_tokens: 64, messages: [message], stream } }];
    }
    default:
      return [`${provider}/chat/completions`, { ...init, json: { model, messages: [message], stream } }];
  }
}

// === the world ===

export class World {
  constructor({ isolates, others, probe, migrations, forbidden, cache }) {
    this.always = Object.keys(isolates);
    this.vars = { ...isolates, ...others };
    this.probe = probe;
    this.migrations = migrations;
    this.forbidden = forbidden;
    this.cache = cache;
    this.stdio = '';
    this.secrets = new Set([TOKEN]);
    this.made = 0;
  }

  async start() {
    this.sim = await Simulator.start();
    this.folder = mkdtempSync(join(tmpdir(), 'one-balance-'));
    const built = builtModules();
    const modules = this.probe
      ? [{ type: 'ESModule', path: 'probe.js', contents: PROBE }, ...built]
      : built;
    this.workers = Object.fromEntries(
      Object.entries(this.vars).map(([name, vars]) => [name, {
        name,
        modules,
        ...compatibility(),
        bindings: this.bindings(vars),
        d1Databases: { DB: 'one-balance' },
        cache: this.cache, // of the Cache API; what is in it outlives a test
        // Without a gateway: the simulator plays the providers' own hosts.
        ...(vars.UPSTREAM === 'direct' ? { outboundService: (request) => this.asProvider(request) } : {}),
        unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
      }]),
    );
    for (const name of Object.keys(this.vars)) this[name] = new Isolate(this, name);
    this.running = this.always;
    this.mf = new Miniflare(this.options());
    await this.connect();
    if (this.migrations) await this.migrate();
    await this.prepare();
    return this;
  }

  /** `undefined` takes a default away; SIM stands for the simulator's address. */
  bindings(vars) {
    // What was used is written only where a test is about that.
    const all = { AUTH_KEY: TOKEN, GATEWAY_URL: 'SIM', USAGE_FLUSH_SECONDS: '86400', ...vars };
    return Object.fromEntries(
      Object.entries(all)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => [name, value === 'SIM' ? this.sim.base : value]),
    );
  }

  /** What the Worker sends to a provider's own host. */
  async asProvider(request) {
    const { protocol, host, pathname, search } = new URL(request.url);
    assert.equal(protocol, 'https:', request.url);
    const { method, headers, body } = request;
    const address = `${this.sim.address}/__host/${host}${pathname}${search}`;
    if (!headers.get('upgrade')) return fetchFor(address, { method, headers, body, duplex: 'half', redirect: 'manual' });
    const answer = await fetchFor(address, { method, headers });
    // Nobody listens any more to a connection on which a socket was asked for in vain.
    if (answer.status !== 101) answer.headers.set('connection', 'close');
    return answer;
  }

  options() {
    return {
      host: '127.0.0.1',
      port: 0,
      log: new NoOpLog(),
      cf: false,
      d1Persist: this.folder,
      handleRuntimeStdio: (out, err) => {
        for (const stream of [out, err]) stream.on('data', (chunk) => (this.stdio += chunk));
      },
      workers: this.running.map((name) => this.workers[name]),
    };
  }

  async connect() {
    for (const name of Object.keys(this.vars)) this[name].url = undefined;
    for (const name of this.running) {
      this[name].url = String(await this.mf.unsafeGetDirectURL(name)).replace(/\/$/, '');
    }
    this.d1 = await this.mf.getD1Database('DB', this.running[0]);
  }

  async migrate() {
    for (const file of migrationFiles()) await this.run(readFileSync(file, 'utf8'));
  }

  /** Runs a script of SQL statements in one transaction. */
  run(script) {
    return this.d1.batch(statements(script).map((sql) => this.d1.prepare(sql)));
  }

  /** The rows of one statement. */
  async query(sql, ...values) {
    return (await this.d1.prepare(sql).bind(...values).all()).results;
  }

  /** Cold isolates: all that they held in memory is gone, D1 stays. */
  async restart() {
    await this.mf.setOptions(this.options());
    await this.connect();
  }

  /** Starts these isolates as well, until the next `fresh`. All are cold then. */
  async use(...names) {
    this.running = [...new Set([...this.always, ...names])];
    await this.restart();
  }

  /** As after the first start: no key, no cooling, cold isolates, an empty simulator. */
  async fresh() {
    // First, so that nothing of the last test is still being written behind an answer.
    this.running = this.always;
    await this.restart();
    const tables = await this.query(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'd1\\_%' ESCAPE '\\'",
    );
    await this.d1.batch(tables.map(({ name }) => this.d1.prepare(`DELETE FROM "${name}"`)));
    await this.prepare();
  }

  async prepare() {
    await this.sim.reset();
    await this.sim.config({ forbidden: [TOKEN, ...this.forbidden] });
  }

  /** A text that can be a key of the provider and of no other. */
  makeKey(provider) {
    this.made += 1;
    const random = Math.random().toString(36).slice(2, 12).padEnd(10, '0');
    const key = `k${String(this.made).padStart(5, '0')}-${provider}-${random}`;
    this.secrets.add(key);
    return key;
  }

  /** Keys that the simulator knows and the pool has: so many, or one for each of these settings. */
  async keys(provider, wanted = 1, isolate = this.always[0]) {
    const settings = typeof wanted === 'number' ? Array.from({ length: wanted }, () => ({})) : wanted;
    const keys = settings.map((one) => ({ provider, key: this.makeKey(provider), ...one }));
    await this.sim.keys(keys);
    const added = await this[isolate].addKeys(provider, keys.map(({ key }) => key));
    assert.equal(added.added_count, keys.length, JSON.stringify(added));
    return keys.map(({ key }) => key);
  }

  /** Fails when something arrived at the simulator, or stands in the log, that never may. */
  async assertClean() {
    assert.deepEqual(await this.sim.violations(), [], 'what arrived at the gateway');
    const leaked = [...this.secrets].filter((secret) => this.stdio.includes(secret));
    assert.deepEqual(leaked, [], 'secrets in the log');
  }

  async stop() {
    await this.mf?.dispose();
    await this.sim?.stop();
    if (this.folder) rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A world for the tests of a file, to be awaited at its top level. It ends with them. */
export async function startWorld({ isolates = { main: {} }, others = {}, probe = false, migrations = true, forbidden = [], cache = false } = {}) {
  const world = new World({ isolates, others, probe, migrations, forbidden, cache });
  after(() => world.stop());
  return world.start();
}

// === SQL ===

export function migrationFiles() {
  const folder = join(root, 'migrations');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => join(folder, name));
}

/** The statements of a script, without its comments. */
export function statements(script) {
  const found = [];
  let statement = '';
  for (let index = 0; index < script.length; ) {
    const rest = script.slice(index);
    const skipped = /^(--[^\n]*|\/\*[^]*?\*\/)/.exec(rest)?.[0];
    const quoted = skipped === undefined ? /^('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`)/.exec(rest)?.[0] : undefined;
    if (skipped === undefined && quoted === undefined && rest[0] === ';') {
      found.push(statement);
      statement = '';
    } else if (skipped === undefined) {
      statement += quoted ?? rest[0];
    }
    index += (skipped ?? quoted ?? rest[0]).length;
  }
  return [...found, statement].map((one) => one.trim()).filter(Boolean);
}

// === times ===

/** The next midnight in Los Angeles after `now`, found by asking the calendar hour by hour. */
export function midnightPacific(now) {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: 'America/Los_Angeles', hour: '2-digit', hourCycle: 'h23' });
  const hour = 3_600_000;
  for (let time = Math.floor(now / hour) * hour + hour; ; time += hour) {
    if (format.format(time) === '00') return time;
  }
}
