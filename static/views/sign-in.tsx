// Signing in with an unrestricted token. The token itself is kept nowhere.

import './sign-in.css';
import { useRef, useState } from 'preact/hooks';
import { Preferences } from '../app';
import { t } from '../i18n';
import { inWords } from '../lib/api';
import { farewell, signIn } from '../lib/session';
import { useStore } from '../lib/store';
import { Mark } from '../ui/icon';
import { Button, Field, IconButton, Notice, useTitle } from '../ui/parts';

export function SignInView() {
  useTitle(t.signIn.title);
  const why = useStore(farewell);
  const [token, setToken] = useState('');
  const [shown, setShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [empty, setEmpty] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    const entered = token.trim();
    setEmpty(!entered);
    setError(undefined);
    if (!entered) return input.current?.focus();
    setBusy(true);
    try {
      await signIn(entered);
    } catch (failure) {
      setError(failure);
      setBusy(false);
      input.current?.focus();
    }
  };

  return (
    <main class="signin">
      <form class="stack" onSubmit={submit} noValidate>
        <div class="row"><Mark size={36} /><span class="name">One Balance</span></div>
        <div class="stack close">
          <h1>{t.signIn.title}</h1>
          <p class="soft">{t.signIn.lead}</p>
        </div>
        {/* For password managers, which want to know whose secret it is. */}
        <input class="unseen" type="text" name="username" autocomplete="username" value="One Balance" readOnly tabindex={-1} aria-hidden="true" />
        <Field label={t.signIn.token} wrong={empty ? t.signIn.missing : undefined}>
          {(ids) => (
            <div class="secret">
              <input
                {...ids} ref={input} type={(shown ? 'text' : 'password') as 'password'} value={token} onInput={(event) => setToken(event.currentTarget.value)} autofocus
                autocomplete="current-password" autocapitalize="off" spellcheck={false} class="mono"
              />
              <IconButton small icon="eye" label={shown ? t.signIn.hide : t.signIn.show} aria-pressed={shown} onClick={() => setShown(!shown)} />
            </div>
          )}
        </Field>
        {error ? <Notice kind="bad" alert>{inWords(error)}</Notice> : why && <Notice kind="info">{t.signIn[why]}</Notice>}
        <Button type="submit" kind="primary" busy={busy}>{t.signIn.button}</Button>
        <p class="small soft">{t.signIn.kept}</p>
      </form>
      <footer><Preferences signedIn={false} /></footer>
    </main>
  );
}
