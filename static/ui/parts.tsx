// The small things that every view is made of.

import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { inWords } from '../lib/api';
import { ago, dateTime, duration, fullTime } from '../lib/format';
import { mayPass } from '../lib/load';
import { MINUTE, useNow } from '../lib/time';
import { Icon, type IconName, StateIcon } from './icon';
import { toast } from './toast';

type ButtonProps = Omit<JSX.IntrinsicElements['button'], 'icon' | 'size'> & {
  icon?: IconName;
  kind?: 'primary' | 'bare' | 'danger' | 'danger primary';
  small?: boolean;
  /** Under way: it cannot be pressed again, and says so. */
  busy?: boolean;
};

/** A busy one cannot be pressed, but keeps the focus, which a disabled one would lose. */
const whenBusy = (busy: boolean | undefined) => (busy ? { 'aria-disabled': true, onClick: (event: Event) => event.preventDefault() } : {});

export function Button({ icon, kind, small, busy, children, class: more, ...rest }: ButtonProps) {
  return (
    <button type="button" {...rest} {...whenBusy(busy)} class={`button ${kind ?? ''} ${small ? 'small' : ''} ${more ?? ''}`} aria-busy={busy || undefined}>
      {busy ? <Spinner /> : icon && <Icon name={icon} size={small ? 16 : 18} />}
      {children}
    </button>
  );
}

/** A button that is a picture; its name is read out and shown as a tip. */
export function IconButton({ icon, label, small, kind = 'bare', busy, class: more, ...rest }: ButtonProps & { icon: IconName; label: string }) {
  return (
    <button type="button" title={label} {...rest} {...whenBusy(busy)} class={`button icon ${kind} ${small ? 'small' : ''} ${more ?? ''}`} aria-label={label}>
      {busy ? <Spinner /> : <Icon name={icon} size={small ? 16 : 18} />}
    </button>
  );
}

export const Spinner = ({ size = 16 }: { size?: number }) => (
  <svg class="spin" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round">
    <circle cx="10" cy="10" r="7" opacity=".25" /><path d="M17 10a7 7 0 0 0-7-7" />
  </svg>
);

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  wrong?: string | undefined;
  class?: string;
  children: (ids: { id: string; 'aria-describedby': string | undefined; 'aria-invalid': boolean | undefined }) => ComponentChildren;
}

/** A control with its name, a hint, and what is wrong with what was entered. */
export function Field({ label, hint, wrong, class: more, children }: FieldProps) {
  const id = useId();
  const about = [hint ? `${id}-h` : '', wrong ? `${id}-w` : ''].filter(Boolean).join(' ');
  return (
    <div class={`field ${more ?? ''}`}>
      <label for={id}>{label}</label>
      {children({ id, 'aria-describedby': about || undefined, 'aria-invalid': wrong ? true : undefined })}
      {hint && <div class="hint" id={`${id}-h`}>{hint}</div>}
      {wrong && <div class="wrong" id={`${id}-w`} role="alert">{wrong}</div>}
    </div>
  );
}

export function Check({ label, hint, checked, disabled, onChange }: {
  label: ComponentChildren; hint?: ComponentChildren; checked: boolean; disabled?: boolean; onChange: (checked: boolean) => void;
}) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} disabled={disabled ?? false} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span>{label}{hint && <span class="soft small"><br />{hint}</span>}</span>
    </label>
  );
}

/** A choice of few that is made at once. */
export function Segments<T extends string>({ label, value, options, onChange, wrap }: {
  wrap?: boolean; label: string; value: T; options: readonly { value: T; text: ComponentChildren }[]; onChange: (value: T) => void;
}) {
  return (
    <div class={`segments ${wrap ? 'wrap' : ''}`} role="group" aria-label={label}>
      {options.map((one) => (
        <button key={one.value} type="button" aria-pressed={one.value === value} onClick={() => onChange(one.value)}>{one.text}</button>
      ))}
    </div>
  );
}

export function State({ state, children }: { state: string; children?: ComponentChildren }) {
  const words: Record<string, string> = t.states;
  return <span class={`state ${state}`}><StateIcon state={state} />{children ?? words[state] ?? state}</span>;
}

export function Notice({ kind, title, children, action, alert }: {
  kind: 'bad' | 'wait' | 'good' | 'info'; title?: ComponentChildren; children?: ComponentChildren; action?: ComponentChildren; alert?: boolean;
}) {
  return (
    <div class={`notice ${kind}`} role={alert ? 'alert' : undefined}>
      <Icon name={kind === 'good' ? 'check' : kind === 'info' ? 'info' : 'warning'} />
      <div class="grow stack close">{title && <strong>{title}</strong>}{children && <div>{children}</div>}</div>
      {action}
    </div>
  );
}

/** Nothing to show, and what to do about it. */
export function Nothing({ icon, title, children, action }: { icon: IconName; title: string; children?: ComponentChildren; action?: ComponentChildren }) {
  return <div class="nothing"><Icon name={icon} size={30} /><h2>{title}</h2>{children && <p>{children}</p>}{action}</div>;
}

/** What went wrong, and a button to try again where that may help. `over` something that is still shown: as a line. */
export function Failed({ error, again, over }: { error: unknown; again?: () => unknown; over?: boolean }) {
  const button = again && mayPass(error) ? <Button small icon="refresh" onClick={() => void again()}>{t.tryAgain}</Button> : undefined;
  if (over) return <Notice kind="bad" alert action={button}>{inWords(error)}</Notice>;
  return <div role="alert"><Nothing icon="warning" title={inWords(error)} action={button} /></div>;
}

/** Stands where something will be, in its size. */
export function Bone({ width = '100%', height }: { width?: string | number; height?: string | number }) {
  return <span class="bone" style={{ width, height }} aria-hidden="true" />;
}

export function Loading({ children }: { children: ComponentChildren }) {
  return <div role="status" aria-busy="true"><span class="unseen">{t.loading}</span>{children}</div>;
}

export async function copyText(text: string, what?: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    toast(what ?? t.copied);
    return true;
  } catch {
    toast(t.copyFailed);
    return false;
  }
}

export function Copy({ text, label, small = true, kind = 'bare', withWord }: { text: string | (() => string); label: string; small?: boolean; kind?: 'bare' | 'primary'; withWord?: boolean }) {
  const [done, set] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    if (!(await copyText(typeof text === 'string' ? text : text()))) return;
    set(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => set(false), 1_500);
  };
  const icon = done ? 'check' : 'copy';
  return withWord
    ? <Button small={small} kind={kind} icon={icon} onClick={copy} aria-label={label}>{t.copy}</Button>
    : <IconButton small={small} kind={kind} icon={icon} label={label} onClick={copy} />;
}

/** Text to be copied as it is. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div class="codebox">
      <pre class="code" tabindex={0} role="group" aria-label={label}><code>{text}</code></pre>
      <Copy text={text} label={`${t.copy}: ${label}`} />
    </div>
  );
}

/** A point of time: how long ago, and when exactly as a tip. */
export function When({ at, absolute }: { at: number | null | undefined; absolute?: boolean }) {
  const now = useNow(MINUTE / 2);
  if (!at) return <span class="soft">–</span>;
  return <time dateTime={new Date(at).toISOString()} title={fullTime(at)}>{absolute ? dateTime(at) : ago(at, now)}</time>;
}

/** How long it still is, each second. */
export function Countdown({ until, onOver }: { until: number; onOver?: () => void }) {
  const now = useNow();
  const over = now >= until;
  useEffect(() => { if (over) onOver?.(); }, [over]);
  return <time dateTime={new Date(until).toISOString()} title={fullTime(until)} class="nowrap">{over ? t.time.over : duration(until - now)}</time>;
}

/** Value that follows another one only when that has been still for a moment. */
export function useSettled<T>(value: T, ms = 250): T {
  const [settled, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

/** The title of the browser's tab. */
export function useTitle(title: string) {
  useEffect(() => { document.title = title ? `${title} · One Balance` : 'One Balance'; }, [title]);
}
