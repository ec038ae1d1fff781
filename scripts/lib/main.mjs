// How every script begins and ends.

import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endAll } from './run.mjs';
import { Failure, clearStatus, fail, red } from './say.mjs';
import { removeScratch } from './scratch.mjs';

const NODE = [20, 3]; // what wrangler needs

/** Runs `work` when `url` is the script that was started, and not when another one imports it. */
export async function main(url, work) {
  if (!isStarted(url)) return;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt(signal));
  try {
    requireNode();
    await work(process.argv.slice(2));
  } catch (error) {
    if (stopping) return;
    clearStatus();
    process.stderr.write(`\n${red(error instanceof Failure ? error.message : unexpected(error))}\n`);
    process.exitCode = 1;
    endAll();
  } finally {
    removeScratch();
  }
}

/** Links are followed: both may be written in more than one way. */
const isStarted = (url) =>
  process.argv[1] !== undefined && realpathSync(fileURLToPath(url)) === realpathSync(process.argv[1]);

let stopping = false;

/** Whether the script is ending because it was asked to. */
export const stopped = () => stopping;

export function interrupt(signal) {
  if (stopping) return;
  stopping = true;
  clearStatus();
  endAll();
  process.exitCode = signal === 'SIGINT' ? 130 : 143;
}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE[0] || (major === NODE[0] && minor >= NODE[1])) return;
  fail(
    `Node ${process.versions.node} is too old: install Node ${NODE.join('.')} or later from https://nodejs.org and run this again.`,
  );
}

function unexpected(error) {
  if (process.env.ONE_BALANCE_DEBUG) return error?.stack ?? String(error);
  return `This should not have happened: ${error?.message ?? error}. Set ONE_BALANCE_DEBUG=1 to see where.`;
}
