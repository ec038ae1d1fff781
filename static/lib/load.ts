// What a view shows is loaded here: kept while it is loaded again, so that nothing jumps; loaded
// again now and then while someone looks; changed at once by an action, and back when that fails.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Failure } from './api';
import { MINUTE } from './time';

interface Entry {
  data: unknown;
  at: number;
  listeners: Set<() => void>;
}

const entries = new Map<string, Entry>();
const MOST_ENTRIES = 60;

function entry(name: string): Entry {
  let found = entries.get(name);
  if (!found) {
    found = { data: undefined, at: 0, listeners: new Set() };
    entries.set(name, found);
    for (const [old, { listeners }] of entries) {
      if (entries.size <= MOST_ENTRIES) break;
      if (old !== name && listeners.size === 0) entries.delete(old);
    }
  }
  return found;
}

function put(name: string, data: unknown, at = Date.now()) {
  const it = entry(name);
  it.data = data;
  it.at = at;
  for (const listener of [...it.listeners]) listener();
}

/** What is kept under names that begin so is loaded again where it is shown, and forgotten elsewhere. */
export function stale(...prefixes: string[]) {
  for (const [name, it] of [...entries]) {
    if (!prefixes.some((prefix) => name.startsWith(prefix))) continue;
    if (it.listeners.size === 0) entries.delete(name);
    else for (const again of [...(reloaders.get(name) ?? [])]) again();
  }
}

/** Nothing of one administrator is shown to the next. */
export function forgetAll() {
  entries.clear();
}

/** Changes what is shown under names that begin so; returns what takes the change back. */
export function change<T>(prefix: string, how: (data: T) => T): () => void {
  const before: [string, unknown][] = [];
  for (const [name, it] of entries) {
    if (!name.startsWith(prefix) || it.data === undefined) continue;
    before.push([name, it.data]);
    put(name, how(it.data as T), it.at);
  }
  return () => {
    for (const [name, data] of before) if (entries.has(name)) put(name, data, entry(name).at);
  };
}

const reloaders = new Map<string, Set<() => void>>();

// Nobody looks at a page that has not been touched for so long.
const IDLE_AFTER = 15 * MINUTE;
let active = Date.now();
for (const event of ['pointerdown', 'pointermove', 'keydown', 'scroll']) {
  addEventListener(event, () => (active = Date.now()), { passive: true, capture: true });
}
const watched = () => !document.hidden && Date.now() - active < IDLE_AFTER;

export interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  loading: boolean;
  /** When the data came. */
  at: number;
  again: () => Promise<void>;
}

/**
 * Loads under a name (what is asked, as text) and again `every` so many milliseconds. An empty name
 * loads nothing. `keep`: until the new name has an answer, what was shown last stays.
 */
export function useLoad<T>(name: string, load: (signal: AbortSignal) => Promise<T>, { every = 0, keep = false } = {}): Loaded<T> {
  const [, redraw] = useState(0);
  const state = useRef<{ error: unknown; loading: boolean; running: AbortController | undefined; last: T | undefined }>({
    error: undefined, loading: false, running: undefined, last: undefined,
  });
  const latest = useRef(load);
  latest.current = load;

  const again = useCallback(async () => {
    if (!name) return;
    const it = state.current;
    it.running?.abort();
    const mine = (it.running = new AbortController());
    it.loading = true;
    redraw((n) => n + 1);
    try {
      const data = await latest.current(mine.signal);
      if (mine.signal.aborted) return;
      it.error = undefined;
      it.loading = false;
      put(name, data);
    } catch (error) {
      if (mine.signal.aborted) return;
      it.error = error;
      it.loading = false;
      redraw((n) => n + 1);
    }
  }, [name]);

  useEffect(() => {
    if (!name) return;
    const it = entry(name);
    const listener = () => redraw((n) => n + 1);
    it.listeners.add(listener);
    const all = reloaders.get(name) ?? new Set();
    reloaders.set(name, all);
    const reload = () => void again();
    all.add(reload);
    state.current.error = undefined;
    // What another view loaded a moment ago need not be asked for twice.
    if (it.data === undefined || Date.now() - it.at > 2_000) reload();

    let failures = 0;
    let next = Date.now() + every;
    const timer = every
      ? setInterval(() => {
          if (!watched() || Date.now() < next || state.current.loading) return;
          failures = state.current.error ? failures + 1 : 0;
          next = Date.now() + every * Math.min(8, 2 ** failures);
          reload();
        }, 1_000)
      : undefined;
    return () => {
      clearInterval(timer);
      it.listeners.delete(listener);
      all.delete(reload);
      state.current.running?.abort();
      state.current.loading = false;
    };
  }, [name, every, again]);

  const found = name ? entries.get(name) : undefined;
  const data = found?.data as T | undefined;
  if (data !== undefined) state.current.last = data;
  const shown = data ?? (keep && name ? state.current.last : undefined);
  return {
    data: shown,
    error: state.current.error,
    loading: state.current.loading || (Boolean(name) && data === undefined && !state.current.error),
    at: found?.at ?? 0,
    again,
  };
}

/** An error that another try may mend: everything but what the API refuses for good. */
export const mayPass = (error: unknown) => !(error instanceof Failure) || error.status === 0 || error.status >= 429;
