// Where things are: the repository, and the cache that all clones of a user share.

import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const windows = process.platform === 'win32';
export const exe = windows ? '.exe' : '';

/** Tools built once per user, so that a fresh clone on the same machine need not build them again. */
export const cache = join(cacheHome(), 'one-balance');

export const inRoot = (...parts) => join(root, ...parts);

function cacheHome() {
  if (process.env.XDG_CACHE_HOME) return process.env.XDG_CACHE_HOME;
  if (windows) return process.env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches');
  return join(homedir(), '.cache');
}
