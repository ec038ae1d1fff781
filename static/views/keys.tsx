// The keys of a provider, or of all: thousands of them, a page at a time.

import './keys.css';
import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { type ActionName, act, type Chosen, countOf, maybeSecret } from '../lib/actions';
import { post } from '../lib/api';
import { number } from '../lib/format';
import { useLoad } from '../lib/load';
import { go, to, useRoute } from '../lib/route';
import { loadProviders } from '../lib/session';
import { remember, remembered } from '../lib/store';
import { STATES, type Cooling, type Filter, type Key, type KeyPage, type KeyState } from '../lib/types';
import { BLOCK_REASONS, modelWord, reasonWord } from '../lib/words';
import { Icon } from '../ui/icon';
import { Menu, type MenuItem } from '../ui/menu';
import { Bone, Button, Countdown, Failed, IconButton, Loading, Nothing, Segments, State, useSettled, useTitle, When } from '../ui/parts';
import { AddKeys } from './add-keys';
import { Bulk, type BulkDialog, BulkDialogs, confirmed } from './bulk';
import { KeyDrawer } from './key-drawer';

const SORTS = ['created', 'updated', 'remark', 'state', 'cooled', 'priority', 'requests_today', 'last_used'] as const;
type Sort = (typeof SORTS)[number];
const PER_PAGE = [25, 50, 100, 200];
/** The list is counted in D1 each time: a large pool is asked less often. */
const EVERY = 15_000;
const EVERY_PER_KEY = 20;

const oneOf = <T extends string>(value: string | null, all: readonly T[]): T | '' => all.find((one) => one === value) ?? '';

export function KeysView() {
  const { path, query } = useRoute();
  const provider = path[1] ?? '';
  const providers = useLoad('providers', loadProviders);
  const known = providers.data?.known ?? [];
  const own = providers.data?.providers.find((one) => one.slug === provider);
  const name = own?.name ?? known.find((one) => one.slug === provider)?.name ?? provider;
  useTitle(provider ? t.keys.of(name) : t.keys.title);

  // === What is looked for: in the address, but for what may be a key ===
  const text = (parameter: string) => query.get(parameter) ?? '';
  const [search, setSearch] = useState(text('q'));
  const settled = useSettled(search.trim());
  const state = oneOf(query.get('state'), STATES);
  const filter: Filter = {
    ...(provider ? { provider } : {}), ...(state ? { state } : {}), ...(settled ? { search: settled } : {}),
    ...Object.fromEntries(['reason', 'model', 'tag', 'project'].map((one) => [one, text(one)]).filter(([, value]) => value)),
  };
  const sort: Sort = oneOf(query.get('sort'), SORTS) || 'created';
  const order = query.get('order') === 'asc' ? 'asc' : 'desc';
  const page = Math.max(1, Number(query.get('page')) || 1);
  const [perPage, setPerPage] = useState(() => PER_PAGE.find((one) => String(one) === remembered('per-page')) ?? 50);

  const move = useCallback((changes: Record<string, string | number | undefined>, replace = true) => {
    const all = { ...Object.fromEntries(query), ...changes };
    go(to(path, all), { replace });
  }, [path, query]);
  useEffect(() => {
    const shown = maybeSecret(settled) ? '' : settled;
    if (shown !== text('q')) move({ q: shown, page: undefined });
  }, [settled]);

  const asked = { ...filter, sort, order, page, per_page: perPage };
  const every = useRef(EVERY);
  const { data, error, again, loading } = useLoad(
    `keys ${JSON.stringify(asked)}`, (signal) => post<KeyPage>('keys/search', asked, { signal }), { every: every.current, keep: true },
  );
  every.current = Math.max(EVERY, (data?.total ?? 0) * EVERY_PER_KEY);
  const last = Math.max(1, Math.ceil((data?.total ?? 0) / perPage));
  useEffect(() => { if (data && !loading && page > last) move({ page: last > 1 ? last : undefined }); }, [data, loading, page, last]);

  // === What is selected: over pages, or everything that matches ===
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set());
  const [all, setAll] = useState<{ filter: Filter; total: number } | null>(null);
  const filterText = JSON.stringify(filter);
  useEffect(() => setAll(null), [filterText]);
  useEffect(() => { setPicked(new Set()); }, [provider]);
  const pick = useCallback((ids: number[], on: boolean) => {
    setAll(null);
    setPicked((before) => {
      const next = new Set(before);
      for (const id of ids) if (on) next.add(id); else next.delete(id);
      return next;
    });
  }, []);
  const unselect = () => { setPicked(new Set()); setAll(null); };
  const chosen: Chosen = all ? { filter: all.filter, expect: all.total } : { ids: [...picked] };
  const [dialog, setDialog] = useState<BulkDialog | null>(null);

  const run = async (what: Chosen, action: ActionName) => {
    if (!(await confirmed(what, action, provider ? name : ''))) return;
    if (await act(what, action) && what === chosen) unselect();
  };

  const opened = Number(query.get('key')) || 0;
  const open = useCallback((id: number) => move({ key: id }, false), [move]);
  const add = query.get('add') !== null;
  const keys = data?.keys ?? [];
  const filtered = Object.keys(filter).some((one) => one !== 'provider');
  useShortcuts(Boolean(opened || add || dialog));

  return (
    <div class="view keys">
      <div class="head">
        <h1>{provider ? <><span class="on-desk">{name}</span><span class="on-phone">{t.keys.title}</span></> : t.keys.title}</h1>
        <ProviderPicker provider={provider} providers={providers.data?.providers ?? []} />
        <Menu label={t.keys.bulk} icon="more" kind="" items={[{ text: t.keys.actions.export, icon: 'download', run: () => setDialog({ kind: 'export', chosen: { filter, expect: data?.total ?? 0 } }) }]} />
        <Button kind="primary" icon="plus" onClick={() => move({ add: 1 }, false)}>{t.keys.add}</Button>
      </div>

      <Filters
        search={search} onSearch={setSearch} state={state} counts={own ?? providers.data?.providers.reduce(addUp, { ...NONE })} values={{ reason: text('reason'), model: text('model'), tag: text('tag'), project: text('project') }}
        onChange={(changes) => move({ ...changes, page: undefined })} filtered={filtered} onClear={() => { setSearch(''); go(to(path, { sort: query.get('sort') ?? '', order: query.get('order') ?? '' }), { replace: true }); }}
        sort={sort} order={order}
      />
      {error && data ? <Failed over error={error} again={again} /> : null}

      <section class="card tablecard" aria-label={provider ? t.keys.of(name) : t.keys.title} aria-busy={loading}>
        {error && !data ? <Failed error={error} again={again} />
          : !data ? <Skeleton rows={12} />
            : keys.length === 0
              ? filtered
                ? <Nothing icon="search" title={t.keys.noMatch}>{t.keys.noMatchText}</Nothing>
                : <Nothing icon="key" title={t.keys.emptyTitle} action={<Button kind="primary" icon="plus" onClick={() => move({ add: 1 }, false)}>{t.keys.add}</Button>}>{t.keys.emptyText}</Nothing>
              : (
                <Table
                  keys={keys} withProvider={!provider} names={(slug) => known.find((one) => one.slug === slug)?.name ?? slug} picked={picked} everything={Boolean(all)} onPick={pick} onOpen={open} opened={opened}
                  sort={sort} order={order} onSort={(by, way) => move({ sort: by === 'created' ? undefined : by, order: way === 'asc' ? way : undefined, page: undefined })}
                  onAct={(key, action) => void run({ ids: [key.id] }, action)} onTest={(key) => setDialog({ kind: 'test', chosen: { ids: [key.id] } })}
                />
              )}
        {data && data.total > 0 && (
          <Pager page={page} last={last} total={data.total} perPage={perPage} onPage={(to) => move({ page: to > 1 ? to : undefined }, false)} onPerPage={(n) => { remember('per-page', String(n)); setPerPage(n); move({ page: undefined }); }} />
        )}
      </section>
      <p class="unseen" role="status">{data && !loading ? t.keys.count(data.total) : ''}</p>
      {keys.length > 0 && <p class="soft small on-desk keyhelp">{t.keys.helpText}</p>}

      {(picked.size > 0 || all) && (
        <Bulk
          chosen={chosen} total={data?.total ?? 0} everything={Boolean(all)} onAll={() => { setPicked(new Set()); setAll({ filter, total: data?.total ?? 0 }); }} onNone={unselect}
          onAct={(action) => void run(chosen, action)} onDialog={(kind) => setDialog({ kind, chosen })}
        />
      )}
      {dialog && <BulkDialogs dialog={dialog} onClose={(done) => { setDialog(null); if (done && dialog.chosen === chosen && countOf(chosen) > 1) unselect(); }} />}
      {opened > 0 && <KeyDrawer id={opened} around={keys.map((key) => key.id)} onMove={(id) => move({ key: id })} onClose={() => move({ key: undefined })} />}
      {add && <AddKeys provider={provider} onClose={() => move({ add: undefined })} />}
    </div>
  );
}

const NONE = { total: 0, ready: 0, cooling: 0, blocked: 0, disabled: 0 };
type Counts = typeof NONE;
const addUp = (sum: Counts, one: Counts): Counts => ({
  total: sum.total + one.total, ready: sum.ready + one.ready, cooling: sum.cooling + one.cooling, blocked: sum.blocked + one.blocked, disabled: sum.disabled + one.disabled,
});

function ProviderPicker({ provider, providers }: { provider: string; providers: { slug: string; name: string }[] }) {
  return (
    <select class="provider-picker" aria-label={t.keys.choose} value={provider} onChange={(event) => go(to(['keys', event.currentTarget.value].filter(Boolean)))}>
      <option value="">{t.keys.allProviders}</option>
      {provider && !providers.some((one) => one.slug === provider) && <option value={provider}>{provider}</option>}
      {providers.map((one) => <option key={one.slug} value={one.slug}>{one.name}</option>)}
    </select>
  );
}

// === Filters ===

function Filters({ search, onSearch, state, counts, values, onChange, filtered, onClear, sort, order }: {
  search: string; onSearch: (text: string) => void; state: KeyState | ''; counts: Counts | undefined;
  values: Record<'reason' | 'model' | 'tag' | 'project', string>; onChange: (changes: Record<string, string | undefined>) => void; filtered: boolean; onClear: () => void;
  sort: Sort; order: string;
}) {
  const used = Object.values(values).filter(Boolean).length;
  const [more, setMore] = useState(used > 0);
  const option = (one: KeyState) => `${t.states[one]}${counts ? ` ${number(counts[one])}` : ''}`;
  const segment = (one: KeyState) => <>{t.states[one]} <span class="n">{counts && number(counts[one])}</span></>;
  return (
    <div class="filters" role="search" aria-label={t.keys.filters}>
      <div class="searchbox grow">
        <Icon name="search" size={16} />
        <input type="search" id="search" aria-label={t.search} placeholder={t.keys.searchHint} autocomplete="off" spellcheck={false} value={search} onInput={(event) => onSearch(event.currentTarget.value)} />
        <kbd aria-hidden="true">/</kbd>
      </div>
      <div class="on-desk">
        <Segments
          label={t.keys.state} value={state} onChange={(value) => onChange({ state: value, ...(value === 'blocked' ? {} : { reason: undefined }) })}
          options={[{ value: '' as const, text: t.all }, ...STATES.map((one) => ({ value: one, text: segment(one) }))]}
        />
      </div>
      <select class="on-phone" aria-label={t.keys.state} value={state} onChange={(event) => onChange({ state: event.currentTarget.value })}>
        <option value="">{t.keys.anyState}</option>
        {STATES.map((one) => <option key={one} value={one}>{option(one)}</option>)}
      </select>
      <select class="on-phone" aria-label={t.keys.sort} value={`${sort} ${order}`} onChange={(event) => { const [by, way] = event.currentTarget.value.split(' '); onChange({ sort: by, order: way }); }}>
        {SORTS.flatMap((one) => (['desc', 'asc'] as const).map((way) => <option key={one + way} value={`${one} ${way}`}>{t.keys.sorts[one]} {way === 'asc' ? '↑' : '↓'}</option>))}
      </select>
      <Button icon="filter" aria-label={t.keys.moreFilters} aria-expanded={more} onClick={() => setMore(!more)}><span class="on-desk">{t.keys.moreFilters}</span>{used > 0 && <span class="pill accent">{used}</span>}</Button>
      {filtered && <Button kind="bare" icon="close" onClick={onClear}>{t.keys.clearFilters}</Button>}
      {more && (
        <div class="fields morefilters">
          <label class="field"><span class="label">{t.keys.reason}</span>
            <select value={values.reason} onChange={(event) => onChange({ reason: event.currentTarget.value, ...(event.currentTarget.value ? { state: 'blocked' } : {}) })}>
              <option value="">{t.keys.anyReason}</option>
              {BLOCK_REASONS.map((one) => <option key={one} value={one}>{reasonWord(one)}</option>)}
            </select>
          </label>
          {(['model', 'tag', 'project'] as const).map((one) => (
            <label key={one} class="field"><span class="label">{t.keys[one]}</span>
              <LateInput value={values[one]} placeholder={one === 'model' ? t.keys.modelHint : ''} onChange={(value) => onChange({ [one]: value })} />
            </label>
          ))}
        </div>
      )}
    </div>
  );
}

/** A field that tells what was typed when that has been still for a moment. */
function LateInput({ value, placeholder, onChange }: { value: string; placeholder: string; onChange: (value: string) => void }) {
  const [typed, setTyped] = useState(value);
  const settled = useSettled(typed.trim(), 350);
  useEffect(() => { if (settled !== value) onChange(settled); }, [settled]);
  useEffect(() => { if (value !== settled) setTyped(value); }, [value]);
  return <input type="text" value={typed} placeholder={placeholder} autocomplete="off" spellcheck={false} onInput={(event) => setTyped(event.currentTarget.value)} />;
}

// === The table ===

interface TableProps {
  keys: Key[]; withProvider: boolean; names: (slug: string) => string; picked: ReadonlySet<number>; everything: boolean; opened: number;
  onPick: (ids: number[], on: boolean) => void; onOpen: (id: number) => void;
  sort: Sort; order: 'asc' | 'desc'; onSort: (by: Sort, way: 'asc' | 'desc') => void;
  onAct: (key: Key, action: ActionName) => void; onTest: (key: Key) => void;
}

function Table({ keys, withProvider, names, picked, everything, opened, onPick, onOpen, sort, order, onSort, onAct, onTest }: TableProps) {
  const ids = useMemo(() => keys.map((key) => key.id), [keys]);
  const on = everything ? ids.length : ids.filter((id) => picked.has(id)).length;
  const anchor = useRef<number | null>(null);
  /** With Shift: all from the last one to this. */
  const pickOne = (id: number, value: boolean, range: boolean) => {
    const [from, until] = [anchor.current === null ? -1 : ids.indexOf(anchor.current), ids.indexOf(id)];
    anchor.current = id;
    onPick(range && from >= 0 ? ids.slice(Math.min(from, until), Math.max(from, until) + 1) : [id], value);
  };
  const head = (by: Sort, text: string, more = '') => (
    <th scope="col" role="columnheader" class={more} aria-sort={sort === by ? (order === 'asc' ? 'ascending' : 'descending') : undefined}>
      <button type="button" class="sort" title={t.keys.sortBy(text)} onClick={() => onSort(by, sort === by && order === 'desc' ? 'asc' : 'desc')}>
        {text}{sort === by && <Icon name={order === 'asc' ? 'up' : 'down'} size={13} />}
      </button>
    </th>
  );
  return (
    <div class="scroll">
      <table role="table" class={`keytable ${withProvider ? 'mixed' : ''}`}>
        <thead role="rowgroup">
          <tr role="row">
            <th class="c-pick" role="columnheader">
              <label class="whole"><input
                type="checkbox" aria-label={t.keys.pickPage} checked={on === ids.length} indeterminate={on > 0 && on < ids.length}
                onChange={(event) => onPick(ids, event.currentTarget.checked)}
              /><span class="on-phone soft" aria-hidden="true">{t.keys.pickPage}</span></label>
            </th>
            <th scope="col" role="columnheader" class="c-key">{t.keys.key}</th>
            {withProvider && <th scope="col" role="columnheader" class="c-provider">{t.keys.provider}</th>}
            {head('remark', t.keys.remark, 'c-remark')}
            {head('state', t.keys.stateColumn, 'c-state')}
            <th scope="col" role="columnheader" class="c-cool">{t.keys.coolings}</th>
            {head('requests_today', t.keys.today, 'c-number number')}
            {head('last_used', t.keys.lastUsed, 'c-time c-used')}
            {head('created', t.keys.age, 'c-time c-age')}
            <th class="c-do" role="columnheader"><span class="unseen">{t.more}</span></th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {keys.map((key) => (
            <Row
              key={key.id} it={key} provider={withProvider ? names(key.provider) : undefined} on={everything || picked.has(key.id)} current={opened === key.id}
              onPick={pickOne} onOpen={onOpen} onAct={onAct} onTest={onTest}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ it, provider, on, current, onPick, onOpen, onAct, onTest }: {
  it: Key; provider: string | undefined; on: boolean; current: boolean; onPick: (id: number, on: boolean, range: boolean) => void; onOpen: (id: number) => void;
  onAct: (key: Key, action: ActionName) => void; onTest: (key: Key) => void;
}) {
  const items: MenuItem[] = [
    { text: t.keys.actions.test, icon: 'play', run: () => onTest(it) },
    ...(it.coolings.length > 0 ? [{ text: t.keys.actions.clear_coolings, icon: 'clock', run: () => onAct(it, 'clear_coolings') } as const] : []),
    it.state === 'disabled' ? { text: t.keys.actions.enable, icon: 'check', run: () => onAct(it, 'enable') }
      : it.state === 'blocked' ? { text: t.keys.actions.restore, icon: 'undo', run: () => onAct(it, 'restore') }
        : { text: t.keys.actions.disable, icon: 'pause', run: () => onAct(it, 'disable') },
    'line',
    { text: t.keys.actions.delete, icon: 'trash', danger: true, run: () => onAct(it, 'delete') },
  ];
  const press = (event: MouseEvent) => {
    if ((event.target as HTMLElement).closest('button, input, a, label') || getSelection()?.toString()) return;
    onOpen(it.id);
  };
  return (
    <tr role="row" class={`${on ? 'picked' : ''} ${current ? 'current' : ''}`} onClick={press} data-id={it.id}>
      <td class="c-pick" role="cell"><label class="whole"><input
        type="checkbox" aria-label={t.keys.pick(it.hint)} checked={on}
        onClick={(event) => { const range = event.shiftKey; onPick(it.id, event.currentTarget.checked, range); }}
      /></label></td>
      <td class="c-key" role="cell">
        <span class="row tight still">
          <button type="button" class="hint mono" onClick={() => onOpen(it.id)} aria-label={t.keys.open(it.hint)} aria-haspopup="dialog">{it.hint}</button>
          {it.priority !== 0 && <span class="pill off" title={t.keys.priority}>{it.priority > 0 ? '↑' : '↓'}{Math.abs(it.priority)}</span>}
        </span>
      </td>
      {provider !== undefined && <td class="c-provider cut" role="cell" title={it.provider}>{provider}</td>}
      <td class={`c-remark ${it.remark || it.tags.length > 0 ? '' : 'none'}`} role="cell">
        <span class="remark"><span class="cut" title={it.remark}>{it.remark}</span>
          {it.tags.slice(0, 3).map((tag) => <span key={tag} class="pill off"><span class="cut">{tag}</span></span>)}
          {it.tags.length > 3 && <span class="soft small">+{it.tags.length - 3}</span>}
        </span>
      </td>
      <td class="c-state" role="cell">
        <State state={it.state} />
        {it.reason && <span class="soft small cut why" title={reasonWord(it.reason) + (it.certain ? '' : ` (${t.uncertain})`)}>{reasonWord(it.reason)}{!it.certain && ' ?'}</span>}
      </td>
      <td class={`c-cool ${it.coolings.length > 0 ? '' : 'none'}`} role="cell"><Cools all={it.coolings} /></td>
      <td class="c-number number" role="cell" data-label={t.keys.today}>{it.requests_today > 0 ? number(it.requests_today) : <span class="soft">0</span>}</td>
      <td class="c-time c-used soft" role="cell" data-label={t.keys.lastUsed}><LastUsed key={it.last_used} at={it.last_used} /></td>
      <td class="c-time c-age soft" role="cell" data-label={t.keys.age}><When at={it.created_at} /></td>
      <td class="c-do" role="cell"><Menu small label={t.keys.actionsOf(it.hint)} items={items} /></td>
    </tr>
  );
}

/** Known to the day only. */
export function LastUsed({ at }: { at: number | null }): ComponentChildren {
  if (at && new Date(at).toISOString().slice(0, 10) === new Date().toISOString().slice(0, 10)) return <span title={t.utc}>{t.keys.usedToday}</span>;
  return <When at={at} />;
}

function Cools({ all }: { all: Cooling[] }) {
  if (all.length === 0) return <span class="soft" aria-hidden="true">–</span>;
  const sorted = [...all].sort((a, b) => a.until - b.until);
  const first = sorted[0];
  if (!first) return null;
  return (
    <span class="cools" title={sorted.map((one) => `${modelWord(one.model)}: ${reasonWord(one.reason)}`).join('\n')}>
      <span class="cut mono small">{modelWord(first.model)}</span> <span class="wait"><Countdown until={first.until} /></span>
      {all.length > 1 && <span class="soft small nowrap" title={t.keys.moreCoolings(all.length - 1)}>+{number(all.length - 1)}</span>}
    </span>
  );
}

function Pager({ page, last, total, perPage, onPage, onPerPage }: { page: number; last: number; total: number; perPage: number; onPage: (page: number) => void; onPerPage: (count: number) => void }) {
  const from = (page - 1) * perPage + 1;
  return (
    <nav class="pager" aria-label={t.keys.pages}>
      <span class="soft">{t.keys.range(Math.min(from, total), Math.min(total, page * perPage), total)}</span>
      <span class="row">
        <label class="row tight still soft on-desk">{t.keys.perPage}
          <select value={perPage} onChange={(event) => onPerPage(Number(event.currentTarget.value))}>{PER_PAGE.map((one) => <option key={one} value={one}>{one}</option>)}</select>
        </label>
        <IconButton icon="left" kind={'' as 'bare'} label={t.keys.previousPage} disabled={page <= 1} onClick={() => onPage(page - 1)} />
        <span class="soft nowrap">{number(page)} / {number(last)}</span>
        <IconButton icon="right" kind={'' as 'bare'} label={t.keys.nextPage} disabled={page >= last} onClick={() => onPage(page + 1)} />
      </span>
    </nav>
  );
}

function Skeleton({ rows }: { rows: number }) {
  return <Loading><div class="bones"><Bone height={18} width="30%" />{Array.from({ length: rows }, (_, index) => <Bone key={index} height={20} width={`${96 - ((index * 7) % 22)}%`} />)}</div></Loading>;
}

// === The keyboard ===

function useShortcuts(off: boolean) {
  useEffect(() => {
    if (off) return;
    const listener = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open], [popover]:popover-open')) return;
      const target = event.target as HTMLElement;
      const field = document.getElementById('search');
      if (target.closest('input:not([type=checkbox]), textarea, select')) {
        if (event.key === 'Escape' && target === field) field?.blur();
        if (!(event.key === 'ArrowDown' && target === field)) return;
      }
      const rows = [...document.querySelectorAll<HTMLElement>('.keytable tbody .hint')];
      const at = rows.findIndex((one) => one.closest('tr') === target.closest('tr'));
      const next = { j: at + 1, ArrowDown: at + 1, k: at - 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
      if (event.key === '/') {
        event.preventDefault();
        field?.focus();
      } else if (next !== undefined && rows.length > 0 && (event.key !== 'Home' && event.key !== 'End' || at >= 0)) {
        event.preventDefault();
        const row = rows[Math.max(0, Math.min(rows.length - 1, next))];
        row?.focus({ preventScroll: true });
        row?.closest('tr')?.scrollIntoView({ block: 'nearest' });
      } else if (event.key === 'x' && at >= 0) {
        rows[at]?.closest('tr')?.querySelector<HTMLInputElement>('.c-pick input')?.click();
      }
    };
    addEventListener('keydown', listener);
    return () => removeEventListener('keydown', listener);
  }, [off]);
}
