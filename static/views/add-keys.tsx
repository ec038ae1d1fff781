// Adding keys: what is pasted or dropped is looked through in pieces, shown, and only then added.

import './add-keys.css';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { refreshKeys, tagsOf } from '../lib/actions';
import { Failure, inWords, post } from '../lib/api';
import { number, size } from '../lib/format';
import { useLoad } from '../lib/load';
import { go, to } from '../lib/route';
import { loadProviders } from '../lib/session';
import type { Added, KnownProvider, Preview, PreviewItem } from '../lib/types';
import { oddityText, reasonWord, refusedText, stateWord } from '../lib/words';
import { ask, Dialog } from '../ui/dialog';
import { Icon } from '../ui/icon';
import { Button, Check, Field, Notice, Segments } from '../ui/parts';
import { TestResults, useTests } from './bulk';

/** Entries that one call looks through or adds: each takes a moment of the Worker's processor time. */
const PIECE = 500;
/** The longest body that the API takes, with room for JSON's quoting. */
const MOST_BYTES = 3_500_000;
/** The longest text that the field shows, in characters. A browser takes a second to lay out 20,000 lines, and nobody edits them by hand. */
const FIELD_HOLDS = 100_000;
/** Rows that are shown at once: more would only be scrolled past. */
const SHOWN = 300;

type Status = PreviewItem['status'];
type Show = Status | 'all' | 'warned';

interface Details { remark: string; tags: string[]; project: string; priority: number }

interface Sum { added: number; restored: number; there: number; refused: number; ids: number[]; invalid: Added['invalid'] }

export function AddKeys({ provider: first, onClose }: { provider: string; onClose: () => void }) {
  const providers = useLoad('providers', loadProviders);
  const known = providers.data?.known ?? [];
  const custom = first.startsWith('custom-');
  const [choice, setChoice] = useState(custom ? 'custom-' : first);
  const [slug, setSlug] = useState(custom ? first : 'custom-');
  const [text, setText] = useState('');
  /** The name of the file that the text is from. */
  const [file, setFile] = useState('');
  const [wrong, setWrong] = useState<{ field: 'text' | 'provider'; words: string } | null>(null);
  const provider = choice === 'custom-' ? slug.trim() : choice;

  const [remark, setRemark] = useState('');
  const [tags, setTags] = useState('');
  const [project, setProject] = useState('');
  const [priority, setPriority] = useState('0');
  const [restore, setRestore] = useState(false);
  const [testAfter, setTestAfter] = useState(false);
  const details = (): Details => ({ remark: remark.trim(), tags: tagsOf(tags), project: project.trim(), priority: Number(priority) || 0 });

  const [step, setStep] = useState<'write' | 'look' | 'done'>('write');
  const [items, setItems] = useState<PreviewItem[]>([]);
  const [total, setTotal] = useState(0);
  const [format, setFormat] = useState('');
  const [left, setLeft] = useState<ReadonlySet<number>>(new Set());
  const [busy, setBusy] = useState<'' | 'look' | 'add'>('');
  const [doneCount, setDoneCount] = useState(0);
  const [sum, setSum] = useState<Sum | null>(null);
  const [stopped, setStopped] = useState(false);
  const [error, setError] = useState<unknown>();
  const stopper = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => stopper.current?.abort(), []);
  const tests = useTests();

  const close = async () => {
    if (busy === 'add' || tests.running) return;
    const unsaved = step !== 'done' && text.trim().length > 0;
    if (unsaved && !(await ask({ title: t.add.leaveTitle, text: t.add.leaveText, action: t.add.leave, danger: true }))) return;
    onClose();
  };

  const look = async () => {
    setWrong(null);
    setError(undefined);
    if (!text.trim()) return setWrong({ field: 'text', words: t.add.empty });
    if (new Blob([text]).size > MOST_BYTES) return setWrong({ field: 'text', words: t.add.tooBig(size(MOST_BYTES)) });
    const mine = (stopper.current = new AbortController());
    setBusy('look');
    setStep('look');
    setItems([]);
    setTotal(0);
    setDoneCount(0);
    setLeft(new Set());
    try {
      const found: PreviewItem[] = [];
      for (let offset: number | null = 0; offset !== null;) {
        const piece: Preview = await post<Preview>('keys/preview', { ...(provider ? { provider } : {}), keys: text, offset, limit: PIECE }, { signal: mine.signal });
        found.push(...piece.items);
        setItems([...found]);
        setTotal(piece.total);
        setFormat(piece.format);
        offset = piece.next;
      }
    } catch (failure) {
      if (mine.signal.aborted) return;
      setStep('write');
      if (failure instanceof Failure && (failure.field === 'provider' || failure.code === 'no_provider')) setWrong({ field: 'provider', words: inWords(failure) });
      else setError(failure);
    } finally {
      setBusy('');
    }
  };

  /** What is added: every new entry that was not left out, and those there already when they are restored. */
  const wanted = useMemo(
    () => items.filter((one, index) => (one.status === 'new' || (restore && mayRestore(one))) && !left.has(index)),
    [items, left, restore],
  );
  const restorable = items.filter(mayRestore).length;

  const add = async () => {
    const mine = (stopper.current = new AbortController());
    setBusy('add');
    setError(undefined);
    setStopped(false);
    setDoneCount(0);
    const result: Sum = { added: 0, restored: 0, there: 0, refused: 0, ids: [], invalid: [] };
    const more = { ...details(), ...(provider ? { provider } : {}), ...(restore ? { restore } : {}), ...(left.size > 0 ? { skip: [...left] } : {}) };
    try {
      for (let offset: number | null = 0; offset !== null && !mine.signal.aborted;) {
        // The whole text each time, and a piece of it: lines keep their numbers.
        const piece: Added = await post<Added>('keys', { ...more, keys: text, offset, limit: PIECE }, { signal: mine.signal });
        result.added += piece.added_count;
        result.restored += piece.restored_count;
        result.there += piece.duplicates.filter((one) => one.state !== 'twice').length;
        result.refused += piece.invalid_count;
        result.ids.push(...piece.added.map((one) => one.id));
        result.invalid.push(...piece.invalid);
        setSum({ ...result });
        setDoneCount(Math.min(total, offset + PIECE));
        offset = piece.next;
      }
      setStep('done');
    } catch (failure) {
      if (mine.signal.aborted) {
        setStopped(true);
        setStep('done');
      } else setError(failure);
    } finally {
      setSum({ ...result });
      setBusy('');
      refreshKeys();
    }
    if (testAfter && result.ids.length > 0 && !mine.signal.aborted) void tests.start({ ids: result.ids });
  };

  const again = () => { setStep('write'); setText(''); setFile(''); setItems([]); setSum(null); setRestore(false); };
  const allKnown = providers.data ? known : [];

  return (
    <Dialog
      kind="box wide" title={t.add.title} onClose={() => void close()} firm={busy === 'add' || tests.running}
      footer={
        step === 'write' ? <><Button onClick={() => void close()}>{t.cancel}</Button><Button kind="primary" onClick={() => void look()}>{t.add.preview}</Button></>
          : step === 'look' ? <>
            {busy === 'add' ? <Button icon="stop" onClick={() => stopper.current?.abort()}>{t.add.stop}</Button>
              : <Button icon="left" onClick={() => { stopper.current?.abort(); setBusy(''); setStep('write'); }}>{t.add.again}</Button>}
            <Button kind="primary" busy={busy === 'add'} disabled={busy === 'look' || wanted.length === 0} onClick={() => void add()}>{wanted.length > 0 ? t.add.add(wanted.length) : t.add.nothingToAdd}</Button>
          </>
            : tests.running ? <Button icon="stop" onClick={tests.stop}>{t.add.stop}</Button>
              : <><Button icon="plus" onClick={again}>{t.add.more}</Button><Button kind="primary" onClick={() => { onClose(); go(to(['keys', provider].filter(Boolean))); }}>{t.add.show}</Button></>
      }
    >
      <div class="stack adding">
        {error ? <Notice kind="bad" alert>{inWords(error)}</Notice> : null}
        {step === 'write' && <>
          <div class="fields">
            <Field label={t.add.provider} wrong={wrong?.field === 'provider' ? wrong.words : undefined}>
              {(ids) => (
                <select {...ids} value={choice} onChange={(event) => { setChoice(event.currentTarget.value); setWrong(null); }}>
                  <option value="">{t.add.autoProvider}</option>
                  {choice && choice !== 'custom-' && !allKnown.some((one) => one.slug === choice) && <option value={choice}>{choice}</option>}
                  {allKnown.map((one) => <option key={one.slug} value={one.slug}>{one.name}</option>)}
                  <option value="custom-">{t.add.custom}</option>
                </select>
              )}
            </Field>
            {choice === 'custom-' && <Field label={t.add.customSlug} hint={t.add.customHint}>{(ids) => <input {...ids} type="text" class="mono" value={slug} maxLength={64} autocapitalize="off" spellcheck={false} onInput={(event) => setSlug(event.currentTarget.value)} />}</Field>}
          </div>
          <Paste text={text} file={file} wrong={wrong?.field === 'text' ? wrong.words : undefined} onWrong={(words) => setWrong({ field: 'text', words })} onText={(value, name = '') => { setText(value); setFile(name); setWrong(null); setError(undefined); if (!choice) { const guessed = guess(value, known); if (guessed) setChoice(guessed); } }} />
        </>}

        {step === 'look' && <>
          <p class="row between"><span role="status">{busy === 'look' ? t.add.previewing(items.length, total) : t.add.readAs(t.add.formats[format as keyof typeof t.add.formats] ?? format, total)}</span>{left.size > 0 && <span class="soft">{t.add.leftOut(left.size)}</span>}</p>
          {busy === 'look' && <progress max={Math.max(1, total)} value={items.length} aria-label={t.add.preview} />}
          {busy === 'add' && <label class="stack close"><span role="status">{t.add.adding(doneCount, total)}</span><progress max={Math.max(1, total)} value={doneCount} /></label>}
          <Items items={items} left={left} mayLeave={busy === ''} onLeave={(index, out) => setLeft((before) => { const next = new Set(before); if (out) next.add(index); else next.delete(index); return next; })} />
          <fieldset class="stack tight" disabled={busy === 'add'}>
            <legend class="strong">{t.add.details}</legend>
            <div class="fields">
              <Field label={t.add.remark}>{(ids) => <input {...ids} type="text" value={remark} maxLength={500} onInput={(event) => setRemark(event.currentTarget.value)} />}</Field>
              <Field label={t.add.tags} hint={t.keys.tagsHint}>{(ids) => <input {...ids} type="text" value={tags} onInput={(event) => setTags(event.currentTarget.value)} />}</Field>
              <Field label={t.add.project} hint={t.keys.projectHint}>{(ids) => <input {...ids} type="text" value={project} maxLength={500} onInput={(event) => setProject(event.currentTarget.value)} />}</Field>
              <Field label={t.add.priority}>{(ids) => <input {...ids} type="number" min={-1000} max={1000} value={priority} onInput={(event) => setPriority(event.currentTarget.value)} />}</Field>
            </div>
            {restorable > 0 && <Check label={t.add.restore(restorable)} checked={restore} onChange={setRestore} />}
            <Check label={t.add.testAfter} hint={t.add.testHint} checked={testAfter} onChange={setTestAfter} />
          </fieldset>
        </>}

        {step === 'done' && sum && <>
          <section class="stack tight" aria-labelledby="add-result" role="status">
            <h3 id="add-result">{t.add.result}</h3>
            {stopped && <Notice kind="info">{t.add.stopped}</Notice>}
            <ul class="results big">
              <li class="good">{t.add.added(sum.added)}</li>
              {sum.restored > 0 && <li class="good">{t.add.restored(sum.restored)}</li>}
              {sum.there > 0 && <li class="soft">{t.add.skipped(sum.there)}</li>}
              {sum.refused > 0 && <li class="bad">{t.add.refused(sum.refused)}</li>}
            </ul>
          </section>
          {sum.invalid.length > 0 && (
            <ul class="refusals small">{sum.invalid.slice(0, 20).map((one) => <li key={one.line}><span class="soft">{t.add.line} {number(one.line)}</span> <span class="mono">{one.hint}</span> {refusedText({ code: one.code, values: one.values, message: one.why })}</li>)}</ul>
          )}
          {(tests.running || tests.done.length > 0 || tests.error) && <section class="stack tight"><h3>{t.add.testResult}</h3><TestResults {...tests} /></section>}
        </>}
      </div>
    </Dialog>
  );
}

const mayRestore = (one: PreviewItem) => one.status === 'existing' && (one.state === 'blocked' || one.state === 'disabled');

/** The only provider whose keys begin so, if all do. The longest beginning decides: `sk-ant-` before `sk-`. */
function guess(text: string, known: KnownProvider[]): string | undefined {
  const lines = text.split(/[\s,;]+/).filter((one) => one.length >= 8).slice(0, 50);
  const found = new Set(lines.map((line) => {
    const fits = known.flatMap((one) => one.key_prefixes.filter((prefix) => line.startsWith(prefix)).map((prefix) => ({ slug: one.slug, length: prefix.length })));
    const most = Math.max(0, ...fits.map((one) => one.length));
    const best = fits.filter((one) => one.length === most);
    return best.length === 1 ? best[0]?.slug : undefined;
  }));
  return found.size === 1 ? [...found][0] : undefined;
}

// === Writing or dropping ===

function Paste({ text, file, wrong, onText, onWrong }: { text: string; file: string; wrong: string | undefined; onText: (text: string, file?: string) => void; onWrong: (words: string) => void }) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const long = text.length > FIELD_HOLDS;
  // What had the focus goes when the one takes the other's place.
  const place = useRef<HTMLDivElement>(null);
  const wasLong = useRef(long);
  useEffect(() => {
    if (wasLong.current !== long) place.current?.querySelector<HTMLElement>('textarea, .long')?.focus();
    wasLong.current = long;
  }, [long]);
  const read = async (one: File | undefined) => {
    if (!one) return;
    if (one.size > MOST_BYTES) return onWrong(t.add.tooBig(size(MOST_BYTES)));
    const content = await one.text();
    if (content.includes('\0')) return onWrong(t.add.notText);
    onText(content, one.name);
  };
  /** A long text never gets into the field. */
  const paste = (event: ClipboardEvent & { currentTarget: HTMLTextAreaElement }) => {
    const pasted = event.clipboardData?.getData('text/plain') ?? '';
    const { selectionStart: from, selectionEnd: to } = event.currentTarget;
    const whole = text.slice(0, from) + pasted + text.slice(to);
    if (whole.length <= FIELD_HOLDS) return;
    event.preventDefault();
    onText(whole);
  };
  return (
    <div
      ref={place} class={`paste ${over ? 'over' : ''}`}
      onDragOver={(event) => { if (event.dataTransfer?.types.includes('Files')) { event.preventDefault(); setOver(true); } }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => { if (event.dataTransfer?.types.includes('Files')) { event.preventDefault(); setOver(false); void read(event.dataTransfer.files[0]); } }}
    >
      {long ? <Long text={text} name={file || t.add.pasted} wrong={wrong} onTakeOut={() => onText('')} /> : (
        <Field label={t.add.text} hint={t.add.textHint} wrong={wrong}>
          {(ids) => <textarea {...ids} class="mono" rows={10} value={text} autofocus autocapitalize="off" autocomplete="off" spellcheck={false} placeholder={over ? t.add.drop : ''} onPaste={paste} onInput={(event) => onText(event.currentTarget.value)} />}
        </Field>
      )}
      <div class="row">
        <input ref={input} type="file" class="unseen" tabindex={-1} aria-hidden="true" accept=".txt,.csv,.json,.env,.sql,.log,text/*" onChange={(event) => { void read(event.currentTarget.files?.[0]); event.currentTarget.value = ''; }} />
        <Button small icon="file" onClick={() => input.current?.click()}>{t.add.file}</Button>
        <span class="soft small" role="status">{file && !long ? t.add.dropped(file, size(new Blob([text]).size)) : t.add.dropHint}</span>
      </div>
    </div>
  );
}

/** A text that is too long for the field: what it is, and how to be rid of it. */
function Long({ text, name, wrong, onTakeOut }: { text: string; name: string; wrong: string | undefined; onTakeOut: () => void }) {
  const words = useMemo(() => t.add.linesOf(text.trimEnd().split('\n').length, size(new Blob([text]).size)), [text]);
  return (
    <div class="field" role="group" aria-label={t.add.text}>
      <span class="label">{t.add.text}</span>
      <div class="long row still" tabindex={-1}>
        <Icon name="file" size={22} />
        <div class="grow" role="status"><div class="strong cut">{name}</div><div class="soft small">{words}</div></div>
        <Button small icon="close" onClick={onTakeOut}>{t.add.takeOut}</Button>
      </div>
      {wrong && <div class="wrong" role="alert">{wrong}</div>}
    </div>
  );
}

// === Looking ===

function Items({ items, left, mayLeave, onLeave }: { items: PreviewItem[]; left: ReadonlySet<number>; mayLeave: boolean; onLeave: (index: number, out: boolean) => void }) {
  const [show, setShow] = useState<Show>('all');
  const count = (of: Show) => (of === 'all' ? items.length : items.filter((one) => fits(one, of)).length);
  const shown = items.map((one, index) => ({ one, index })).filter(({ one }) => fits(one, show));
  const options = (['all', 'new', 'existing', 'repeated', 'invalid', 'warned'] as const).filter((one) => one === 'all' || count(one) > 0)
    .map((one) => ({ value: one, text: `${one === 'all' ? t.add.statusAll : t.add.status[one]} ${number(count(one))}` }));
  return (
    <div class="stack tight">
      <div><Segments label={t.add.preview} value={show} options={options} onChange={setShow} /></div>
      <div class="scroll preview" tabindex={0} role="group" aria-label={t.add.preview}>
        <table>
          <thead><tr><th scope="col" class="p-add">{t.add.include}</th><th scope="col" class="p-line number">{t.add.line}</th><th scope="col">{t.add.key}</th><th scope="col">{t.add.what}</th></tr></thead>
          <tbody>
            {shown.slice(0, SHOWN).map(({ one, index }) => (
              <tr key={index} class={one.status}>
                <td class="p-add">{one.status === 'new' && <input type="checkbox" aria-label={t.add.leaveOut(one.hint)} checked={!left.has(index)} disabled={!mayLeave} onChange={(event) => onLeave(index, !event.currentTarget.checked)} />}</td>
                <td class="p-line number soft">{number(one.line)}</td>
                <td class="mono nowrap">{one.hint}</td>
                <td class="any">
                  {one.status === 'new' && <span class="good">{t.add.willAdd}</span>}
                  {one.status === 'existing' && <span class="soft">{t.add.isThere(stateWord(one.state ?? ''))}{one.reason && ` (${reasonWord(one.reason)})`}</span>}
                  {one.status === 'repeated' && <span class="soft">{t.add.firstLine(one.first_line ?? 0)}</span>}
                  {one.status === 'invalid' && <span class="bad">{one.problem && refusedText(one.problem)}</span>}
                  {one.warnings.map((it) => <span key={it.code} class="wait"> {oddityText(it)}</span>)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {shown.length > SHOWN && <p class="soft small rest">{t.add.moreRows(shown.length - SHOWN)}</p>}
      </div>
    </div>
  );
}

const fits = (one: PreviewItem, show: Show) => show === 'all' || (show === 'warned' ? one.warnings.length > 0 : one.status === show);
