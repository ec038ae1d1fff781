// What is measured and how: the built Worker and the references, each in a workerd of its own (the
// one that Miniflare brings), the load generator, and what Linux tells about a process.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Miniflare, NoOpLog } from 'miniflare';
import { exe, inRoot } from '../scripts/lib/paths.mjs';
import { builtModules, compatibility, migrationFiles, statements } from '../tests/harness.mjs';

export const TOKEN = 'tok-of-the-benchmark-5d07c1';
const KEY = 'Bearer sk-of-the-benchmark-0123456789';
const LOAD = inRoot('tools', 'load', 'target', 'release', `load${exe}`);

// === processes ===

const children = () => {
  const listed = execFileSync('ps', ['-o', 'pid=,comm=', '--ppid', String(process.pid)], { encoding: 'utf8' });
  return listed.split('\n').filter((line) => line.includes('workerd')).map((line) => Number(line.trim().split(' ')[0]));
};

/** CPU seconds of all threads of a process. The scheduler's own count: /proc/PID/stat has steps of 10 ms. */
export function cpuOf(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => {
    try {
      return sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
    } catch {
      return sum; // it ended meanwhile
    }
  }, 0);
}

const statusOf = (pid, name) =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

/** MB that a process holds, and the most that it held since `forgetPeak`. */
export const memoryOf = (pid) => statusOf(pid, 'VmRSS');
export const peakOf = (pid) => statusOf(pid, 'VmHWM');
export const forgetPeak = (pid) => writeFileSync(`/proc/${pid}/clear_refs`, '5');

// === candidates ===

/** Something that answers requests, in a workerd of its own. */
export class Candidate {
  constructor(name, options) {
    this.name = name;
    this.options = options;
  }

  async start() {
    this.mf = new Miniflare(this.settings());
    return this.connect();
  }

  /** Cold: all that it held in memory is gone, D1 stays. */
  async restart() {
    await this.mf.setOptions(this.settings());
    return this.connect();
  }

  settings() {
    this.before = new Set(children());
    return {
      host: '127.0.0.1',
      port: 0,
      log: new NoOpLog(),
      cf: false,
      inspectorPort: this.inspectorPort,
      handleRuntimeStdio: (out, err) => {
        for (const stream of [out, err]) stream.on('data', (chunk) => (this.said = `${this.said ?? ''}${chunk}`.slice(-4000)));
      },
      workers: [{ name: 'main', unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }], ...compatibility(), ...this.options }],
    };
  }

  async connect() {
    const url = String(await this.mf.unsafeGetDirectURL('main')).replace(/\/$/, '');
    this.url = `${url}/api/openai/chat/completions`;
    this.base = url;
    this.pid = children().find((pid) => !this.before.has(pid));
    return this;
  }

  stop() {
    return this.mf?.dispose();
  }
}

/** The two references: see null.js and floor.js. */
export const reference = (name, upstream) =>
  new Candidate(name, {
    modules: [{ type: 'ESModule', path: `${name}.js`, contents: readFileSync(inRoot('bench', `${name}.js`)) }],
    bindings: { UPSTREAM: `${upstream}/v1/account/one-balance/openai/chat/completions`, KEY },
  });

/** The built Worker with so many keys in D1. `before` are modules that stand in front of it. */
export class Ours extends Candidate {
  constructor(name, { upstream, keys = 0, provider = 'openai', vars = {}, before = [], makeKey = KEY_OF }) {
    super(name, {
      modules: [...before, ...builtModules()],
      bindings: { AUTH_KEY: TOKEN, GATEWAY_URL: `${upstream}/v1/account/one-balance`, ...vars },
      d1Databases: { DB: 'one-balance' },
    });
    Object.assign(this, { keys, provider, makeKey });
  }

  async start() {
    this.folder = mkdtempSync(join(tmpdir(), 'one-balance-bench-'));
    this.options.d1Persist = undefined;
    await super.start();
    for (const file of migrationFiles()) {
      await this.d1.batch(statements(readFileSync(file, 'utf8')).map((sql) => this.d1.prepare(sql)));
    }
    if (this.keys > 0) await this.seed();
    return this;
  }

  async connect() {
    await super.connect();
    this.d1 = await this.mf.getD1Database('DB', 'main');
    return this;
  }

  /** All keys in a few statements: SQLite counts by itself. */
  async seed() {
    const piece = 100_000;
    for (let from = 0; from < this.keys; from += piece) {
      const to = Math.min(this.keys, from + piece);
      await this.d1
        .prepare(
          `INSERT INTO provider_keys (provider, secret, digest, hint, slot, created_at, updated_at)
           WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2)
           SELECT ?3, ${this.makeKey}, 'digest-' || n, 'sk-…', abs(random() % 2147483648), ?4, ?4 FROM numbers`,
        )
        .bind(from, to, this.provider, Date.now() - 3_600_000)
        .run();
    }
  }

  async stop() {
    await super.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The text of key number n, in SQL. */
const KEY_OF = "'sk-of-the-benchmark-' || printf('%020d', n)";

// === load ===

/** The upstream that answers at once: see tools/load. */
export class Upstream {
  async start() {
    this.child = spawn(LOAD, ['upstream'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.address = await firstLine(this.child);
    return this;
  }
  async stop() {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin.end();
    await ended;
  }
}

/** The simulator of the tests, for what needs quotas and errors. */
export class Simulator extends Upstream {
  async start() {
    const file = inRoot('tools', 'gateway-sim', 'target', 'release', `gateway-sim${exe}`);
    this.child = spawn(file, ['--port', '0', '--quiet', '--exit-with-stdin'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.address = /http:\/\/[\d.]+:\d+/.exec(await firstLine(this.child))[0];
    return this;
  }
  async control(method, path, body) {
    const init = { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) };
    const answer = await fetch(`${this.address}/__sim/${path}`, init);
    if (!answer.ok) throw new Error(`simulator: ${path}: ${await answer.text()}`);
    return answer.json();
  }
}

function firstLine(child) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`it ended with ${code}`)));
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) resolve(text.split('\n')[0]);
    });
  });
}

/** One run of load against a candidate: what the generator saw, and the CPU that the candidate used. */
export async function load(candidate, { connections = 16, requests = 1_000_000, seconds = 30, size = 1024, model = 'last', headers = {}, ends = '' }) {
  const args = ['run', '--url', candidate.url, '--connections', connections, '--requests', requests, '--seconds', seconds, '--size', size, '--model', model, '--ends', ends];
  for (const [name, value] of Object.entries({ authorization: `Bearer ${TOKEN}`, ...headers })) args.push('--header', `${name}: ${value}`);
  const before = cpuOf(candidate.pid);
  const seen = await output(LOAD, args.map(String));
  const result = JSON.parse(seen);
  if (result.failed > 0 || result.requests === 0) {
    throw new Error(`${candidate.name}: ${result.failed} of ${result.requests + result.failed} requests failed: ${result.failure} ${candidate.said ?? ''}`);
  }
  return { ...result, cpu_us: ((cpuOf(candidate.pid) - before) * 1e6) / result.requests };
}

function output(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(text) : reject(new Error(`${command} ended with ${code}`))));
  });
}

// === numbers ===

export function median(list) {
  const sorted = list.slice().sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Runs `work` for each of the names in turn, so often, beginning with another name each time: what
 * disturbs the machine for a while disturbs all of them.
 */
export async function interleaved(names, repetitions, work) {
  const found = Object.fromEntries(names.map((name) => [name, []]));
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    const order = names.map((_, index) => names[(index + repetition) % names.length]);
    for (const name of order) found[name].push(await work(name));
  }
  return found;
}

/** The median of a field over repetitions. */
export const field = (runs, name) => median(runs.map((run) => run[name]));

/** The median of the ratios of two that ran in the same repetition. */
export const ratio = (runs, others, name) => median(runs.map((run, index) => run[name] / others[index][name]));

export const table = (head, rows) =>
  [head, head.map((_, index) => (index === 0 ? ':--' : '--:')), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

export const fixed = (number, digits = 2) => (Number.isFinite(number) ? number.toFixed(digits) : '–');
export const whole = (number) => Math.round(number).toLocaleString('en-US');
