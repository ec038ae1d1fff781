// How this Worker is set up, what is wrong with that, and a copy of the pool.

import './settings.css';
import { useState } from 'preact/hooks';
import { choose, language, t } from '../i18n';
import { get, inWords, post } from '../lib/api';
import { dateTime, number } from '../lib/format';
import { useLoad } from '../lib/load';
import { loadProviders, session } from '../lib/session';
import { useStore } from '../lib/store';
import { THEMES, theme } from '../lib/theme';
import type { Settings, WebhookTest } from '../lib/types';
import { problemText, webhookText } from '../lib/words';
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
              {data.problems.length === 0 ? <p class="good">{t.settings.noProblems}</p>
                : data.problems.map((one, index) => <Notice key={index} kind="wait">{problemText(one)}</Notice>)}
            </section>
            <section class="card pad stack tight" aria-labelledby="worker-title">
              <h2 id="worker-title">{t.settings.worker}</h2>
              <dl class="facts">
                <dt>{t.settings.gateway}</dt>
                <dd>
                  {data.upstream === 'direct' ? <>{t.settings.direct}<p class="soft small">{t.settings.directText}</p></>
                    : data.gateway ? <><code>{data.gateway.url}</code>{data.gateway.simulated && <> <span class="pill wait">{t.settings.simulated}</span></>}</>
                      : <span class="bad">{t.settings.gatewayUnknown}</span>}
                </dd>
                <dt>{t.settings.version}</dt><dd>{data.version}</dd>
                {data.placement && <><dt>{t.settings.placement}</dt><dd>{[data.placement.colo, data.placement.country].filter(Boolean).join(', ')}</dd></>}
                {inOrder(data.settings).map(([name, value]) => [
                  <dt key={name}>{(t.settings.names as Record<string, string>)[name] ?? name}</dt>,
                  <dd key={`${name}-value`}>{typeof value === 'boolean' ? (value ? t.settings.on : t.settings.off) : typeof value === 'number' ? number(value) : String(value ?? '–')}</dd>,
                ])}
              </dl>
              <p class="soft small">{t.settings.valuesText}</p>
            </section>
            <Messages webhook={data.webhook} />
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

/** As they are named, the most important first. */
function inOrder(settings: Settings['settings']) {
  const names = Object.keys(t.settings.names);
  return Object.entries(settings).sort(([one], [other]) => names.indexOf(one) - names.indexOf(other));
}

/** The webhook: whether there is one, and a message to see that messages arrive. */
function Messages({ webhook }: { webhook: Settings['webhook'] }) {
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<{ kind: 'good' | 'bad'; words: string } | null>(null);
  const words = t.settings.webhook;
  const test = async () => {
    setBusy(true);
    setResult(null);
    try {
      const told = await post<WebhookTest>('webhook/test');
      setResult(told.sent ? { kind: 'good', words: words.sent } : { kind: 'bad', words: webhookText(told) });
    } catch (error) {
      setResult({ kind: 'bad', words: inWords(error) });
    }
    setBusy(false);
  };
  return (
    <section class="card pad stack tight" aria-labelledby="webhook-title">
      <div class="row between">
        <div class="stack close grow">
          <h2 id="webhook-title">{words.title}</h2>
          <p class="soft">{webhook ? words.goes(words.kinds[webhook.kind], webhook.min_usable) : words.none}</p>
        </div>
        {webhook && <Button icon="send" busy={busy} onClick={() => void test()}>{words.test}</Button>}
      </div>
      {!webhook && <Code label={words.title} text="npx wrangler secret put WEBHOOK_URL" />}
      <div role="status">{result && <Notice kind={result.kind}>{result.words}</Notice>}</div>
    </section>
  );
}
