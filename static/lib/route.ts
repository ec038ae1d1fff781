// Where in the page one is: `#/keys/google-ai-studio?state=cooling`. Never holds a secret.

import { useEffect, useState } from 'preact/hooks';

export interface Route {
  /** The segments of the path, decoded. */
  path: string[];
  query: URLSearchParams;
}

function read(): Route {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  return { path: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // typed by hand
  }
}

/** An address within the page. Parameters that are empty are left out. */
export function to(path: string[], query: Record<string, string | number | undefined> = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') parameters.set(name, String(value));
  const text = parameters.toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`;
}

const listeners = new Set<() => void>();
let current = read();
let shown = location.hash;

function changed() {
  if (location.hash === shown) return;
  shown = location.hash;
  current = read();
  for (const listener of listeners) listener();
}
addEventListener('hashchange', changed);

/** Goes there. `replace`: without a step in the history, as for what is typed into a search. */
export function go(address: string, { replace = false } = {}) {
  if (address === location.hash) return;
  if (replace) history.replaceState(null, '', address);
  else location.hash = address;
  changed();
}

export const route = () => current;

export function useRoute(): Route {
  const [value, set] = useState(current);
  useEffect(() => {
    const listener = () => set(current);
    listeners.add(listener);
    listener();
    return () => void listeners.delete(listener);
  }, []);
  return value;
}
