// Changing keys: shown at once, taken back when the Worker refuses, undone by the reader for a minute.

import { t } from '../i18n';
import { inWords, post } from './api';
import { change, stale } from './load';
import type { Changed, Filter, Key, KeyPage } from './types';
import { toast } from '../ui/toast';

/** Which keys: those chosen one by one, or all that match. */
export type Chosen = { ids: number[] } | { filter: Filter; expect: number };

export const countOf = (chosen: Chosen) => ('ids' in chosen ? chosen.ids.length : chosen.expect);

export type ActionName =
  | 'delete' | 'disable' | 'enable' | 'restore' | 'clear_coolings'
  | 'set_remark' | 'set_project' | 'set_priority' | 'add_tags' | 'remove_tags' | 'set_tags';

export interface Extra { remark?: string; project?: string; priority?: number; tags?: string[] }

/** Everything that shows keys or counts of them. */
export const refreshKeys = () => stale('keys ', 'key ', 'providers', 'overview ');

/** How a key looks after it; `null`: it is gone. */
function after(key: Key, action: ActionName, extra: Extra): Key | null {
  switch (action) {
    case 'delete': return null;
    case 'disable': return { ...key, state: 'disabled', reason: null };
    case 'enable': return key.state === 'disabled' ? { ...key, state: 'ready' } : key;
    case 'restore': return { ...key, state: 'ready', reason: null, coolings: [] };
    case 'clear_coolings': return { ...key, state: key.state === 'cooling' ? 'ready' : key.state, coolings: [] };
    case 'set_remark': return { ...key, remark: extra.remark ?? '' };
    case 'set_project': return { ...key, project: extra.project ?? '' };
    case 'set_priority': return { ...key, priority: extra.priority ?? 0 };
    case 'set_tags': return { ...key, tags: extra.tags ?? [] };
    case 'add_tags': return { ...key, tags: [...new Set([...key.tags, ...(extra.tags ?? [])])] };
    case 'remove_tags': return { ...key, tags: key.tags.filter((tag) => !extra.tags?.includes(tag)) };
  }
}

/** Resolves to whether it was done; says what was done, and how to take it back. */
export async function act(chosen: Chosen, action: ActionName, extra: Extra = {}): Promise<boolean> {
  const ids = 'ids' in chosen ? new Set(chosen.ids) : null;
  const back = change<KeyPage>('keys ', (page) => {
    const keys = page.keys.map((key) => (!ids || ids.has(key.id) ? after(key, action, extra) : key)).filter((key) => key !== null);
    return { ...page, keys, total: Math.max(0, page.total - (page.keys.length - keys.length)) };
  });
  try {
    const { changed, undo } = await post<Changed>('keys/actions', { ...chosen, action, ...extra });
    toast(t.keys.did[action](changed), undo ? { text: t.undo, run: () => takeBack(undo.id) } : undefined);
    refreshKeys();
    return true;
  } catch (error) {
    back();
    toast(inWords(error), undefined, 8_000);
    refreshKeys();
    return false;
  }
}

async function takeBack(id: string) {
  try {
    const { changed } = await post<{ changed: number }>('keys/undo', { id });
    toast(t.undone(changed));
  } catch (error) {
    toast(inWords(error));
  }
  refreshKeys();
}

/** Saves a file. */
export function saveFile(name: string, type: string, text: string) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Tags as they are typed: separated by commas, each once. */
export const tagsOf = (text: string) => [...new Set(text.split(/[,，]/).map((tag) => tag.trim()).filter(Boolean))];

/** What may be a whole key must not stand in an address, where histories and logs keep it. */
export const maybeSecret = (text: string) => /^[\x21-\x7e]{16,}$/.test(text.trim()) && !text.includes('@');
