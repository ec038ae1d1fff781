// Folders for work in progress, in the cache, so that a finished result is moved to its place by
// one rename. Each process has its own; what processes that are gone have left is removed.

import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './paths.mjs';
import { isAlive } from './run.mjs';

const all = join(cache, 'tmp');
const own = join(all, String(process.pid));

export function scratch(name) {
  mkdirSync(own, { recursive: true });
  for (const pid of readdirSync(all)) {
    if (!isAlive(Number(pid))) rmSync(join(all, pid), { recursive: true, force: true });
  }
  return join(own, name);
}

export function removeScratch() {
  try {
    rmSync(own, { recursive: true, force: true });
  } catch {
    // A program that is just being ended still writes there; the next run removes it.
  }
}
