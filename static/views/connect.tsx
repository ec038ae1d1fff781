// How clients are set up, and a small request to try it.

import './connect.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { inWords, Failure } from '../lib/api';
import { took } from '../lib/format';
import { useLoad } from '../lib/load';
import { go, to, useRoute } from '../lib/route';
import { APPS, type App, events, fieldsOf, fits, MODELS, samples, trial, wordsIn } from '../lib/samples';
import { loadProviders } from '../lib/session';
import { Button, Code, Copy, Field, Notice, Segments, useTitle } from '../ui/parts';

export function ConnectView() {
  useTitle(t.connect.title);
  const { query, path } = useRoute();
  const { data } = useLoad('providers', loadProviders);
  const withKeys = data?.providers ?? [];
  const provider = query.get('provider') || withKeys[0]?.slug || 'google-ai-studio';
  const app = APPS.find((one) => one === query.get('app')) ?? 'curl';
  const [models, setModels] = useState<Record<string, string>>({});
  const model = models[provider] ?? MODELS[provider] ?? '';
  const choose = (changes: Record<string, string>) => go(to(path.length > 0 ? path : ['connect'], { ...Object.fromEntries(query), ...changes }), { replace: true });
  const others = (data?.known ?? []).filter((one) => !withKeys.some((it) => it.slug === one.slug));

  return (
    <div class="view connect">
      <div class="head"><h1>{t.connect.title}</h1></div>
      <p class="lead">{t.connect.lead}</p>
      <div class="columns">
        <div class="stack">
          <div class="card pad fields">
            <Field label={t.connect.provider}>
              {(ids) => (
                <select {...ids} value={provider} onChange={(event) => choose({ provider: event.currentTarget.value })}>
                  {!withKeys.some((one) => one.slug === provider) && !others.some((one) => one.slug === provider) && <option value={provider}>{provider}</option>}
                  {withKeys.map((one) => <option key={one.slug} value={one.slug}>{one.name}</option>)}
                  {withKeys.length > 0 && others.length > 0 && <hr />}
                  {others.map((one) => <option key={one.slug} value={one.slug}>{one.name}</option>)}
                </select>
              )}
            </Field>
            <Field label={t.connect.model}>
              {(ids) => <input {...ids} type="text" class="mono" value={model} autocapitalize="off" autocomplete="off" spellcheck={false} onInput={(event) => setModels({ ...models, [provider]: event.currentTarget.value })} />}
            </Field>
          </div>
          <section class="card pad stack" aria-labelledby="app-title">
            <h2 id="app-title" class="unseen">{t.connect.format}</h2>
            <div class="on-desk"><Segments wrap label={t.connect.format} value={app} options={APPS.map((one) => ({ value: one, text: t.connect.apps[one] }))} onChange={(value) => choose({ app: value })} /></div>
            <label class="field on-phone"><span class="label">{t.connect.format}</span>
              <select value={app} onChange={(event) => choose({ app: event.currentTarget.value })}>{APPS.map((one) => <option key={one} value={one}>{t.connect.apps[one]}</option>)}</select>
            </label>
            <Guide app={app} provider={provider} model={model || 'MODEL'} />
          </section>
        </div>
        <Try key={provider} provider={provider} model={model} />
      </div>
    </div>
  );
}

function Guide({ app, provider, model }: { app: App; provider: string; model: string }) {
  const { origin } = location;
  const token = t.connect.yourToken;
  if (!fits(app, provider)) return <Notice kind="info">{app === 'claude' ? t.connect.claudeNote : app === 'geminicli' ? t.connect.geminiNote : t.connect.unsupported}</Notice>;
  const fields = fieldsOf(app, origin, provider, model, token);
  return (
    <div class="stack">
      {app === 'cherry' && <p>{t.connect.cherry}</p>}
      {app === 'openwebui' && <p>{t.connect.openwebui}</p>}
      {fields.length > 0 && (
        <dl class="form-fields">
          {fields.map(({ name, value }) => (
            <div key={name}><dt>{t.connect.fields[name]}</dt><dd><code class="any">{value}</code><Copy text={value} label={`${t.copy}: ${t.connect.fields[name]}`} /></dd></div>
          ))}
        </dl>
      )}
      {app === 'cherry' && <p class="soft small">{t.connect.cherryNote}</p>}
      {samples(app, origin, provider, model, token).map(({ title, text }) => (
        <div key={title} class="stack close"><h3>{t.connect[title]}</h3><Code text={text} label={`${t.connect.apps[app]}, ${t.connect[title]}`} /></div>
      ))}
      <p class="soft small"><code>{token}</code> <a href={to(['tokens'])}>{t.connect.tokenHint}</a></p>
    </div>
  );
}

// === Trying ===

interface Outcome { status: number; key: string; hint: string; attempts: string; first: number | null; total: number | null }

function Try({ provider, model }: { provider: string; model: string }) {
  const [prompt, setPrompt] = useState(t.connect.promptDefault);
  const [answer, setAnswer] = useState('');
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [error, setError] = useState('');
  const stopper = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => stopper.current?.abort(), []);

  const send = async () => {
    if (busy) return stopper.current?.abort();
    setError('');
    setAnswer('');
    setOutcome(null);
    if (!model.trim()) return setError(t.connect.needModel);
    const mine = (stopper.current = new AbortController());
    setBusy(true);
    const started = performance.now();
    const told: Outcome = { status: 0, key: '', hint: '', attempts: '', first: null, total: null };
    try {
      const { path, headers, body } = trial(provider, model.trim(), prompt.trim() || t.connect.promptDefault);
      const response = await fetch(path, {
        method: 'POST', signal: mine.signal, cache: 'no-store', body: JSON.stringify(body),
        headers: { ...headers, 'content-type': 'application/json', 'x-requested-with': 'one-balance' },
      });
      const header = (name: string) => response.headers.get(name) ?? '';
      Object.assign(told, { status: response.status, key: header('x-one-balance-key'), hint: header('x-one-balance-key-hint').replace('...', '…'), attempts: header('x-one-balance-attempts') || header('one-balance-attempts') });
      setOutcome({ ...told });
      if (!response.ok) {
        setError(wordsOf(await response.text(), response.status));
      } else if (response.body) {
        let all = '';
        for await (const data of events(response.body)) {
          if (data === '[DONE]') break;
          const words = wordsIn(parsed(data));
          if (!words) continue;
          told.first ??= performance.now() - started;
          all += words;
          setAnswer(all);
          setOutcome({ ...told });
        }
        if (!all) setError(t.connect.noText);
      }
      told.total = performance.now() - started;
      setOutcome({ ...told });
    } catch {
      setError(mine.signal.aborted ? t.connect.stopped : inWords(new Failure('offline')));
    } finally {
      setBusy(false);
    }
  };

  return (
    <section class="card pad stack try" aria-labelledby="try-title">
      <div class="stack close"><h2 id="try-title">{t.connect.try}</h2><p class="soft small">{t.connect.tryText}</p></div>
      <form class="stack tight" onSubmit={(event) => { event.preventDefault(); void send(); }}>
        <Field label={t.connect.prompt}>{(ids) => <textarea {...ids} rows={2} class="prompt" value={prompt} maxLength={2000} onInput={(event) => setPrompt(event.currentTarget.value)} />}</Field>
        <div class="row between still"><code class="soft small cut">{provider} · {model || '…'}</code><Button type="submit" kind={busy ? ('' as 'bare') : 'primary'} icon={busy ? 'stop' : 'play'}>{busy ? t.connect.stop : t.connect.send}</Button></div>
      </form>
      <div class="answer" role="group" aria-label={t.connect.answer} tabindex={0}>
        <div aria-live="polite">{answer || (busy ? <span class="soft">{t.connect.waiting}</span> : '')}</div>
        {error && <p class="bad" role="alert">{error}</p>}
      </div>
      <dl class="outcome">
        <div><dt>{t.connect.status}</dt><dd class={outcome && outcome.status >= 400 ? 'bad' : ''}>{outcome ? outcome.status : '–'}</dd></div>
        <div><dt>{t.connect.usedKey}</dt><dd class="mono">{outcome?.key ? <a href={to(['keys', provider], { key: outcome.key })}>{outcome.hint || `#${outcome.key}`}</a> : '–'}</dd></div>
        <div><dt>{t.connect.attempts}</dt><dd>{outcome?.attempts || '–'}</dd></div>
        <div><dt>{t.connect.first}</dt><dd>{outcome?.first != null ? took(outcome.first) : '–'}</dd></div>
        <div><dt>{t.connect.total}</dt><dd>{outcome?.total != null ? took(outcome.total) : '–'}</dd></div>
      </dl>
    </section>
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** What an answer that is no success says, in whichever shape. */
function wordsOf(text: string, status: number): string {
  const body = parsed(text) as { error?: { message?: string } | string; message?: string } | { error?: { message?: string } }[];
  const it = Array.isArray(body) ? body[0] : body;
  const error = it?.error;
  const said = (typeof error === 'string' ? error : error?.message) ?? '';
  return `${t.connect.failed(status)}${said ? `: ${said}` : ''}`;
}
