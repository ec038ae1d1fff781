// What happened to keys, and which requests failed.

import './activity.css';
import { Fragment } from 'preact';
import { useState } from 'preact/hooks';
import { t } from '../i18n';
import { get } from '../lib/api';
import { clockSeconds, fullTime, number, took } from '../lib/format';
import { useLoad } from '../lib/load';
import { go, to, useRoute } from '../lib/route';
import { loadProviders } from '../lib/session';
import { remember, remembered } from '../lib/store';
import type { Event, FailedRequest } from '../lib/types';
import { codeWord, modelWord, reasonWord, verdictWord } from '../lib/words';
import { useSettled } from '../ui/parts';
import { Bone, Button, Check, Failed, IconButton, Loading, Nothing, Segments, useTitle, When } from '../ui/parts';

const EVERY = 10_000;
const VERDICTS = ['cool', 'reject', 'restore', 'home', 'disable', 'delete', 'undo', 'reveal', 'export', 'egress', 'gateway'];
const REASONS = ['rate_limit', 'day_quota', 'month_quota', 'capacity', 'billing', 'spend_limit', 'model_access', 'permission', 'invalid', 'expired', 'leaked', 'suspended', 'restricted', 'service_disabled', 'unauthorized', 'forbidden'];
const TONES: Record<string, string> = { cool: 'wait', reject: 'bad', egress: 'bad', gateway: 'bad', restore: 'good', home: 'good', enable: 'good', transient: 'wait' };

export function ActivityView() {
  const { path, query } = useRoute();
  const tab = path[1] === 'requests' ? 'requests' : 'events';
  useTitle(tab === 'requests' ? t.activity.requests : t.activity.title);
  const [auto, setAuto] = useState(remembered('auto') !== 'off');
  const known = useLoad('providers', loadProviders).data;
  const move = (changes: Record<string, string | undefined>) => go(to(['activity', tab], { ...Object.fromEntries(query), before: undefined, ...changes }), { replace: true });
  const before = query.get('before') ?? '';
  const select = (name: string, label: string, anyOf: string, options: { value: string; text: string }[]) => (
    <select aria-label={label} value={query.get(name) ?? ''} onChange={(event) => move({ [name]: event.currentTarget.value })}>
      <option value="">{anyOf}</option>
      {query.get(name) && !options.some((one) => one.value === query.get(name)) && <option value={query.get(name) ?? ''}>{query.get(name)}</option>}
      {options.map((one) => <option key={one.value} value={one.value}>{one.text}</option>)}
    </select>
  );
  const every = auto && !before ? EVERY : 0;
  return (
    <div class="view activity">
      <div class="head">
        <h1>{t.activity.title}</h1>
        <Check label={t.activity.auto} checked={auto} onChange={(on) => { setAuto(on); remember('auto', on ? null : 'off'); }} />
      </div>
      <div class="filters">
        <Segments
          label={t.activity.title} value={tab} onChange={(value) => go(to(['activity', value], { provider: query.get('provider') ?? '' }))}
          options={[{ value: 'events', text: t.activity.events }, { value: 'requests', text: t.activity.requests }]}
        />
        {select('provider', t.activity.provider, t.activity.anyProvider, (known?.providers ?? []).map((one) => ({ value: one.slug, text: one.name })))}
        {tab === 'events' ? <>
          {select('verdict', t.activity.verdict, t.activity.anyVerdict, VERDICTS.map((one) => ({ value: one, text: verdictWord(one) })))}
          {select('reason', t.activity.reason, t.activity.anyReason, REASONS.map((one) => ({ value: one, text: reasonWord(one) })))}
        </> : <>
          {select('status', t.activity.status, t.activity.anyStatus, ['400', '401', '403', '404', '429', '500', '502', '503'].map((one) => ({ value: one, text: one })))}
          <ModelFilter value={query.get('model') ?? ''} onChange={(model) => move({ model })} />
        </>}
      </div>
      <p class="soft small lead-line">{tab === 'events' ? t.activity.eventsLead : t.activity.requestsLead}{before && ` ${t.activity.paused}`}</p>
      {tab === 'events' ? <Events query={query} every={every} onMove={move} /> : <Requests query={query} every={every} onMove={move} />}
    </div>
  );
}

function ModelFilter({ value, onChange }: { value: string; onChange: (model: string) => void }) {
  const [typed, setTyped] = useState(value);
  const settled = useSettled(typed.trim(), 350);
  if (settled !== value && settled === typed.trim()) queueMicrotask(() => onChange(settled));
  return <input type="text" aria-label={t.activity.model} placeholder={t.activity.model} value={typed} autocapitalize="off" autocomplete="off" spellcheck={false} onInput={(event) => setTyped(event.currentTarget.value)} />;
}

interface ListProps { query: URLSearchParams; every: number; onMove: (changes: Record<string, string | undefined>) => void }

const asked = (query: URLSearchParams, names: string[]) => Object.fromEntries(names.map((name) => [name, query.get(name) ?? '']));

function Pages({ before, next, onMove }: { before: string; next: number | null; onMove: ListProps['onMove'] }) {
  if (!before && next === null) return null;
  return (
    <div class="pager">
      <Button small icon="up" disabled={!before} onClick={() => onMove({ before: undefined })}>{t.activity.newest}</Button>
      <Button small icon="down" disabled={next === null} onClick={() => { onMove({ before: String(next) }); scrollTo(0, 0); }}>{t.activity.older}</Button>
    </div>
  );
}

const Rows = () => <Loading><div class="pad stack">{Array.from({ length: 10 }, (_, n) => <Bone key={n} height={24} />)}</div></Loading>;

function Moment({ at }: { at: number }) {
  return <span class="moment"><When at={at} /><span class="soft small" title={fullTime(at)}>{clockSeconds(at)}</span></span>;
}

function Events({ query, every, onMove }: ListProps) {
  const filter = asked(query, ['provider', 'verdict', 'reason', 'key', 'before']);
  const { data, error, again } = useLoad(`events ${JSON.stringify(filter)}`, (signal) => get<{ events: Event[]; next: number | null }>('events', { ...filter, limit: 100 }, { signal }), { every, keep: true });
  return <>
    {error && data ? <Failed over error={error} again={again} /> : null}
    <section class="card" aria-label={t.activity.events}>
      {error && !data ? <Failed error={error} again={again} /> : !data ? <Rows />
        : data.events.length === 0 && data.next === null ? <Nothing icon="activity" title={t.activity.noEvents}>{t.activity.noEventsText}</Nothing>
          : (
            <table role="table" class="cards-on-phone log">
              <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">{t.activity.time}</th><th scope="col" role="columnheader">{t.activity.what}</th><th scope="col" role="columnheader">{t.activity.key}</th><th scope="col" role="columnheader">{t.activity.model}</th><th scope="col" role="columnheader">{t.activity.message}</th></tr></thead>
              <tbody role="rowgroup">{data.events.map((one) => <EventRow key={one.id} it={one} />)}</tbody>
            </table>
          )}
      {data && <Pages before={filter.before ?? ''} next={data.next} onMove={onMove} />}
    </section>
  </>;
}

function EventRow({ it }: { it: Event }) {
  const sentence = it.code ? t.activity.sentences[it.code as keyof typeof t.activity.sentences] : undefined;
  return (
    <tr role="row">
      <td role="cell" class="nowrap"><Moment at={it.at} /></td>
      <td role="cell"><span class={`pill ${TONES[it.verdict] ?? 'off'}`}>{verdictWord(it.verdict)}</span> {it.reason && it.reason !== it.verdict && <span class="soft small">{reasonWord(it.reason)}</span>}</td>
      <td role="cell" class="of">{it.key_id > 0 ? <a class="mono" href={to(['keys', it.provider], { key: it.key_id })}>{it.hint ?? t.activity.goneKey}</a> : null} <span class="soft small">{it.provider}</span></td>
      <td role="cell" class="mono small any model"><span title={it.model}>{it.model ? modelWord(it.model) : ''}</span></td>
      <td role="cell" class="small any words">{it.status > 0 && <span class="soft">{it.status} </span>}{sentence ?? it.message}</td>
    </tr>
  );
}

function Requests({ query, every, onMove }: ListProps) {
  const filter = asked(query, ['provider', 'model', 'status', 'before']);
  const { data, error, again } = useLoad(`requests ${JSON.stringify(filter)}`, (signal) => get<{ requests: FailedRequest[]; next: number | null }>('requests', { ...filter, limit: 50 }, { signal }), { every, keep: true });
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string) => setOpen((now) => { const next = new Set(now); if (!next.delete(id)) next.add(id); return next; });
  return <>
    {error && data ? <Failed over error={error} again={again} /> : null}
    <section class="card" aria-label={t.activity.requests}>
      {error && !data ? <Failed error={error} again={again} /> : !data ? <Rows />
        : data.requests.length === 0 && data.next === null ? <Nothing icon="check" title={t.activity.noRequests}>{t.activity.noRequestsText}</Nothing>
          : (
            <table role="table" class="cards-on-phone log">
              <thead role="rowgroup"><tr role="row">
                <th scope="col" role="columnheader">{t.activity.time}</th><th scope="col" role="columnheader">{t.activity.status}</th><th scope="col" role="columnheader">{t.activity.model}</th><th scope="col" role="columnheader">{t.activity.code}</th>
                <th scope="col" role="columnheader">{t.activity.attempts}</th><th scope="col" role="columnheader" class="number">{t.activity.took}</th><th role="columnheader"><span class="unseen">{t.activity.show}</span></th>
              </tr></thead>
              <tbody role="rowgroup">
                {data.requests.map((one) => (
                  <Fragment key={one.id}>
                    <tr role="row">
                      <td role="cell" class="nowrap"><Moment at={one.at} /></td>
                      <td role="cell"><span class={`pill ${one.status >= 500 ? 'bad' : 'wait'}`}>{one.status}</span></td>
                      <td role="cell"><span class="mono small any">{one.model ? modelWord(one.model) : ''}</span> <span class="soft small">{one.provider}</span></td>
                      <td role="cell" class="small">{one.code ? codeWord(one.code) : reasonWord(one.attempts.at(-1)?.reason) || verdictWord(one.attempts.at(-1)?.verdict ?? '')}</td>
                      <td role="cell" class="nowrap">{t.activity.attempt(one.attempts.length)}</td>
                      <td role="cell" class="number nowrap">{took(one.ms)}</td>
                      <td role="cell" class="do"><IconButton small icon={open.has(one.id) ? 'up' : 'down'} label={t.activity.trail} aria-expanded={open.has(one.id)} onClick={() => toggle(one.id)} /></td>
                    </tr>
                    {open.has(one.id) && <tr role="row" class="trail"><td role="cell" colSpan={7}><Trail it={one} /></td></tr>}
                  </Fragment>
                ))}
              </tbody>
            </table>
          )}
      {data && <Pages before={filter.before ?? ''} next={data.next} onMove={onMove} />}
    </section>
  </>;
}

function Trail({ it }: { it: FailedRequest }) {
  return (
    <div class="stack tight">
      <span class="soft small">{it.method} · {t.activity.token} <code>{it.token}</code></span>
      {it.attempts.length === 0 ? <p class="soft">{t.activity.noAttempts}</p> : (
        <ol class="attempts">
          {it.attempts.map((one, index) => (
            <li key={index}><span class="soft">{number(index + 1)}</span> <a href={to(['keys', it.provider], { key: one.key_id })} class="mono">#{one.key_id}</a> <span>{one.status || '–'}</span> <span class={`pill ${TONES[one.verdict] ?? 'off'}`}>{verdictWord(one.verdict)}</span> <span class="soft small">{reasonWord(one.reason)}</span> <span class="soft small nowrap">{took(one.ms)}</span></li>
          ))}
        </ol>
      )}
    </div>
  );
}
