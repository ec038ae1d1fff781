// Dialogs, drawers, and questions. The browser's own <dialog>: it holds the focus and gives it back.

import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { store, useStore } from '../lib/store';
import { Button, IconButton } from './parts';
import { Toasts } from './toast';

/** How many dialogs are open, one over the other. */
export const top = store(0);

interface DialogProps {
  title: ComponentChildren;
  onClose: () => void;
  children: ComponentChildren;
  footer?: ComponentChildren;
  kind?: 'box' | 'box wide' | 'drawer';
  /** May not be left by Esc or a click beside it, since something would be lost. */
  firm?: boolean;
  /** Between the title and the cross. */
  tools?: ComponentChildren;
  /** Enter in a field does the same as the main button. */
  onSubmit?: (() => unknown) | undefined;
  role?: 'alertdialog';
}

export function Dialog({ title, onClose, children, footer, kind = 'box', firm, tools, onSubmit, role }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const [level, setLevel] = useState(-1);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    if (!dialog) return;
    dialog.showModal();
    top.update((n) => n + 1);
    setLevel(top.get());
    return () => {
      top.update((n) => n - 1);
      dialog.close();
    };
  }, []);
  const pressed = useRef(false);
  const body = <>
    <header><h2 id={id} class="cut">{title}</h2>{tools}<IconButton icon="close" label={t.close} onClick={onClose} /></header>
    <div class="inside">{children}</div>
    {footer && <footer>{footer}</footer>}
  </>;
  return (
    <dialog
      ref={element} class={kind} aria-labelledby={id} role={role}
      onCancel={(event) => { event.preventDefault(); if (!firm) onClose(); }}
      // A press that began inside, as when text is selected, is no click beside it.
      onPointerDown={(event) => { pressed.current = event.target === element.current; }}
      onClick={(event) => { if (event.target === element.current && pressed.current && !firm) onClose(); }}
    >
      {onSubmit
        ? <form class="contents" noValidate onSubmit={(event) => { event.preventDefault(); void onSubmit(); }}>{body}</form>
        : body}
      <Toasts level={level} />
    </dialog>
  );
}

interface Question {
  title: string;
  text?: ComponentChildren;
  /** What the button says that does it. */
  action: string;
  danger?: boolean;
}

const question = store<(Question & { answer: (yes: boolean) => void }) | null>(null);

/** Asks before something is done that is hard to take back. */
export function ask(about: Question): Promise<boolean> {
  question.get()?.answer(false);
  return new Promise((resolve) => {
    question.set({
      ...about,
      answer: (yes) => {
        question.set(null);
        resolve(yes);
      },
    });
  });
}

export function Questions() {
  const it = useStore(question);
  if (!it) return null;
  return (
    <Dialog
      title={it.title} role="alertdialog" onClose={() => it.answer(false)}
      footer={<>
        <Button onClick={() => it.answer(false)}>{t.cancel}</Button>
        <Button kind={it.danger ? 'danger primary' : 'primary'} onClick={() => it.answer(true)} autofocus>{it.action}</Button>
      </>}
    >
      {it.text}
    </Dialog>
  );
}
