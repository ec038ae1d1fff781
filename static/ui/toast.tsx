// What was done, for a moment, and a button to undo it.

import { useEffect, useState } from 'preact/hooks';
import { t } from '../i18n';
import { number } from '../lib/format';
import { store, useStore } from '../lib/store';
import { IconButtonBare } from './bare';
import { top } from './dialog';

interface Toast {
  id: number;
  text: string;
  /** When it goes. */
  until: number;
  action?: { text: string; run: () => unknown } | undefined;
}

const toasts = store<Toast[]>([]);
let last = 0;

export function dismiss(id: number) {
  toasts.update((all) => all.filter((one) => one.id !== id));
}

/** Says something. One with an action stays for a minute, unless told otherwise. */
export function toast(text: string, action?: Toast['action'], ms = action ? 60_000 : 5_000): number {
  const id = ++last;
  toasts.update((all) => [...all.slice(-2), { id, text, until: Date.now() + ms, action }]);
  setTimeout(() => dismiss(id), ms);
  return id;
}

function One({ it }: { it: Toast }) {
  const left = () => Math.max(0, Math.ceil((it.until - Date.now()) / 1000));
  const [seconds, set] = useState(left);
  useEffect(() => {
    if (!it.action) return;
    const timer = setInterval(() => set(left()), 1_000);
    return () => clearInterval(timer);
  }, [it.id]);
  return (
    <div class="toast">
      <span class="grow" role="status">{it.text}</span>
      {it.action && (
        <button type="button" onClick={() => { dismiss(it.id); void it.action?.run(); }}>
          {it.action.text}<span aria-hidden="true"> {number(seconds)}</span>
        </button>
      )}
      {it.action && <IconButtonBare label={t.close} onClick={() => dismiss(it.id)} />}
    </div>
  );
}

/** Where they are shown: in the dialog on top, if any, since all behind it cannot be reached. */
export function Toasts({ level }: { level: number }) {
  const all = useStore(toasts);
  const current = useStore(top);
  return <div class="toasts" aria-live="polite">{current === level && all.map((it) => <One key={it.id} it={it} />)}</div>;
}
