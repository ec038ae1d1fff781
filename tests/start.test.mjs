// `npm start` in a folder of its own, as the README says, and then the README's own commands, word for
// word but for the port.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { isBuilt } from '../scripts/build.mjs';
import { linkPackages } from './cloudflare/clone.mjs';
import { eventually, root } from './harness.mjs';

/** All but what a clone does not have; `build`, so that it need not be built again, comes along. */
const LEFT_OUT = ['.git', '.wrangler', '.dev.vars', 'backups', 'node_modules', 'target', 'tools'];
const READMES = ['README.md', 'README.zh.md'].filter((name) => existsSync(join(root, name)));
const PORT = 8787;
const PATIENCE_MS = 180_000;

const windows = process.platform === 'win32';
const has = (command) => spawnSync(command, ['--version']).status === 0;
const skip = windows ? 'the commands are for a POSIX shell' : !has('curl') || !has('bash') ? 'there is no curl or no bash' : false;

/** The commands of a document's sh blocks that talk to the local Worker; lines that go on are joined. */
export function localCommands(text) {
  const blocks = [...text.matchAll(/^```(?:sh|bash)\n([^]*?)^```/gm)].map((match) => match[1]);
  return blocks.flatMap((block) => block.replaceAll('\\\n', ' ').split('\n')).filter((line) => line.startsWith('curl ') && line.includes(`127.0.0.1:${PORT}`));
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

describe('from a clone to the first answer', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'one-balance-start-'));
  const programs = [];
  after(async () => {
    for (const program of programs) await program.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  /** Starts a program in a group of its own; `says` waits for what it prints. */
  function start(command, args, env = {}) {
    const child = spawn(command, args, { cwd: folder, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const program = { child, text: '' };
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (program.text += chunk));
    const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
    program.says = (pattern) =>
      eventually(
        () => {
          if (child.exitCode !== null) throw new Error(`${command} ended:\n${program.text}`);
          return pattern.exec(program.text) ?? false;
        },
        { within: PATIENCE_MS },
      );
    program.stop = async (signal = 'SIGKILL') => {
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, signal);
      return ended;
    };
    programs.push(program);
    return program;
  }

  let port;
  let token;
  let npm;

  test('npm start runs everything, and says where and with which token', async () => {
    assert.ok(isBuilt(), 'build/ is out of date: `npm run build`, and with BUILD=quick where that was used');
    for (const name of readdirSync(root)) if (!LEFT_OUT.includes(name)) cpSync(join(root, name), join(folder, name), { recursive: true });
    linkPackages(join(folder, 'node_modules'));
    // The simulator that is built already; `npm start` would build its own.
    const sim = start(join(root, 'tools/gateway-sim/target/release/gateway-sim'), ['--port', '0', '--open', '--exit-with-stdin']);
    const [, address] = await sim.says(/listening on (http:\S+)/);
    port = await freePort();
    npm = start('npm', ['start', '--', '--port', String(port)], {
      GATEWAY_URL: `${address}/v1/local/one-balance`,
    });
    await npm.says(/Ctrl-C stops everything/);
    assert.match(npm.text, new RegExp(`Page +http://127\\.0\\.0\\.1:${port}/`));
    token = /Token +(sk-ob-[\w-]+)/.exec(npm.text)?.[1];
    assert.ok(token, npm.text);
    assert.equal(statSync(join(folder, '.dev.vars')).mode & 0o777, 0o600);
  });

  test('the README’s commands work as they stand there', async () => {
    assert.ok(token, 'it runs');
    const added = await fetch(`http://127.0.0.1:${port}/admin/api/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ provider: 'google-ai-studio', keys: 'AIza-demo-key-1' }),
    });
    assert.equal(added.status, 200, await added.text());
    for (const name of READMES) {
      const commands = localCommands(readFileSync(join(root, name), 'utf8'));
      assert.ok(commands.length >= 2, `${name} has commands to copy`);
      for (const command of commands) {
        const { status, stdout, stderr } = spawnSync('bash', ['-c', command.replaceAll(`127.0.0.1:${PORT}`, `127.0.0.1:${port}`)], { encoding: 'utf8', env: { ...process.env, TOKEN: token, NO_PROXY: '127.0.0.1' }, timeout: PATIENCE_MS });
        assert.equal(status, 0, `${command}\n${stderr}`);
        assert.match(stdout, /"(choices|candidates|content|data|keys|models)"/, `${command}\n${stdout}`);
        assert.doesNotMatch(stdout, /^\s*\{"error"/, command);
      }
    }
  });

  test('the commands that npm start prints work as they stand there', async () => {
    const commands = npm.text.split('\n').map((line) => line.trim()).filter((line) => line.startsWith('curl '));
    assert.equal(commands.length, 3, npm.text);
    for (const command of commands) {
      const { status, stdout, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8', env: { ...process.env, NO_PROXY: '127.0.0.1' }, timeout: PATIENCE_MS });
      assert.equal(status, 0, `${command}\n${stderr}`);
      assert.doesNotMatch(stdout, /"error":\{/, `${command}\n${stdout}`);
    }
  });

  test('Ctrl-C ends everything', async () => {
    await npm.stop('SIGINT');
    await eventually(async () => {
      const gone = await fetch(`http://127.0.0.1:${port}/healthz`).then(() => false, () => true);
      return gone;
    });
  });
});
