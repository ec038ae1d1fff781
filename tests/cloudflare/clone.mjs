// A clone of the repository in a folder of its own, in which `npm run deploy` runs against the fake.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashOf, isStamped } from '../../scripts/lib/stamp.mjs';
import { root } from '../harness.mjs';

const TRACKED = ['scripts', 'migrations', 'wrangler.toml', 'package.json', 'package-lock.json', '.dev.vars.example', '.gitignore'];
const STUB = 'export default { fetch() { return new Response("stub"); } };\n';
const windows = process.platform === 'win32';
const PATIENCE_MS = 180_000;

export class Clone {
  constructor(cloudflare) {
    this.cloudflare = cloudflare;
    this.folder = mkdtempSync(join(tmpdir(), 'one-balance-clone-'));
    for (const name of TRACKED) cpSync(join(root, name), this.path(name), { recursive: true });
    linkPackages(this.path('node_modules'));
    mkdirSync(this.path('build'));
    writeFileSync(this.path('build', 'index.js'), STUB);
    mkdirSync(this.path('home'));
  }

  path(...parts) {
    return join(this.folder, ...parts);
  }

  read(name) {
    return readFileSync(this.path(name), 'utf8');
  }

  list(name) {
    return existsSync(this.path(name)) ? readdirSync(this.path(name)).sort() : [];
  }

  /** Every file that is now in the clone, but for the packages. */
  files(folder = '.') {
    return readdirSync(this.path(folder), { withFileTypes: true }).flatMap((entry) => {
      const name = join(folder, entry.name);
      if (name === 'node_modules') return [];
      if (entry.isDirectory()) return this.files(name);
      return entry.isFile() ? [name] : [];
    });
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** The built Worker itself instead of a stub, if it is there. */
  useBuilt() {
    if (!existsSync(join(root, 'build', 'index_bg.wasm'))) return false;
    for (const name of ['index.js', 'index_bg.wasm']) cpSync(join(root, 'build', name), this.path('build', name));
    return true;
  }

  /** Nothing of the machine that runs the tests gets in: no sign-in, no CI, no proxy. */
  env(more) {
    const keep = ['PATH', 'Path', 'SystemRoot', 'TEMP', 'TMP', 'TMPDIR', 'PATHEXT', 'ComSpec'];
    const env = Object.fromEntries(keep.filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
    const home = this.path('home');
    return {
      ...env,
      HOME: home,
      USERPROFILE: home,
      APPDATA: home,
      LOCALAPPDATA: home,
      XDG_CONFIG_HOME: home,
      XDG_CACHE_HOME: home,
      CLOUDFLARE_API_BASE_URL: this.cloudflare.url,
      CLOUDFLARE_AI_GATEWAY_BASE_URL: `${this.cloudflare.origin}/__gateways`,
      DEPLOY_WAIT_SECONDS: '60',
      ...Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined)),
    };
  }

  /** Where the fake lets a Worker of an account answer. */
  workerUrl(account, name = 'one-balance') {
    return `${this.cloudflare.origin}/__workers/${account.id}/${name}`;
  }

  /** `npm run deploy` without npm, and without a build unless `build`. */
  deploy({ args = ['--prebuilt'], env = {}, onStart } = {}) {
    return this.run(process.execPath, ['scripts/deploy.mjs', ...args], env, onStart);
  }

  /** The same at a terminal: each answer is typed when its question is there. */
  deployAtTerminal(env, answers) {
    const left = [...answers];
    let text = '';
    return new Promise((resolve, reject) => {
      const child = spawn('script', ['-qec', `"${process.execPath}" scripts/deploy.mjs --prebuilt`, '/dev/null'], { cwd: this.folder, env: this.env(env), stdio: ['pipe', 'pipe', 'inherit'] });
      const patience = setTimeout(() => killTree(child.pid), PATIENCE_MS);
      let from = 0;
      child.stdout.on('data', (chunk) => {
        text += chunk;
        while (left.length > 0 && left[0][0].test(text.slice(from))) {
          from = text.length;
          child.stdin.write(left.shift()[1]);
        }
      });
      child.on('error', reject);
      child.on('close', (code, signal) => {
        clearTimeout(patience);
        resolve({ code: code ?? signal, text: text.replace(/\x1b\[[\d;]*\w/g, ''), left });
      });
    });
  }

  run(command, args, env = {}, onStart) {
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, { cwd: this.folder, env: this.env(env), stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true, shell: windows && command === 'npm' });
      let text = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
      const patience = setTimeout(() => killTree(child.pid), PATIENCE_MS);
      child.on('error', reject);
      child.on('close', (code, signal) => {
        clearTimeout(patience);
        resolve({ code: code ?? signal, text });
      });
      onStart?.(() => killTree(child.pid));
    });
  }
}

/**
 * The installed packages, for another folder: a link to each, never one to all, so that whatever is done
 * to that folder, an `npm ci` above all, is not done to ours.
 */
export function linkPackages(folder) {
  const from = join(root, 'node_modules');
  const wanted = `${process.platform}-${process.arch} ${hashOf('package-lock.json')}`;
  assert.ok(isStamped(join(from, '.one-balance'), wanted), 'the npm packages are not installed, or not these: `npm run setup` does it');
  mkdirSync(folder);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(folder, entry.name)];
    if (entry.isFile()) cpSync(source, target);
    else if (!entry.name.startsWith('@')) symlinkSync(source, target, 'junction');
    else {
      mkdirSync(target);
      for (const name of readdirSync(source)) symlinkSync(join(source, name), join(target, name), 'junction');
    }
  }
}

/** Whether this machine has a program that plays a terminal: `script` of util-linux. */
export const hasTerminal = () => spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true;

/** As when the machine loses power: the script and all it has started are gone at once. */
function killTree(pid) {
  if (windows) return void spawnSync('taskkill', ['/PID', String(pid), '/T', '/F'], { stdio: 'ignore' });
  const rows = spawnSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' }).stdout.trim().split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  const all = [pid];
  for (const parent of all) all.push(...rows.filter(([, of]) => of === parent).map(([id]) => id));
  for (const id of all) {
    try {
      process.kill(id, 'SIGKILL');
    } catch {
      // already gone
    }
  }
}

