// Numbers and times, as the reader's language writes them.

import { locale, t } from '../i18n';
import { DAY, HOUR, MINUTE } from './time';

const cache = new Map<string, unknown>();

/** Intl's formatters are slow to make and quick to use. */
function kept<T>(kind: string, options: object, make: () => T): T {
  const name = `${locale()} ${kind} ${JSON.stringify(options)}`;
  let found = cache.get(name) as T | undefined;
  if (!found) cache.set(name, (found = make()));
  return found;
}

const numberFormat = (options: Intl.NumberFormatOptions) => kept('n', options, () => new Intl.NumberFormat(locale(), options));
const dateFormat = (options: Intl.DateTimeFormatOptions) => kept('d', options, () => new Intl.DateTimeFormat(locale(), options));

export const number = (value: number) => numberFormat({}).format(value);
/** 12,345 as 12.3K, for where there is little room. */
export const short = (value: number) => (value < 10_000 ? number(value) : numberFormat({ notation: 'compact', maximumFractionDigits: 1 }).format(value));

/** A share. One that is not all never looks like all, nor like none. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return '–';
  const share = part / whole;
  const digits = share > 0.99 && share < 1 ? 2 : share < 0.1 && share > 0 ? 2 : 1;
  const step = 10 ** -(digits + 2);
  const shown = part === whole || part === 0 ? share : Math.min(1 - step, Math.max(step, share));
  return numberFormat({ style: 'percent', maximumFractionDigits: digits }).format(shown);
}

export const fullTime = (at: number) => dateFormat({ dateStyle: 'full', timeStyle: 'long' }).format(at);
/** The start of an hour, for where there is little room. */
export const hourTime = (at: number) => dateFormat({ hour: 'numeric', ...(locale().startsWith('zh') ? { minute: '2-digit' } : {}) }).format(at);
export const clockSeconds = (at: number) => dateFormat({ timeStyle: 'medium' }).format(at);

export function dateTime(at: number): string {
  const thisYear = new Date(at).getFullYear() === new Date().getFullYear();
  return dateFormat({ ...(thisYear ? {} : { year: 'numeric' }), month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' }).format(at);
}

/** A day of the statistics; they are counted in UTC. */
export const utcDay = (at: number) => dateFormat({ timeZone: 'UTC', month: 'short', day: 'numeric' }).format(at);
export const date = (at: number) => dateFormat({ dateStyle: 'medium' }).format(at);

/** "3 hours ago", in the largest unit that fits. */
export function ago(at: number, now: number): string {
  const by = at - now;
  const size = Math.abs(by);
  const relative = kept('r', {}, () => new Intl.RelativeTimeFormat(locale(), { numeric: 'auto', style: 'short' }));
  if (size < 45_000) return t.time.justNow;
  if (size < 59.5 * MINUTE) return relative.format(Math.round(by / MINUTE), 'minute');
  if (size < 23.5 * HOUR) return relative.format(Math.round(by / HOUR), 'hour');
  if (size < 30 * DAY) return relative.format(Math.round(by / DAY), 'day');
  if (size < 365 * DAY) return relative.format(Math.round(by / (30.44 * DAY)), 'month');
  return relative.format(Math.round(by / (365.25 * DAY)), 'year');
}

/** The two largest units of a duration: "2 h 5 min". */
export function duration(ms: number): string {
  let seconds = Math.max(0, Math.ceil(ms / 1000));
  const units = [[86_400, t.time.d], [3_600, t.time.h], [60, t.time.min], [1, t.time.s]] as const;
  const parts: string[] = [];
  for (const [size, unit] of units) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count > 0) parts.push(`${count}${t.time.gap}${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length > 0 ? parts.join(t.time.gap) : `0${t.time.gap}${t.time.s}`;
}

/** 1,234 ms or 1.2 s. */
export const took = (ms: number) => (ms < 1_000 ? `${number(Math.round(ms))} ${t.time.ms}` : `${numberFormat({ maximumFractionDigits: 1 }).format(ms / 1000)} ${t.time.s}`);
export const size = (bytes: number) => (bytes < 1_000 ? `${bytes} B` : bytes < 1_000_000 ? `${numberFormat({ maximumFractionDigits: 1 }).format(bytes / 1e3)} KB` : `${numberFormat({ maximumFractionDigits: 1 }).format(bytes / 1e6)} MB`);
