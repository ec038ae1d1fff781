// How this Worker is set up, what is wrong with that, and a copy of the pool.

import './settings.css';
import { useState } from 'preact/hooks';
import { choose, language, t } from '../i18n';
import { get } from '../lib/api';
import { dateTime, number } from '../lib/format';
import { useLoad } from '../lib/load';
import { loadProviders, session } from '../lib/session';
import { useStore } from '../lib/store';
import { THEMES, theme } from '../lib/theme';
import type { Settings } from '../lib/types';
import { problemText } from '../lib/words';
import { Bone, Button, Code, Failed, Loading, Notice, Segments, useTitle } from '../ui/parts';
import { ExportDialog } from './bulk';

export function SettingsView() {
  useTitle(t.settings.title);
  const { data, error, again } = useLoad('settings', (signal) => get<Settings>('settings', {}, { signal }), { every: 60_000 });
  const providers = useLoad('providers', loadProviders).data?.providers ?? [];
  const me = useStore(session);
  const chosen = useStore(theme);
  const [exporting, setExporting] = useState(false);
  const total = providers.reduce((sum, one) => sum + one.total, 0);

  return (
    <div class="view narrow settings">
      <div class="head"><h1>{t.settings.title}</h1></div>
      {error && data ? <Failed over error={error} again={again} /> : null}
      {error && !data ? <div class="card"><Failed error={error} again={again} /></div>
        : !data ? <Loading><div class="stack">{[1, 2, 3].map((n) => <div key={n} class="card pad"><Bone height={120} /></div>)}</div></Loading>
          : <>
            <section class="card pad stack tight" aria-labelledby="problems-title">
              <h2 id="problems-title">{t.settings.problems}</h2>
              {data.problems.length === 0 && !data.gateway?.problem ? <p class="good">{t.settings.noProblems}</p>
                : <>
                  {data.gateway?.problem && <Notice kind="bad">{data.gateway.problem}</Notice>}
                  {data.problems.map((one, index) => <Notice key={index} kind="wait">{problemText(one)}</Notice>)}
                </>}
            </section>
            <section class="card pad stack tight" aria-labelledby="worker-title">
              <h2 id="worker-title">{t.settings.worker}</h2>
              <dl class="facts">
                <dt>{t.settings.gateway}</dt>
                <dd>{data.gateway ? <><code>{data.gateway.url}</code>{data.gateway.simulated && <> <span class="pill wait">{t.settings.simulated}</span></>}</> : <span class="bad">{t.settings.gatewayUnknown}</span>}</dd>
                <dt>{t.settings.version}</dt><dd>{data.version}</dd>
                {data.placement && <><dt>{t.settings.placement}</dt><dd>{[data.placement.colo, data.placement.country].filter(Boolean).join(', ')}</dd></>}
                {Object.entries(data.settings).map(([name, value]) => [
                  <dt key={name}>{(t.settings.names as Record<string, string>)[name] ?? name}</dt>,
                  <dd key={`${name}-value`}>{typeof value === 'boolean' ? (value ? t.settings.on : t.settings.off) : typeof value === 'number' ? number(value) : String(value ?? '–')}</dd>,
                ])}
              </dl>
              <p class="soft small">{t.settings.valuesText}</p>
            </section>
          </>}
      {(data || error) && <>
      <section class="card pad row between" aria-labelledby="export-title">
        <div class="stack close grow"><h2 id="export-title">{t.settings.export}</h2><p class="soft">{t.settings.exportText}</p></div>
        <Button icon="download" disabled={total === 0} onClick={() => setExporting(true)}>{t.settings.exportAll}</Button>
      </section>
      <section class="card pad stack tight" aria-labelledby="look-title">
        <h2 id="look-title">{t.settings.appearance}</h2>
        <div class="row looks">
          <Segments label={t.theme} value={chosen} options={THEMES.map((one) => ({ value: one, text: t.themes[one] }))} onChange={(value) => theme.set(value)} />
          <Segments label={t.language} value={language.get()} options={[{ value: 'en', text: 'English' }, { value: 'zh', text: '中文' }]} onChange={choose} />
        </div>
      </section>
      <section class="card pad stack tight" aria-labelledby="api-title">
        <h2 id="api-title">{t.settings.api}</h2>
        <p class="soft">{t.settings.apiText}</p>
        <Code label={t.settings.api} text={`curl ${location.origin}/admin/api/overview -H 'Authorization: Bearer ${t.connect.yourToken}'`} />
      </section>
      </>}
      {me && data && <p class="soft small">{t.settings.session}: {t.settings.tokenId} <code>{me.token.id}</code>{me.expires_at && <> · {t.settings.sessionEnds} {dateTime(me.expires_at)}</>}</p>}
      {exporting && <ExportDialog chosen={{ filter: {}, expect: total }} onClose={() => setExporting(false)} />}
    </div>
  );
}
