// Is the pool healthy, and what is to be done about it: at a glance.

import './overview.css';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { t } from '../i18n';
import { get } from '../lib/api';
import { ago, dateTime, hourTime, number, percent, utcDay } from '../lib/format';
import { stale, useLoad } from '../lib/load';
import { to } from '../lib/route';
import { MINUTE, now, useNow } from '../lib/time';
import { STATES, type Overview, type Provider, type ProviderOverview, type Warning } from '../lib/types';
import { modelWord, reasonWord, warningText } from '../lib/words';
import { Chart } from '../ui/chart';
import { Icon, type IconName, StateIcon } from '../ui/icon';
import { Bone, Button, Countdown, Failed, IconButton, Loading, Segments, useTitle } from '../ui/parts';
import { UpstreamNote } from '../ui/upstream';

type Range = '24h' | '30d';

export function OverviewView() {
  useTitle(t.overview.title);
  const [range, setRange] = useState<Range>('24h');
  const [slug, setSlug] = useState('');
  const { data, error, again, loading, at } = useLoad(
    `overview ${range} ${slug}`,
    (signal) => get<Overview>('overview', { range, provider: slug }, { signal }),
    { every: 30_000, keep: true },
  );
  const time = useNow(MINUTE / 4);
  const empty = data && data.providers.every((one) => one.total === 0);

  return (
    <div class="view overview">
      <div class="head">
        <h1>{t.overview.title}</h1>
        <span class="soft small nowrap on-desk" title={data ? t.overview.countedAt(ago(data.counted_at, time)) : undefined}>{at > 0 && t.updated(ago(at, time))}</span>
        <IconButton icon="refresh" label={t.refresh} busy={loading && Boolean(data)} onClick={() => void again()} />
        <a class="button primary" href={to(['keys'], { add: 1 })}><Icon name="plus" />{t.overview.addKeys}</a>
      </div>
      <UpstreamNote class="on-phone" />
      {error && data ? <Failed over error={error} again={again} /> : null}
      {error && !data ? <div class="card"><Failed error={error} again={again} /></div> : null}
      {!data && !error && <Skeleton />}
      {data && empty && <FirstSteps />}
      {data && !empty && <>
        <Tiles data={data} />
        <div class="two">
          <section class="card pad stack tight charted" aria-labelledby="chart-title">
            <div class="row between">
              <h2 id="chart-title">{t.overview.chart}</h2>
              <div class="row">
                <ProviderChoice providers={data.providers} value={slug} onChange={setSlug} />
                <Segments
                  label={t.overview.range} value={range} onChange={setRange}
                  options={[{ value: '24h', text: t.overview.day }, { value: '30d', text: t.overview.month }]}
                />
              </div>
            </div>
            <Outcomes series={data.series} range={data.range} />
          </section>
          <Warnings warnings={data.warnings} />
        </div>
        <Pools providers={data.providers} />
      </>}
    </div>
  );
}

function ProviderChoice({ providers, value, onChange }: { providers: Provider[]; value: string; onChange: (slug: string) => void }) {
  if (providers.length < 2) return null;
  return (
    <select aria-label={t.overview.provider} value={value} onChange={(event) => onChange(event.currentTarget.value)} class="fit">
      <option value="">{t.overview.allProviders}</option>
      {providers.map((one) => <option key={one.slug} value={one.slug}>{one.name}</option>)}
    </select>
  );
}

// === The figures of today ===

function Tile({ title, value, children, tone }: { title: string; value: ComponentChildren; children?: ComponentChildren; tone?: string }) {
  return (
    <div class="card tile">
      <dt>{title}</dt>
      <dd class={`value ${tone ?? ''}`}>{value}</dd>
      <dd class="soft small more">{children}</dd>
    </div>
  );
}

function Tiles({ data: { today, providers } }: { data: Overview }) {
  const add = (of: (one: ProviderOverview) => number) => providers.reduce((sum, one) => sum + of(one), 0);
  const exhausted = providers.flatMap((one) => one.exhausted).filter((one) => one.until > now());
  const soonest = exhausted.reduce<number>((least, one) => Math.min(least, one.until), Infinity);
  const [usable, total] = [add((one) => one.usable), add((one) => one.total)];
  const share = today.requests ? today.successes / today.requests : 1;
  return (
    <dl class="tiles">
      <Tile title={t.overview.requestsToday} value={number(today.requests)}>
        {today.requests === 0 ? t.overview.noneYet : t.overview.failedOf(today.requests - today.successes)}
      </Tile>
      <Tile title={t.overview.successToday} value={percent(today.successes, today.requests)} tone={share < 0.9 ? 'bad' : share < 0.98 ? 'wait' : ''}>
        {today.rate_limited > 0 ? t.overview.rateLimited(today.rate_limited) : ' '}
      </Tile>
      <Tile title={t.overview.usable} value={<>{number(usable)} <span class="soft of">{t.overview.ofKeys(total)}</span></>} tone={usable === 0 ? 'bad' : ''}>
        <Bar of={{ ready: add((one) => one.ready), cooling: add((one) => one.cooling), blocked: add((one) => one.blocked), disabled: add((one) => one.disabled), total }} />
      </Tile>
      <Tile title={t.overview.exhaustedNow} value={number(exhausted.length)} tone={exhausted.length > 0 ? 'wait' : ''}>
        {exhausted.length > 0 ? <>{t.overview.nextRelief}: <Countdown key={soonest} until={soonest} onOver={() => stale('overview ')} /></> : t.overview.exhaustedNone}
      </Tile>
    </dl>
  );
}

/** The share of each state, as a line. The numbers stand beside it or are read out. */
function Bar({ of }: { of: Pick<Provider, 'ready' | 'cooling' | 'blocked' | 'disabled' | 'total'> }) {
  const words = STATES.filter((state) => of[state] > 0).map((state) => `${number(of[state])} ${t.states[state]}`).join(', ');
  return (
    <span class="bar" role="img" aria-label={words} title={words}>
      {STATES.map((state) => of[state] > 0 && <i key={state} class={state} style={{ flexGrow: of[state] }} />)}
    </span>
  );
}

// === Requests over time ===

function Outcomes({ series, range }: { series: Overview['series']; range: Range }) {
  const { points } = series;
  const requests = points.map((one) => one.requests);
  const successes = points.map((one) => one.successes);
  const failed = points.map((one) => Math.max(0, one.requests - one.successes));
  const sum = (values: number[]) => values.reduce((all, one) => all + one, 0);
  const days = range === '30d';
  const words = t.overview.chartSum(sum(requests), sum(successes), sum(failed));
  return <>
    <Chart
      fill at={points.map((one) => one.at)}
      label={`${t.overview.chartOf(t.overview.chart)}. ${words}`}
      axis={days ? utcDay : hourTime}
      full={days ? (at) => `${utcDay(at)} (UTC)` : dateTime}
      series={[
        { label: t.overview.failed, colour: '--chart-bad', values: requests, told: failed },
        { label: t.overview.succeeded, colour: '--chart-good', values: successes },
        { label: t.overview.limited, colour: '--chart-wait', values: points.map((one) => one.rate_limited), line: true },
      ]}
    />
    <p class="soft small">{sum(requests) === 0 ? t.overview.noRequests : days ? t.utc : t.overview.local}</p>
  </>;
}

// === What needs attention ===

const SHOWN = 5;
/** The worst first. */
const LEVELS: Warning['level'][] = ['error', 'warning', 'info'];

function Warnings({ warnings }: { warnings: Warning[] }) {
  const [all, setAll] = useState(false);
  const kinds: Record<Warning['level'], { icon: IconName; tone: string }> = {
    error: { icon: 'warning', tone: 'bad' }, warning: { icon: 'warning', tone: 'wait' }, info: { icon: 'info', tone: 'soft' },
  };
  const sorted = [...warnings].sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
  const shown = all ? sorted : sorted.slice(0, SHOWN);
  return (
    <section class="card pad stack tight attention" aria-labelledby="attention-title">
      <h2 id="attention-title">{warnings.length > 0 ? <>{t.overview.attention} <span class="soft">{number(warnings.length)}</span></> : t.overview.allWell}</h2>
      {warnings.length === 0
        ? <div class="well"><Icon name="check" size={26} /><p class="soft">{t.overview.allWellText}</p></div>
        : (
          <ul class="warnings">
            {shown.map((one, index) => {
              const kind = kinds[one.level] ?? kinds.info;
              const address = addressOf(one);
              const words = warningText(one);
              return (
                <li key={`${one.code} ${index}`}>
                  <span class={kind.tone}><Icon name={kind.icon} size={17} /></span>
                  {address ? <a href={address} class="grow">{words}</a> : <span>{words}</span>}
                  {address && <span class="leads"><Icon name="right" size={16} /></span>}
                </li>
              );
            })}
          </ul>
        )}
      {warnings.length > SHOWN && <Button kind="bare" small onClick={() => setAll(!all)}>{all ? t.overview.showFewer : t.overview.showAll(warnings.length - SHOWN)}</Button>}
    </section>
  );
}

/** Where one sees what a warning is about. */
function addressOf({ code, values }: Warning): string | undefined {
  const provider = typeof values.provider === 'string' ? values.provider : '';
  const text = (name: string) => (typeof values[name] === 'string' ? (values[name] as string) : '');
  switch (code) {
    case 'exhausted': return to(['keys', provider], { state: 'cooling', model: text('model') === '*' ? '' : text('model') });
    case 'blocked_since_yesterday': return to(['keys', provider], { state: 'blocked', reason: text('reason') });
    case 'no_usable_key': return to(['keys', provider]);
    case 'egress_refused': return to(['activity'], { provider, verdict: 'egress' });
    case 'gateway_error': return to(['activity'], { provider, verdict: 'gateway' });
    case 'setting': return to(['settings']);
    default: return undefined;
  }
}

// === Providers ===

function Pools({ providers }: { providers: ProviderOverview[] }) {
  return (
    <section class="card" aria-labelledby="pools-title">
      <h2 id="pools-title" class="pad-title">{t.overview.providers}</h2>
      <table class="pooltable">
        <thead>
          <tr>
            <th scope="col">{t.overview.provider}</th><th scope="col">{t.overview.keys}</th>
            <th scope="col" class="number">{t.overview.requestsToday}</th><th scope="col" class="number">{t.overview.success}</th>
            <th scope="col">{t.overview.exhausted}</th>
          </tr>
        </thead>
        <tbody>{providers.map((one) => <PoolRow key={one.slug} one={one} />)}</tbody>
      </table>
    </section>
  );
}

function PoolRow({ one }: { one: ProviderOverview }) {
  const blocked = one.blocked_reasons.map(({ reason, count }) => `${reasonWord(reason)} ${number(count)}`).join(', ');
  return (
    <tr>
      <th scope="row">
        <a class="pool-name" href={to(['keys', one.slug])} title={t.overview.keysOf(one.name)}>{one.name}</a>
        <span class="soft small any">{one.slug}</span>
      </th>
      <td>
        <div class="keycounts">
          <Bar of={one} />
          <span class="row tight counts">
            {STATES.filter((state) => one[state] > 0).map((state) => (
              <a key={state} class={`state ${state}`} href={to(['keys', one.slug], { state })} title={state === 'blocked' && blocked ? t.overview.blockedBecause(blocked) : undefined}>
                <StateIcon state={state} />{number(one[state])} <span class="word">{t.states[state]}</span>
              </a>
            ))}
          </span>
        </div>
      </td>
      <td class="number" data-label={t.overview.requestsToday}>{number(one.today.requests)}</td>
      <td class="number" data-label={t.overview.success}>{percent(one.today.successes, one.today.requests)}</td>
      <td class="exhausted">
        {one.exhausted.slice(0, 3).map(({ model, until }) => (
          <span key={model} class="pill wait"><span class="cut">{modelWord(model)}</span> <Countdown until={until} /></span>
        ))}
        {one.exhausted.length > 3 && <span class="soft small">{t.overview.moreModels(one.exhausted.length - 3)}</span>}
        {one.exhausted.length === 0 && <span class="soft" aria-hidden="true">–</span>}
      </td>
    </tr>
  );
}

// === An empty pool ===

function FirstSteps() {
  const { first } = t.overview;
  const steps = [
    { title: first.add, text: first.addText, address: to(['keys'], { add: 1 }), icon: 'key' },
    { title: first.token, text: first.tokenText, address: to(['tokens']), icon: 'token' },
    { title: first.connect, text: first.connectText, address: to(['connect']), icon: 'connect' },
  ] as const;
  return (
    <section class="card first" aria-labelledby="first-title">
      <h2 id="first-title">{first.title}</h2>
      <p class="soft">{first.lead}</p>
      <ol>
        {steps.map(({ title, text, address, icon }, index) => (
          <li key={title}>
            <a href={address}>
              <span class="step"><Icon name={icon} size={22} /></span>
              <span class="stack close"><strong>{index + 1}. {title}</strong><span class="soft">{text}</span></span>
              <Icon name="right" />
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Skeleton() {
  return (
    <Loading>
      <div class="stack">
        <div class="tiles">{[1, 2, 3, 4].map((n) => <div key={n} class="card tile"><Bone width="55%" height={16} /><Bone width="40%" height={28} /><Bone width="70%" height={14} /></div>)}</div>
        <div class="two"><div class="card pad"><Bone height={296} /></div><div class="card pad"><Bone height={296} /></div></div>
        <div class="card pad stack tight">{[1, 2, 3].map((n) => <Bone key={n} height={36} />)}</div>
      </div>
    </Loading>
  );
}
