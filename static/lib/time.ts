// One clock for the whole page, set by the Worker's, so that countdowns agree with what it does.

import { useEffect, useState } from 'preact/hooks';

let ahead = 0;

/** Takes the Worker's `Date` header. It has whole seconds; small differences are the network's. */
export function setClock(date: string | null) {
  const at = Date.parse(date ?? '');
  if (!Number.isFinite(at)) return;
  const by = at + 500 - Date.now();
  ahead = Math.abs(by) > 3_000 ? by : 0;
}

export const now = () => Date.now() + ahead;

const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function tick() {
  if (document.hidden) return;
  for (const listener of [...listeners]) listener();
}

/** The time, each second. */
export function useNow(every = SECOND): number {
  const [time, set] = useState(now);
  useEffect(() => {
    let last = now();
    const listener = () => {
      const at = now();
      if (at - last < every - 50) return;
      last = at;
      set(at);
    };
    listeners.add(listener);
    timer ??= setInterval(tick, SECOND);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  }, [every]);
  return time;
}
