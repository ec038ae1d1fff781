// One key: what it is, why it cools, what happened to it, and what one can do about it.

import './key-drawer.css';
import { useEffect, useState } from 'preact/hooks';
import { t } from '../i18n';
import { act, type ActionName, tagsOf } from '../lib/actions';
import { Failure, get, inWords, patch, post } from '../lib/api';
import { dateTime, duration, number, took, utcDay } from '../lib/format';
import { stale, useLoad } from '../lib/load';
import { DAY, now } from '../lib/time';
import type { Cooling, Key, OneKey, Tested, UsageDay } from '../lib/types';
import { modelWord, reasonWord, verdictWord } from '../lib/words';
import { Chart } from '../ui/chart';
import { ask, Dialog } from '../ui/dialog';
import { Menu } from '../ui/menu';
import { Bone, Button, Copy, copyText, Countdown, Failed, Field, IconButton, Loading, Notice, Nothing, State, When } from '../ui/parts';
import { toast } from '../ui/toast';
import { confirmed } from './bulk';
import { LastUsed } from './keys';

export function KeyDrawer({ id, around, onMove, onClose }: { id: number; around: number[]; onMove: (id: number) => void; onClose: () => void }) {
  const { data, error, again } = useLoad(`key ${id}`, (signal) => get<OneKey>(`keys/${id}`, {}, { signal }), { every: 30_000 });
  const at = around.indexOf(id);
  const [before, after] = [at > 0 ? around[at - 1] : undefined, at >= 0 ? around[at + 1] : undefined];
  const gone = error instanceof Failure && error.status === 404;
  return (
    <Dialog
      kind="drawer" onClose={onClose} title={data ? <span class="row still"><span class="mono cut">{data.key.hint}</span><State state={data.key.state} /></span> : t.drawer.title}
      tools={<>
        <IconButton icon="up" label={t.drawer.previousKey} disabled={before === undefined} onClick={() => before !== undefined && onMove(before)} />
        <IconButton icon="down" label={t.drawer.nextKey} disabled={after === undefined} onClick={() => after !== undefined && onMove(after)} />
      </>}
    >
      {gone ? <Nothing icon="key" title={t.drawer.gone} />
        : error && !data ? <Failed error={error} again={again} />
          : !data ? <Loading><div class="stack">{[90, 60, 140, 200, 180].map((height) => <Bone key={height} height={height} />)}</div></Loading>
            : <Details key={id} data={data} onGone={onClose} />}
    </Dialog>
  );
}

function Details({ data: { key, events, usage }, onGone }: { data: OneKey; onGone: () => void }) {
  const [secret, setSecret] = useState<string | null>(null);
  const [tested, setTested] = useState<Tested | null>(null);
  const [busy, setBusy] = useState<'' | 'test' | 'reveal' | 'copy'>('');
  const [editing, setEditing] = useState(false);
  // What is on the screen is forgotten with it.
  useEffect(() => () => setSecret(null), []);

  const reveal = async (what: 'reveal' | 'copy') => {
    if (what === 'reveal' && !(await ask({ title: t.drawer.revealTitle, text: t.drawer.revealText, action: t.drawer.reveal }))) return;
    setBusy(what);
    try {
      const found = secret ?? (await post<{ key: string }>(`keys/${key.id}/reveal`)).key;
      if (what === 'reveal') setSecret(found);
      else await copyText(found, t.drawer.copiedKey);
      stale(`key ${key.id}`);
    } catch (error) {
      toast(inWords(error));
    }
    setBusy('');
  };
  const test = async () => {
    setBusy('test');
    setTested(null);
    try {
      setTested(await post<Tested>(`keys/${key.id}/test`));
      stale(`key ${key.id}`, 'keys ', 'providers');
    } catch (error) {
      toast(inWords(error));
    }
    setBusy('');
  };
  const run = async (action: ActionName) => {
    if (!(await confirmed({ ids: [key.id] }, action, ''))) return;
    if (action === 'delete') onGone();
    await act({ ids: [key.id] }, action);
  };
  const tone = { works: 'good', limited: 'wait', rejected: 'bad' } as const;

  return (
    <div class="stack details">
      {key.state === 'blocked' && key.reason && <Notice kind="bad" title={t.overview.blockedBecause(reasonWord(key.reason))}>{!key.certain && t.uncertain}</Notice>}
      <div class="row acts">
        <Button icon="play" busy={busy === 'test'} onClick={() => void test()}>{t.drawer.test}</Button>
        {secret === null ? <Button icon="eye" busy={busy === 'reveal'} onClick={() => void reveal('reveal')}>{t.drawer.reveal}</Button> : <Button icon="eye" aria-pressed onClick={() => setSecret(null)}>{t.drawer.hide}</Button>}
        <Button icon="copy" busy={busy === 'copy'} onClick={() => void reveal('copy')}>{t.drawer.copyKey}</Button>
        <Menu
          label={t.keys.actionsOf(key.hint)} kind=""
          items={[
            { text: t.edit, icon: 'edit', run: () => setEditing(true) },
            { text: t.keys.actions.clear_coolings, icon: 'clock', run: () => run('clear_coolings'), disabled: key.coolings.every((one) => one.until <= now()) },
            key.state === 'disabled' ? { text: t.keys.actions.enable, icon: 'check', run: () => run('enable') } : { text: t.keys.actions.disable, icon: 'pause', run: () => run('disable') },
            ...(key.state === 'blocked' ? [{ text: t.keys.actions.restore, icon: 'undo', run: () => run('restore') } as const] : []),
            'line', { text: t.keys.actions.delete, icon: 'trash', danger: true, run: () => run('delete') },
          ]}
        />
      </div>
      <div role="status">
        {busy === 'test' && <p class="soft">{t.drawer.testing}</p>}
        {tested && (
          <Notice kind={tone[tested.outcome as keyof typeof tone] ?? 'info'} title={t.tested(t.outcomes[tested.outcome] ?? tested.outcome, took(tested.ms))}>
            {[tested.reason && reasonWord(tested.reason), tested.changed && t.outcomeChanged[tested.changed]].filter(Boolean).join(' · ')}
            {tested.message && <div class="soft small any">{tested.message}</div>}
          </Notice>
        )}
      </div>
      {secret !== null && <div class="codebox"><pre class="code secret-text" tabindex={0} role="group" aria-label={t.drawer.title}><code>{secret}</code></pre><Copy text={secret} label={t.drawer.copyKey} /></div>}

      {editing ? <Edit it={key} onClose={() => setEditing(false)} /> : <Facts it={key} onEdit={() => setEditing(true)} />}
      <Coolings all={key.coolings} onClear={() => void run('clear_coolings')} />
      <Usage days={usage} />
      <section class="stack tight">
        <h3>{t.drawer.events}</h3>
        {events.length === 0 ? <p class="soft">{t.drawer.noEvents}</p> : (
          <ol class="timeline">
            {events.map((one) => (
              <li key={one.id} class={one.verdict}>
                <span class="row between"><span><strong>{verdictWord(one.verdict)}</strong>{one.model && one.model !== '*' && <> <span class="mono small">{one.model}</span></>} {one.reason && one.reason !== 'administrator' && <span class="soft">{reasonWord(one.reason)}</span>}</span><span class="soft small"><When at={one.at} /></span></span>
                {(one.message || one.code) && <span class="soft small any">{one.status > 0 && `HTTP ${one.status}: `}{one.code ? (t.activity.sentences[one.code as keyof typeof t.activity.sentences] ?? one.message) : one.message}</span>}
              </li>
            ))}
          </ol>
        )}
      </section>
    </div>
  );
}

function Facts({ it, onEdit }: { it: Key; onEdit: () => void }) {
  return (
    <section class="stack tight">
      <dl class="facts">
        <dt>{t.drawer.remark}</dt><dd class="row between"><span class="any">{it.remark || <span class="soft">{t.drawer.noRemark}</span>}</span><Button small kind="bare" icon="edit" onClick={onEdit}>{t.edit}</Button></dd>
        {it.tags.length > 0 && <><dt>{t.drawer.tags}</dt><dd class="row tight">{it.tags.map((tag) => <span key={tag} class="pill off"><span class="cut">{tag}</span></span>)}</dd></>}
        {it.project && <><dt>{t.drawer.project}</dt><dd>{it.project}</dd></>}
        {it.priority !== 0 && <><dt>{t.drawer.priority}</dt><dd>{number(it.priority)}</dd></>}
        <dt>{t.drawer.requestsToday}</dt><dd>{number(it.requests_today)}</dd>
        <dt>{t.drawer.lastUsed}</dt><dd><LastUsed at={it.last_used} /></dd>
        <dt>{t.drawer.cooledFor}</dt><dd>{it.cooled_seconds > 0 ? duration(it.cooled_seconds * 1000) : '–'}</dd>
        <dt>{t.drawer.added}</dt><dd>{dateTime(it.created_at)} <span class="soft">(<When at={it.created_at} />)</span></dd>
        <dt>{t.drawer.changed}</dt><dd>{dateTime(it.updated_at)} <span class="soft">(<When at={it.updated_at} />)</span></dd>
        <dt>{t.drawer.id}</dt><dd>{it.id} · {it.provider}</dd>
      </dl>
    </section>
  );
}

function Edit({ it, onClose }: { it: Key; onClose: () => void }) {
  const [remark, setRemark] = useState(it.remark);
  const [tags, setTags] = useState(it.tags.join(', '));
  const [project, setProject] = useState(it.project);
  const [priority, setPriority] = useState(String(it.priority));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const wrong = (field: string) => (error instanceof Failure && error.field === field ? inWords(error) : undefined);
  const save = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await patch(`keys/${it.id}`, { remark: remark.trim(), tags: tagsOf(tags), project: project.trim(), priority: Number(priority) || 0 });
      stale(`key ${it.id}`, 'keys ');
      toast(t.saved);
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <form class="stack tight editing" noValidate aria-label={t.drawer.editTitle} onSubmit={(event) => { event.preventDefault(); void save(); }}>
      <Field label={t.drawer.remark} wrong={wrong('remark')}>{(ids) => <input {...ids} type="text" value={remark} maxLength={500} autofocus onInput={(event) => setRemark(event.currentTarget.value)} />}</Field>
      <Field label={t.drawer.tags} hint={t.keys.tagsHint} wrong={wrong('tags')}>{(ids) => <input {...ids} type="text" value={tags} onInput={(event) => setTags(event.currentTarget.value)} />}</Field>
      <div class="fields">
        <Field label={t.drawer.project} hint={t.keys.projectHint} wrong={wrong('project')}>{(ids) => <input {...ids} type="text" value={project} maxLength={500} onInput={(event) => setProject(event.currentTarget.value)} />}</Field>
        <Field label={t.drawer.priority} wrong={wrong('priority')}>{(ids) => <input {...ids} type="number" min={-1000} max={1000} value={priority} onInput={(event) => setPriority(event.currentTarget.value)} />}</Field>
      </div>
      {error && !(error instanceof Failure && ['remark', 'tags', 'project', 'priority'].includes(error.field)) ? <Notice kind="bad" alert>{inWords(error)}</Notice> : null}
      <div class="row end"><Button onClick={onClose}>{t.cancel}</Button><Button kind="primary" type="submit" busy={busy}>{t.save}</Button></div>
    </form>
  );
}

function Coolings({ all, onClear }: { all: Cooling[]; onClear: () => void }) {
  const sorted = [...all].sort((a, b) => b.until - a.until);
  const running = sorted.filter((one) => one.until > now());
  return (
    <section class="stack tight">
      <div class="row between"><h3>{t.drawer.coolings}</h3>{running.length > 0 && <Button small kind="bare" icon="clock" onClick={onClear}>{t.drawer.clearCoolings}</Button>}</div>
      {all.length === 0 ? <p class="soft">{t.drawer.noCoolings}</p> : (
        <div class="scroll" tabindex={0} role="group" aria-label={t.drawer.coolings}>
          <table role="table" class="small-table coolings">
            <thead><tr><th scope="col">{t.drawer.model}</th><th scope="col">{t.drawer.ends}</th><th scope="col">{t.drawer.source}</th><th scope="col" class="number">{t.drawer.strikes}</th><th scope="col" class="number">{t.drawer.total}</th></tr></thead>
            <tbody>
              {sorted.map((one) => {
                const on = one.until > now();
                return (
                  <tr key={one.model} class={on ? '' : 'past'}>
                    <th scope="row" class="mono small any">{modelWord(one.model)}</th>
                    <td class="nowrap">{on ? <span class="wait"><Countdown until={one.until} /></span> : <span class="soft">{t.drawer.past}</span>}</td>
                    <td><span class="nowrap">{t.sources[one.source]}</span><br /><span class="soft small">{reasonWord(one.reason)}</span></td>
                    <td class="number" data-label={t.drawer.strikes}>{number(one.strikes)}</td>
                    <td class="number nowrap" data-label={t.drawer.total}>{duration(one.total_seconds * 1000)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Usage({ days }: { days: UsageDay[] }) {
  const today = Math.floor(now() / DAY) * DAY;
  const at = Array.from({ length: 30 }, (_, index) => today - (29 - index) * DAY);
  const of = (name: 'attempts' | 'successes' | 'rate_limited') => at.map((day) => days.find((one) => one.day === day)?.[name] ?? 0);
  const [attempts, successes] = [of('attempts'), of('successes')];
  return (
    <section class="stack tight">
      <h3>{t.drawer.usage}</h3>
      {days.length === 0 ? <p class="soft">{t.drawer.noUsage}</p> : <>
        <Chart
          at={at} height={130} axis={utcDay} full={(day) => `${utcDay(day)} (UTC)`} label={t.drawer.usage}
          series={[
            { label: t.overview.failed, colour: '--chart-bad', values: attempts, told: attempts.map((all, index) => all - (successes[index] ?? 0)) },
            { label: t.drawer.succeeded, colour: '--chart-good', values: successes },
          ]}
        />
        <p class="soft small">{t.utc}</p>
      </>}
    </section>
  );
}
