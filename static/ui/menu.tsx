// A button that opens a small list.

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Icon, type IconName } from './icon';

export type MenuItem =
  | { text: string; run: () => unknown; icon?: IconName; danger?: boolean; chosen?: boolean; disabled?: boolean }
  | 'line';

export function Menu({ label, icon = 'more', text, items, kind = 'bare', small, class: more }: {
  label: string; icon?: IconName; text?: ComponentChildren; items: MenuItem[]; kind?: string; small?: boolean; class?: string;
}) {
  const [open, set] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  // A press beside an open popover closes it before the click comes; one on the button must not open it again.
  const wasOpen = useRef(false);

  useEffect(() => {
    const box = list.current;
    const from = button.current;
    if (!open || !box || !from) return;
    box.showPopover();
    const at = from.getBoundingClientRect();
    const size = box.getBoundingClientRect();
    const below = at.bottom + 4 + size.height <= innerHeight || at.top < size.height;
    box.style.top = `${below ? at.bottom + 4 : at.top - 4 - size.height}px`;
    box.style.left = `${Math.max(8, Math.min(at.left + size.width > innerWidth - 8 ? at.right - size.width : at.left, innerWidth - 8 - size.width))}px`;
    box.querySelector<HTMLElement>('[role^=menuitem]:not([disabled])')?.focus();
    const away = (event: Event) => { if (!box.contains(event.target as Node)) set(false); };
    addEventListener('scroll', away, { capture: true, passive: true });
    addEventListener('resize', away);
    return () => {
      removeEventListener('scroll', away, { capture: true });
      removeEventListener('resize', away);
    };
  }, [open]);

  const shut = (focus = true) => { set(false); if (focus) button.current?.focus(); };
  const onKeyDown = (event: KeyboardEvent) => {
    const all = [...(list.current?.querySelectorAll<HTMLElement>('[role^=menuitem]:not([disabled])') ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      all.at(to % all.length)?.focus();
    } else if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      shut();
    } else if (event.key === 'Tab') shut(false);
  };

  return <>
    <button
      ref={button} type="button" class={`button ${kind} ${text ? '' : 'icon'} ${small ? 'small' : ''} ${more ?? ''}`} title={text ? undefined : label}
      aria-label={label} aria-haspopup="menu" aria-expanded={open} aria-controls={open ? id : undefined} onPointerDown={() => { wasOpen.current = open; }} onClick={(event) => { set(event.detail > 0 ? !wasOpen.current : !open); wasOpen.current = false; }}
      onKeyDown={(event) => { if (event.key === 'ArrowDown') { event.preventDefault(); set(true); } }}
    >
      {text ? <>{icon !== 'more' && <Icon name={icon} size={small ? 16 : 18} />}{text}<Icon name="down" size={14} /></> : <Icon name={icon} size={small ? 16 : 18} />}
    </button>
    {open && (
      <div
        ref={list} id={id} class="menu" role="menu" aria-label={label} popover="auto" onKeyDown={onKeyDown}
        onToggle={(event) => { if ((event as unknown as { newState: string }).newState === 'closed') set(false); }}
      >
        {items.map((it, index) => it === 'line'
          ? <hr key={index} />
          : (
            <button
              key={it.text} type="button" role={it.chosen === undefined ? 'menuitem' : 'menuitemradio'} aria-checked={it.chosen} tabindex={-1}
              class={it.danger ? 'danger' : ''} disabled={it.disabled} onClick={() => { shut(); void it.run(); }}
            >
              {it.icon && <Icon name={it.icon} />}<span class="grow">{it.text}</span>{it.chosen && <Icon name="check" size={16} />}
            </button>
          ))}
      </div>
    )}
  </>;
}
