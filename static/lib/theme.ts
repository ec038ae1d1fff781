// Light or dark: as the system has it, unless chosen by hand.

import { remember, remembered, store } from './store';

export type Theme = 'system' | 'light' | 'dark';
export const THEMES: Theme[] = ['system', 'light', 'dark'];

const first = remembered('theme');
export const theme = store<Theme>(first === 'light' || first === 'dark' ? first : 'system');

const dark = matchMedia('(prefers-color-scheme: dark)');

function apply() {
  const chosen = theme.get();
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}
apply();
theme.watch(() => {
  remember('theme', theme.get() === 'system' ? null : theme.get());
  apply();
});

/** Grows when the colours change: what is drawn must be drawn again. */
export const colours = store(0);
const redraw = () => colours.update((n) => n + 1);
theme.watch(redraw);
dark.addEventListener('change', redraw);
