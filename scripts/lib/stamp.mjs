// Content hashes, and stamps: a file that says for which content a result was made. A stamp is
// written last, so that an interrupted step is done again.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inRoot } from './paths.mjs';

/** One hash over files and folders of the repository, names included; missing ones count as empty. */
export function hashOf(...paths) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap(filesIn).sort()) {
    hash.update(`${path.replaceAll('\\', '/')}\0`);
    hash.update(createHash('sha256').update(readFileSync(inRoot(path))).digest());
  }
  return hash.digest('hex');
}

export function isStamped(file, value) {
  try {
    return readFileSync(file, 'utf8') === value;
  } catch {
    return false;
  }
}

export function stamp(file, value) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, value);
}

export const unstamp = (file) => rmSync(file, { force: true });

function filesIn(path) {
  const found = statSync(inRoot(path), { throwIfNoEntry: false });
  if (!found) return [];
  if (!found.isDirectory()) return [path];
  return readdirSync(inRoot(path)).flatMap((name) => filesIn(join(path, name)));
}
