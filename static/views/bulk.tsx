// What can be done to many keys at once, and the questions about it.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { act, type ActionName, type Chosen, countOf, type Extra, refreshKeys, saveFile, tagsOf } from '../lib/actions';
import { inWords, post } from '../lib/api';
import { number } from '../lib/format';
import type { Tested } from '../lib/types';
import { reasonWord } from '../lib/words';
import { ask, Dialog } from '../ui/dialog';
import { Menu } from '../ui/menu';
import { Button, Field, Notice } from '../ui/parts';
import { toast } from '../ui/toast';

type Edit = 'set_remark' | 'set_priority' | 'set_project' | 'add_tags' | 'remove_tags';
export type DialogKind = Edit | 'test' | 'export';
export interface BulkDialog { kind: DialogKind; chosen: Chosen }

/** Whether it may be done: what takes keys out of the pool, or puts doubtful ones back, is asked about. */
export async function confirmed(chosen: Chosen, action: ActionName, provider: string): Promise<boolean> {
  const count = countOf(chosen);
  if (action !== 'delete' && (count === 1 || !(action in t.keys.will))) return true;
  const name = action as keyof typeof t.keys.will;
  return ask({
    title: t.keys.ask[name](count), text: t.keys.will[name](count, provider ? t.keys.ofProvider(provider) : '').trim(),
    action: t.keys.actions[name], danger: action === 'delete' || action === 'disable',
  });
}

/** Stands over the bottom of the table, so that nothing moves when it comes. */
export function Bulk({ chosen, total, everything, onAll, onNone, onAct, onDialog }: {
  chosen: Chosen; total: number; everything: boolean; onAll: () => void; onNone: () => void; onAct: (action: ActionName) => void; onDialog: (kind: DialogKind) => void;
}) {
  const { actions } = t.keys;
  const count = countOf(chosen);
  const item = (kind: DialogKind) => ({ text: actions[kind], run: () => onDialog(kind) });
  return (
    <div class="bulk" role="region" aria-label={t.keys.bulk}>
      <span class="row tight count">
        <strong role="status">{t.keys.selected(count)}</strong>
        {!everything && count < total && <button type="button" class="link" onClick={onAll}>{t.keys.selectAll(total)}</button>}
        <button type="button" class="link" onClick={onNone}>{t.keys.unselect}</button>
      </span>
      <span class="row does">
        <Button small icon="play" onClick={() => onDialog('test')}>{actions.test}</Button>
        <Button small icon="undo" onClick={() => onAct('restore')}>{actions.restore}</Button>
        <Button small icon="pause" onClick={() => onAct('disable')}>{actions.disable}</Button>
        <Button small icon="trash" kind="danger" onClick={() => onAct('delete')}>{actions.delete}</Button>
        <Menu
          small kind="" label={t.more} text={t.more}
          items={[
            { text: actions.clear_coolings, run: () => onAct('clear_coolings') }, { text: actions.enable, run: () => onAct('enable') }, 'line',
            item('set_remark'), item('add_tags'), item('remove_tags'), item('set_priority'), item('set_project'), 'line', item('export'),
          ]}
        />
      </span>
    </div>
  );
}

export function BulkDialogs({ dialog: { kind, chosen }, onClose }: { dialog: BulkDialog; onClose: (done?: boolean) => void }) {
  if (kind === 'test') return <TestDialog chosen={chosen} onClose={onClose} />;
  if (kind === 'export') return <ExportDialog chosen={chosen} onClose={onClose} />;
  return <EditDialog kind={kind} chosen={chosen} onClose={onClose} />;
}

function EditDialog({ kind, chosen, onClose }: { kind: Edit; chosen: Chosen; onClose: (done?: boolean) => void }) {
  const [value, setValue] = useState(kind === 'set_priority' ? '0' : '');
  const [wrong, setWrong] = useState('');
  const about: Record<Edit, { label: string; hint: string }> = {
    set_remark: { label: t.keys.remark, hint: '' }, set_priority: { label: t.keys.priority, hint: t.keys.priorityHint }, set_project: { label: t.keys.project, hint: t.keys.projectHint },
    add_tags: { label: t.keys.tags, hint: t.keys.tagsHint }, remove_tags: { label: t.keys.tags, hint: t.keys.tagsHint },
  };
  const submit = () => {
    const extra: Extra = {};
    if (kind === 'set_remark') extra.remark = value.trim();
    else if (kind === 'set_project') extra.project = value.trim();
    else if (kind === 'set_priority') {
      extra.priority = Number(value);
      if (!/^-?\d+$/.test(value.trim()) || Math.abs(extra.priority) > 1000) return setWrong(t.errors.codes.out_of_range({ least: -1000, most: 1000 }));
    } else {
      extra.tags = tagsOf(value);
      if (extra.tags.length === 0) return setWrong(t.errors.codes.required());
    }
    onClose(true);
    void act(chosen, kind, extra);
  };
  return (
    <Dialog
      title={t.keys.actions[kind]} onClose={() => onClose()} onSubmit={submit}
      footer={<><Button onClick={() => onClose()}>{t.cancel}</Button><Button kind="primary" type="submit">{t.apply}</Button></>}
    >
      <div class="stack">
        <p class="soft">{t.keys.forKeys(countOf(chosen))}</p>
        <Field label={about[kind].label} hint={about[kind].hint} wrong={wrong}>
          {(ids) => <input {...ids} type="text" inputMode={kind === 'set_priority' ? 'numeric' : 'text'} value={value} maxLength={500} autofocus autocomplete="off" onInput={(event) => setValue(event.currentTarget.value)} />}
        </Field>
      </div>
    </Dialog>
  );
}

/** The ids of what is chosen. */
async function idsOf(chosen: Chosen, signal: AbortSignal): Promise<number[]> {
  if ('ids' in chosen) return chosen.ids;
  return (await post<{ ids: number[] }>('keys/ids', { filter: chosen.filter }, { signal })).ids;
}

const AT_ONCE = 10;

/** Tests keys, ten at a time, until they are done or it is stopped. */
export function useTests() {
  const [done, setDone] = useState<Tested[]>([]);
  const [total, setTotal] = useState(0);
  const [running, setRunning] = useState(false);
  const [error, setError] = useState<unknown>();
  const stopper = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => stopper.current?.abort(), []);
  const start = async (chosen: Chosen) => {
    const mine = (stopper.current = new AbortController());
    setRunning(true);
    setError(undefined);
    setDone([]);
    setTotal(countOf(chosen));
    try {
      const ids = await idsOf(chosen, mine.signal);
      setTotal(ids.length);
      for (let at = 0; at < ids.length && !mine.signal.aborted; at += AT_ONCE) {
        const { results } = await post<{ results: Tested[] }>('keys/test', { ids: ids.slice(at, at + AT_ONCE) }, { signal: mine.signal });
        setDone((before) => [...before, ...results]);
      }
    } catch (failure) {
      if (!mine.signal.aborted) setError(failure);
    } finally {
      if (stopper.current === mine) setRunning(false);
      refreshKeys();
    }
  };
  return { done, total, running, error, start, stop: () => { stopper.current?.abort(); setRunning(false); } };
}

export function TestResults({ done, total, running, error }: { done: Tested[]; total: number; running: boolean; error: unknown }) {
  const groups = new Map<string, number>();
  for (const one of done) {
    const name = `${one.outcome} ${one.reason ?? ''}`;
    groups.set(name, (groups.get(name) ?? 0) + 1);
  }
  const tone: Record<string, string> = { works: 'good', limited: 'wait', rejected: 'bad' };
  return (
    <div class="stack tight">
      <label class="stack close"><span class="soft" role="status">{t.keys.testProgress(done.length, total)}{!running && done.length < total && !error ? ` ${t.keys.testStopped}` : ''}</span>
        <progress max={Math.max(1, total)} value={done.length} />
      </label>
      {error ? <Notice kind="bad" alert>{inWords(error)}</Notice> : null}
      <ul class="results">
        {[...groups].sort((a, b) => b[1] - a[1]).map(([name, count]) => {
          const [outcome = '', reason = ''] = name.split(' ');
          return (
            <li key={name}><span class={`strong ${tone[outcome] ?? 'soft'}`}>{number(count)}</span> {t.outcomes[outcome as keyof typeof t.outcomes] ?? outcome}{reason && <span class="soft">: {reasonWord(reason)}</span>}</li>
          );
        })}
      </ul>
    </div>
  );
}

function TestDialog({ chosen, onClose }: { chosen: Chosen; onClose: (done?: boolean) => void }) {
  const count = countOf(chosen);
  const tests = useTests();
  const begun = tests.running || tests.done.length > 0 || Boolean(tests.error);
  const only = tests.done.length === 1 ? tests.done[0] : undefined;
  return (
    <Dialog
      title={t.keys.testTitle(count)} onClose={() => onClose(begun)} firm={tests.running}
      footer={tests.running ? <Button icon="stop" onClick={tests.stop}>{t.keys.testStop}</Button>
        : begun ? <Button kind="primary" onClick={() => onClose(true)}>{t.done}</Button>
          : <><Button onClick={() => onClose()}>{t.cancel}</Button><Button kind="primary" icon="play" autofocus onClick={() => void tests.start(chosen)}>{t.keys.testStart}</Button></>}
    >
      <div class="stack">
        {!begun && <p>{t.keys.testText(count)}</p>}
        {begun && <TestResults {...tests} />}
        {only?.message && <p class="soft small any">{only.message}</p>}
      </div>
    </Dialog>
  );
}

type ExportFormat = 'json' | 'text' | 'none';

interface ExportPage { next: number | null; keys: unknown[] }

export function ExportDialog({ chosen, onClose }: { chosen: Chosen; onClose: (done?: boolean) => void }) {
  const [format, setFormat] = useState<ExportFormat>('json');
  const [busy, setBusy] = useState(false);
  const [got, setGot] = useState(0);
  const [error, setError] = useState<unknown>();
  const count = countOf(chosen);
  const run = async () => {
    setBusy(true);
    setError(undefined);
    setGot(0);
    try {
      const keys: { id: number; key?: string }[] = [];
      let head: Record<string, unknown> = {};
      for (let after: number | null | undefined; after !== null;) {
        const { keys: found, next, ...rest } = await post<ExportPage>('export', {
          ...('ids' in chosen ? { ids: chosen.ids } : { filter: chosen.filter }), format: 'json', secrets: format === 'none' ? 'none' : 'plain', ...(after ? { after } : {}),
        });
        head = rest;
        keys.push(...(found as typeof keys));
        setGot(keys.length);
        after = next;
      }
      const day = new Date().toISOString().slice(0, 10);
      if (format === 'text') saveFile(`one-balance-keys-${day}.txt`, 'text/plain', `${keys.map((one) => one.key).join('\n')}\n`);
      else saveFile(`one-balance-keys-${day}.json`, 'application/json', `${JSON.stringify({ ...head, keys }, null, 1)}\n`);
      toast(t.keys.exported(keys.length));
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  const option = (value: ExportFormat, text: ComponentChildren) => (
    <label class="check"><input type="radio" name="format" checked={format === value} onChange={() => setFormat(value)} /><span>{text}</span></label>
  );
  return (
    <Dialog
      title={t.keys.exportTitle(count)} onClose={() => onClose()}
      footer={<><Button onClick={() => onClose()}>{t.cancel}</Button><Button kind="primary" icon="download" busy={busy} onClick={() => void run()}>{t.keys.actions.export}</Button></>}
    >
      <div class="stack">
        {format !== 'none' && <Notice kind="wait">{t.keys.exportText}</Notice>}
        <fieldset class="stack tight"><legend class="unseen">{t.keys.exportFormat}</legend>
          {option('json', t.keys.exportJson)}{option('text', t.keys.exportText2)}{option('none', t.keys.exportNone)}
        </fieldset>
        {busy && <progress max={Math.max(1, count)} value={got} aria-label={t.keys.exportTitle(count)} />}
        {error ? <Notice kind="bad" alert>{inWords(error)}</Notice> : null}
      </div>
    </Dialog>
  );
}
