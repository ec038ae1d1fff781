// The reader's language. `t` holds its words; after a change the whole page is drawn anew.

import { remember, remembered, store } from '../lib/store';
import { type Words, en } from './en';
import { zh } from './zh';

export type Language = 'en' | 'zh';
const WORDS: Record<Language, Words> = { en, zh };

function first(): Language {
  const chosen = remembered('language');
  if (chosen === 'en' || chosen === 'zh') return chosen;
  // The first of the reader's languages that is one of ours.
  for (const one of navigator.languages) {
    if (/^zh\b/i.test(one)) return 'zh';
    if (/^en\b/i.test(one)) return 'en';
  }
  return 'en';
}

export const language = store<Language>(first());

/** The words of the language. */
export let t: Words = WORDS[language.get()];

/** How numbers and times are written. English ones as the reader's region does. */
export const locale = () =>
  language.get() === 'zh'
    ? (navigator.languages.find((one) => /^zh\b/i.test(one)) ?? 'zh-CN')
    : (navigator.languages.find((one) => /^en\b/i.test(one)) ?? 'en');

function apply() {
  t = WORDS[language.get()];
  document.documentElement.lang = language.get() === 'zh' ? 'zh-CN' : 'en';
}
apply();
language.watch(apply);

export function choose(chosen: Language) {
  remember('language', chosen);
  language.set(chosen);
}
