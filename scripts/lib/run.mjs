// Starts other programs: to their end (`run`, `capture`) or to stay (`keep`).

import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { explain } from './explain.mjs';
import { fail, hushSteps } from './say.mjs';
import { root, windows } from './paths.mjs';

const leash = fileURLToPath(new URL('leash.mjs', import.meta.url));

/** What is still running, so that an interrupted script leaves nothing behind. */
const alive = new Set();
let ending = false;

/**
 * Runs a program to its end. Every line goes to `onLine`; carriage returns count as line ends,
 * because progress bars use them. Lines that match `quiet` are not kept in the output.
 */
export function run(command, args, { cwd = root, env, onLine = () => {}, quiet, shell } = {}) {
  if (ending) return new Promise(() => {});
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
      shell,
      // A group of its own, so that all of it can be ended: see endAll.
      detached: !windows,
    });
    alive.add(child);
    const output = [];
    const take = (line) => {
      if (line.trim() && !quiet?.test(line)) output.push(line);
      onLine(line);
    };
    const flushes = [child.stdout, child.stderr].map((stream) => eachLine(stream, take));
    child.on('error', (error) => {
      alive.delete(child);
      reject(error);
    });
    child.on('close', (code, signal) => {
      alive.delete(child);
      for (const flush of flushes) flush();
      resolve({ ok: code === 0, code: code ?? signal, output });
    });
  });
}

/**
 * Runs a program that has to succeed. When it does not, the reader is told what to do about it:
 * the known cause if there is one, else what the program printed and `sentence`.
 */
export async function mustRun(command, args, options, sentence) {
  const result = await run(command, args, options);
  if (!result.ok) giveUp(result.output, sentence);
  return result;
}

export function giveUp(output, sentence) {
  const text = output.slice(-60).join('\n');
  fail(explain(text) ?? `${text}\n\n${sentence}`);
}

/** A program's first output, or undefined when it cannot be run or fails. */
export function capture(command, args, { cwd = root, env } = {}) {
  const result = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    windowsHide: true,
  });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/**
 * Starts a program that stays. It and all it starts end with `stop()`, and also when this process
 * dies without a word: see leash.mjs.
 */
export function keep(command, args, { cwd = root, env, onLine = () => {} } = {}) {
  const child = spawn(process.execPath, [leash, command, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
    // Its own group: Ctrl-C reaches this script only, which then ends things in order.
    detached: !windows,
  });
  alive.add(child);
  const flushes = [child.stdout, child.stderr].map((stream) => eachLine(stream, onLine));
  child.stdin.on('error', () => {});
  const ended = new Promise((resolve) => {
    child.on('error', () => resolve('could not start'));
    child.on('close', (code, signal) => {
      alive.delete(child);
      for (const flush of flushes) flush();
      resolve(code ?? signal);
    });
  });
  return {
    pid: child.pid,
    ended,
    running: () => alive.has(child),
    stop: () => {
      child.stdin.end();
      return ended;
    },
  };
}

/** Ends all that still runs; for failures and signals. */
export function endAll() {
  ending = true; // what runs beside must not start anything more
  hushSteps();
  for (const child of alive) {
    if (child.stdin) child.stdin.end(); // its leash does the rest
    else endTree(child.pid);
  }
}

export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function endTree(pid) {
  if (pid === undefined) return;
  if (windows) {
    spawnSync('taskkill', ['/PID', String(pid), '/T', '/F'], { stdio: 'ignore' });
    return;
  }
  try {
    process.kill(-pid, 'SIGTERM');
  } catch {
    // already gone
  }
}

function eachLine(stream, onLine) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk) => {
    const lines = (rest + chunk).split(/\r?\n|\r/);
    rest = lines.pop();
    for (const line of lines) onLine(line);
  });
  return () => {
    if (rest) onLine(rest);
    rest = '';
  };
}
