// Runs a program for as long as this process's standard input is open, then ends it with all it
// has started. Whoever holds the other end may die in any way: the pipe closes all the same.

import { spawn, spawnSync } from 'node:child_process';

const GRACE_MS = 3_000;

const [command, ...args] = process.argv.slice(2);
const windows = process.platform === 'win32';
const child = spawn(command, args, {
  stdio: ['pipe', 'inherit', 'inherit'],
  windowsHide: true,
  // A group of its own, so that one signal reaches its children too.
  detached: !windows,
});

child.on('error', (error) => {
  console.error(`${command}: ${error.message}`);
  process.exit(127);
});
child.on('exit', (code, signal) => {
  killGroup('SIGKILL'); // stragglers
  process.exit(code ?? (signal ? 143 : 1));
});

process.stdin.resume();
process.stdin.on('end', end);
process.stdin.on('error', end);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);

let ending = false;
function end() {
  if (ending) return;
  ending = true;
  child.stdin.end();
  killGroup('SIGTERM');
  setTimeout(() => {
    killGroup('SIGKILL');
    process.exit(143);
  }, GRACE_MS);
}

function killGroup(signal) {
  if (child.pid === undefined) return;
  if (windows) {
    spawnSync('taskkill', ['/PID', String(child.pid), '/T', '/F'], { stdio: 'ignore' });
    return;
  }
  try {
    process.kill(-child.pid, signal);
  } catch {
    // already gone
  }
}
