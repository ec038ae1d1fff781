// Tokens that clients present, made and revoked here.

import './tokens.css';
import { useState } from 'preact/hooks';
import { t } from '../i18n';
import { Failure, get, inWords, patch, post, remove } from '../lib/api';
import { dateTime, number } from '../lib/format';
import { change, stale, useLoad } from '../lib/load';
import { to } from '../lib/route';
import { loadProviders } from '../lib/session';
import { DAY, now } from '../lib/time';
import type { Rule, Token, Tokens } from '../lib/types';
import { stateWord } from '../lib/words';
import { ask, Dialog } from '../ui/dialog';
import { Icon, StateIcon } from '../ui/icon';
import { Menu } from '../ui/menu';
import { Bone, Button, Check, Code, Copy, Failed, Field, IconButton, Loading, Notice, Nothing, useTitle, When } from '../ui/parts';
import { toast } from '../ui/toast';
import { LastUsed } from './keys';

export function TokensView() {
  useTitle(t.tokens.title);
  const { data, error, again } = useLoad('tokens', (signal) => get<Tokens>('tokens', {}, { signal }), { every: 30_000 });
  const [edited, setEdited] = useState<Token | 'new' | null>(null);
  const [made, setMade] = useState<{ token: Token; secret: string } | null>(null);
  const make = <Button kind="primary" icon="plus" onClick={() => setEdited('new')}>{t.tokens.make}</Button>;

  return (
    <div class="view tokens">
      <div class="head"><h1>{t.tokens.title}</h1>{make}</div>
      <p class="lead">{t.tokens.lead}</p>
      {error && data ? <Failed over error={error} again={again} /> : null}
      <section class="card" aria-label={t.tokens.title}>
        {error && !data ? <Failed error={error} again={again} />
          : !data ? <Loading><div class="pad stack">{[1, 2, 3].map((n) => <Bone key={n} height={34} />)}</div></Loading>
            : data.tokens.length === 0 ? <Nothing icon="token" title={t.tokens.emptyTitle} action={make}>{t.tokens.emptyText}</Nothing>
              : <Table tokens={data.tokens} onEdit={setEdited} />}
      </section>
      {data && data.auth_key.length > 0 && (
        <section class="stack tight" aria-labelledby="authkey-title">
          <div class="row between"><h2 id="authkey-title">{t.tokens.authKey}</h2><span class="soft small">{t.tokens.authKeyText}</span></div>
          <ul class="card authkey">
            {data.auth_key.map((one) => (
              <li key={one.entry} class="row between">
                <span class="row"><Icon name="key" size={16} /><span>{t.tokens.entry(one.entry)}</span><code class="soft">{one.id}</code></span>
                <span class="row">
                  {one.unrestricted ? <span class="pill accent">{t.tokens.administrator}</span> : <Scope rules={one.rules} />}
                  {one.expires_at && <span class="soft small">{t.time.until(dateTime(one.expires_at))}</span>}
                  <TokenState state={one.state} />
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {edited && <Editor token={edited === 'new' ? null : edited} onClose={() => setEdited(null)} onMade={(it) => { setEdited(null); setMade(it); }} />}
      {made && <Made {...made} onClose={() => setMade(null)} />}
    </div>
  );
}

function TokenState({ state }: { state: Token['state'] }) {
  const as = { active: 'ready', disabled: 'disabled', expired: 'cooling' }[state];
  return <span class={`state ${as}`}><StateIcon state={as} />{stateWord(state)}</span>;
}

function Scope({ rules }: { rules: Rule[] }) {
  if (rules.length === 0) return <span class="soft">{t.tokens.everything}</span>;
  return (
    <span class="row tight">
      {rules.map((one) => (
        <span key={one.provider} class="pill off" title={one.models.join(', ')}>
          <span class="cut">{one.provider === '*' ? t.tokens.anyProvider : one.provider}{one.models.length > 0 && `: ${one.models.join(', ')}`}</span>
        </span>
      ))}
    </span>
  );
}

function Table({ tokens, onEdit }: { tokens: Token[]; onEdit: (token: Token) => void }) {
  const enable = async (it: Token, enabled: boolean) => {
    const back = change<Tokens>('tokens', (data) => ({ ...data, tokens: data.tokens.map((one) => (one.id === it.id ? { ...one, enabled, state: enabled ? 'active' as const : 'disabled' as const } : one)) }));
    try {
      await patch(`tokens/${it.id}`, { enabled });
      toast(t.saved);
    } catch (error) {
      back();
      toast(inWords(error));
    }
    stale('tokens');
  };
  const revoke = async (it: Token) => {
    if (!(await ask({ title: t.tokens.revokeTitle(it.name), text: t.tokens.revokeText, action: t.tokens.revoke, danger: true }))) return;
    const back = change<Tokens>('tokens', (data) => ({ ...data, tokens: data.tokens.filter((one) => one.id !== it.id) }));
    try {
      await remove(`tokens/${it.id}`);
      toast(t.tokens.revoked(it.name));
    } catch (error) {
      back();
      toast(inWords(error));
    }
    stale('tokens');
  };
  return (
    <table role="table" class="cards-on-phone tokentable">
      <thead role="rowgroup">
        <tr role="row">
          <th scope="col" role="columnheader">{t.tokens.name}</th><th scope="col" role="columnheader">{t.tokens.status}</th><th scope="col" role="columnheader">{t.tokens.scope}</th>
          <th scope="col" role="columnheader">{t.tokens.limits}</th><th scope="col" role="columnheader" class="number">{t.tokens.today}</th><th scope="col" role="columnheader" class="number">{t.tokens.month}</th>
          <th scope="col" role="columnheader">{t.tokens.lastUsed}</th><th scope="col" role="columnheader">{t.tokens.expires}</th><th role="columnheader"><span class="unseen">{t.more}</span></th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {tokens.map((it) => (
          <tr key={it.id} role="row">
            <th scope="row" role="rowheader"><button type="button" class="named" onClick={() => onEdit(it)}>{it.name}</button><code class="soft small">{it.hint}</code></th>
            <td role="cell"><TokenState state={it.state} /></td>
            <td role="cell" data-label={t.tokens.scope}><Scope rules={it.rules} /></td>
            <td role="cell" data-label={t.tokens.limits} class="nowrap">{[it.per_minute && t.tokens.perMinuteShort(it.per_minute), it.per_day && t.tokens.perDayShort(it.per_day)].filter(Boolean).join(' · ') || <span class="soft">{t.tokens.noLimit}</span>}</td>
            <td role="cell" data-label={t.tokens.today} class="number">{number(it.requests_today)}</td>
            <td role="cell" data-label={t.tokens.month} class="number">{number(it.requests_30d)}</td>
            <td role="cell" data-label={t.tokens.lastUsed} class="soft nowrap"><LastUsed at={it.last_used} /></td>
            <td role="cell" data-label={t.tokens.expires} class="soft nowrap">{it.expires_at ? <When at={it.expires_at} /> : t.tokens.never}</td>
            <td role="cell" class="do">
              <Menu
                small label={t.tokens.actionsOf(it.name)}
                items={[
                  { text: t.edit, icon: 'edit', run: () => onEdit(it) },
                  it.enabled ? { text: t.tokens.disable, icon: 'pause', run: () => enable(it, false) } : { text: t.tokens.enable, icon: 'check', run: () => enable(it, true) },
                  'line', { text: t.tokens.revoke, icon: 'trash', danger: true, run: () => revoke(it) },
                ]}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

// === Making and changing ===

const EXPIRIES = [7, 30, 90, 365];
const local = (at: number) => new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

interface Line { provider: string; models: string }

function Editor({ token, onClose, onMade }: { token: Token | null; onClose: () => void; onMade: (made: { token: Token; secret: string }) => void }) {
  const known = useLoad('providers', loadProviders).data?.known ?? [];
  const [name, setName] = useState(token?.name ?? '');
  const [lines, setLines] = useState<Line[]>(token?.rules.map((one) => ({ provider: one.provider, models: one.models.join(', ') })) ?? []);
  const [expiry, setExpiry] = useState(token?.expires_at ? 'date' : 'never');
  const [date, setDate] = useState(local(token?.expires_at ?? now() + 30 * DAY));
  const [perMinute, setPerMinute] = useState(String(token?.per_minute ?? ''));
  const [perDay, setPerDay] = useState(String(token?.per_day ?? ''));
  const [enabled, setEnabled] = useState(token?.enabled ?? true);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const FIELDS = ['name', 'scope', 'expires_at', 'per_minute', 'per_day'];
  const field = error instanceof Failure ? FIELDS.find((one) => error.field === one || error.field.startsWith(`${one}.`) || error.field.startsWith(`${one}[`)) ?? (error.code === 'bad_scope' ? 'scope' : '') : '';
  const wrong = (one: string) => (field === one ? inWords(error) : undefined);

  const submit = async () => {
    if (!name.trim()) return setError(new Failure('name', 400, t.tokens.nameMissing, 'name'));
    const expires = expiry === 'never' ? null : expiry === 'date' ? Date.parse(date) : now() + Number(expiry) * DAY;
    if (expires !== null && !(expires > now())) return setError(new Failure('date', 400, t.tokens.badDate, 'expires_at'));
    const body = {
      name: name.trim(),
      scope: lines.filter((one) => one.provider).map((one) => ({ provider: one.provider, models: one.models.split(/[,，\s]+/).filter(Boolean) })),
      expires_at: expires === null ? null : Math.round(expires), per_minute: perMinute ? Number(perMinute) : null, per_day: perDay ? Number(perDay) : null, enabled,
    };
    setBusy(true);
    setError(undefined);
    try {
      if (token) {
        await patch(`tokens/${token.id}`, body);
        toast(t.saved);
        onClose();
      } else onMade(await post<{ token: Token; secret: string }>('tokens', body));
      stale('tokens');
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  const set = (index: number, change: Partial<Line>) => setLines(lines.map((one, at) => (at === index ? { ...one, ...change } : one)));
  return (
    <Dialog
      title={token ? t.tokens.edit : t.tokens.make} onClose={onClose} onSubmit={submit}
      footer={<><Button onClick={onClose}>{t.cancel}</Button><Button kind="primary" type="submit" busy={busy}>{token ? t.save : t.tokens.make}</Button></>}
    >
      <div class="stack">
        {error && !field ? <Notice kind="bad" alert>{inWords(error)}</Notice> : null}
        <Field label={t.tokens.name} hint={t.tokens.nameHint} wrong={wrong('name')}>{(ids) => <input {...ids} type="text" value={name} maxLength={100} autofocus autocomplete="off" onInput={(event) => setName(event.currentTarget.value)} />}</Field>
        <fieldset class="stack tight">
          <legend class="strong">{t.tokens.scope}</legend>
          <p class="soft small">{t.tokens.scopeHint}</p>
          {lines.map((one, index) => (
            <div key={index} class="rule">
              <select aria-label={t.tokens.provider} value={one.provider} onChange={(event) => set(index, { provider: event.currentTarget.value })}>
                <option value="*">{t.tokens.anyProvider}</option>
                {one.provider !== '*' && !known.some((it) => it.slug === one.provider) && <option value={one.provider}>{one.provider}</option>}
                {known.map((it) => <option key={it.slug} value={it.slug}>{it.name}</option>)}
              </select>
              <input type="text" aria-label={t.tokens.models} placeholder={t.tokens.modelsHint} value={one.models} autocapitalize="off" autocomplete="off" spellcheck={false} onInput={(event) => set(index, { models: event.currentTarget.value })} />
              <IconButton icon="close" label={t.tokens.removeRule} onClick={() => setLines(lines.filter((_, at) => at !== index))} />
            </div>
          ))}
          <div><Button small icon="plus" onClick={() => setLines([...lines, { provider: known[0]?.slug ?? '*', models: '' }])}>{t.tokens.addRule}</Button></div>
          {wrong('scope') && <div class="wrong bad small" role="alert">{wrong('scope')}</div>}
        </fieldset>
        <div class="fields">
          <Field label={t.tokens.perMinute} wrong={wrong('per_minute')}>{(ids) => <input {...ids} type="number" min={1} max={1_000_000} value={perMinute} placeholder={t.tokens.noLimit} onInput={(event) => setPerMinute(event.currentTarget.value)} />}</Field>
          <Field label={t.tokens.perDay} hint={t.utc} wrong={wrong('per_day')}>{(ids) => <input {...ids} type="number" min={1} max={1_000_000} value={perDay} placeholder={t.tokens.noLimit} onInput={(event) => setPerDay(event.currentTarget.value)} />}</Field>
        </div>
        <div class="fields">
          <Field label={t.tokens.expires} wrong={expiry === 'date' ? undefined : wrong('expires_at')}>
            {(ids) => (
              <select {...ids} value={expiry} onChange={(event) => setExpiry(event.currentTarget.value)}>
                <option value="never">{t.tokens.never}</option>
                {EXPIRIES.map((days) => <option key={days} value={days}>{t.tokens.inDays(days)}</option>)}
                <option value="date">{t.tokens.atDate}</option>
              </select>
            )}
          </Field>
          {expiry === 'date' && <Field label={t.tokens.expiry} wrong={wrong('expires_at')}>{(ids) => <input {...ids} type="datetime-local" value={date} onInput={(event) => setDate(event.currentTarget.value)} />}</Field>}
        </div>
        <Check label={t.tokens.enabled} checked={enabled} onChange={setEnabled} />
      </div>
    </Dialog>
  );
}

/** The token's text, this once. */
function Made({ token, secret, onClose }: { token: Token; secret: string; onClose: () => void }) {
  return (
    <Dialog
      title={token.name} onClose={onClose} firm
      footer={<><a class="button" href={to(['connect'])} onClick={onClose}>{t.tokens.connect}</a><Button kind="primary" onClick={onClose}>{t.tokens.isCopied}</Button></>}
    >
      <div class="stack">
        <Notice kind="wait" title={t.tokens.once}>{t.tokens.onceText}</Notice>
        <div class="made"><Code text={secret} label={t.tokens.token} /></div>
        <div><Copy text={secret} label={`${t.copy}: ${t.tokens.token}`} kind="primary" small={false} withWord /></div>
      </div>
    </Dialog>
  );
}
