// A value that several parts of the page look at, and what the browser remembers.

import { useEffect, useState } from 'preact/hooks';

export interface Store<T> {
  get(): T;
  set(value: T): void;
  update(change: (value: T) => T): void;
  watch(listener: () => void): () => void;
}

export function store<T>(first: T): Store<T> {
  let value = first;
  const listeners = new Set<() => void>();
  const it: Store<T> = {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    update: (change) => it.set(change(value)),
    watch(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return it;
}

export function useStore<T>(from: Store<T>): T {
  const [, again] = useState(0);
  useEffect(() => {
    let seen = from.get();
    const listener = () => {
      seen = from.get();
      again((n) => n + 1);
    };
    const stop = from.watch(listener);
    if (!Object.is(seen, from.get())) listener();
    return stop;
  }, [from]);
  return from.get();
}

/** Storage can be switched off; then nothing is remembered. Never for secrets. */
export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`one-balance.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string | null) {
  try {
    if (value === null) localStorage.removeItem(`one-balance.${name}`);
    else localStorage.setItem(`one-balance.${name}`, value);
  } catch {
    // It works all the same.
  }
}
