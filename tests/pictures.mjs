// Pictures of the page, with a pool as an administrator may have it: `npm run pictures` runs this.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DESK, PHONE, Browser, launch, seedKeys } from './browser.mjs';
import { root, startWorld } from './harness.mjs';

const OUT = process.env.PICTURES || join(root, 'docs', 'pictures');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WIDE = { viewport: { width: 1920, height: 1080 } };

const world = await startWorld();
const it = new Browser(world, 'main');
it.browser = await launch();
after(() => it.browser.close());

/** The same numbers each time. */
function numbers(seed) {
  let state = seed;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

async function fill() {
  const next = numbers(7);
  const now = Date.now();
  const REMARKS = ['team A', 'batch of November', 'hans@example.org', '学生账号 3', 'free tier', '', ''];
  const pro = now + 5 * HOUR + 20 * 60_000;
  const cooling = (index) => [
    { model: 'gemini-2.5-pro', until: pro + index * 1_000 },
    ...(next() < 0.25 ? [{ model: 'gemini-2.5-flash', until: Math.round(now + 60_000 + next() * 2 * HOUR), source: 'guessed', reason: 'rate_limit', strikes: 2 }] : []),
  ];
  await seedKeys(world, 'google-ai-studio', 2_940, (index) => {
    const dice = next();
    return {
      remark: REMARKS[Math.floor(next() * REMARKS.length)], tags: next() < 0.3 ? [['free', 'eu', 'batch-11'][Math.floor(next() * 3)]] : [], priority: next() < 0.05 ? 5 : 0, created: Math.round(now - index * 0.02 * DAY),
      ...(dice < 0.07 ? { state: 'blocked', reason: ['suspended', 'invalid', 'leaked'][Math.floor(next() * 3)] } : dice < 0.09 ? { state: 'disabled' } : { cooling: cooling(index) }),
    };
  });
  await seedKeys(world, 'openrouter', 120, (index) => ({ secret: `sk-or-v1-${String(index).padStart(8, '0')}aBcDeFgH`, ...(next() < 0.1 ? { state: 'blocked', reason: 'billing' } : {}) }));
  const openai = await seedKeys(world, 'openai', 48, (index) => ({ secret: `sk-proj-${String(index).padStart(8, '0')}aBcDeFgH`, ...(next() < 0.2 ? { state: 'blocked', reason: 'billing' } : {}) }));
  // A request may be tried with these.
  await world.sim.keys(openai.map((key) => ({ provider: 'openai', key })));
  await seedKeys(world, 'anthropic', 12, (index) => ({ secret: `sk-ant-api03-${String(index).padStart(8, '0')}aBcD` }));
  await seedKeys(world, 'groq', 3, (index) => ({ secret: `gsk_${String(index).padStart(8, '0')}aBcDeFgHiJkL`, state: 'blocked', reason: 'invalid' }));
  const hours = Array.from({ length: 24 * 30 }, (_, index) => {
    const at = Math.floor(now / HOUR) * HOUR - index * HOUR;
    const busy = 0.35 + 0.65 * Math.sin(((new Date(at).getUTCHours() - 4) / 24) * Math.PI) ** 2;
    const requests = Math.round(150 * busy * (0.75 + 0.5 * next()));
    const failed = Math.round(requests * 0.018 * next() * 2);
    return ['google-ai-studio', 'openai'].map((provider, place) => ({
      hour: at, provider, model: place ? 'gpt-5-mini' : 'gemini-2.5-flash', requests: place ? Math.round(requests / 4) : requests, attempts: Math.round((requests * 1.1) / (place ? 4 : 1)),
      successes: place ? Math.round(requests / 4) : requests - failed, limited: place ? 0 : Math.round(requests * 0.08 * next() * 2), errors: place ? 0 : failed,
    }));
  }).flat();
  await world.query(
    `INSERT INTO usage_hourly (hour, provider, model, requests, attempts, successes, rate_limited, errors)
     SELECT value ->> 'hour', value ->> 'provider', value ->> 'model', value ->> 'requests', value ->> 'attempts', value ->> 'successes', value ->> 'limited', value ->> 'errors' FROM json_each(?1)`,
    JSON.stringify(hours),
  );
  const today = Math.floor(now / DAY) * DAY;
  await world.query(
    `INSERT INTO usage_daily (day, key_id, attempts, successes, rate_limited, errors)
     SELECT ?1 - d.value * ?2, k.id, 20 + abs(random() % 90), 20 + abs(random() % 20), abs(random() % 6), abs(random() % 3) FROM provider_keys AS k, json_each('[0,1,2,3,4,5,6,7,8,9,11,12,13,14,16,17]') AS d WHERE k.id <= 120`,
    today, DAY,
  );
  await world.query(
    `INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message)
     SELECT ?1 - row_number() OVER () * 180000, id, provider, CASE state WHEN 'blocked' THEN '*' ELSE 'gemini-2.5-pro' END, CASE state WHEN 'blocked' THEN 403 ELSE 429 END, CASE state WHEN 'blocked' THEN 'reject' ELSE 'cool' END,
     CASE state WHEN 'blocked' THEN reason ELSE 'day_quota' END, CASE state WHEN 'blocked' THEN 'Permission denied: Consumer has been suspended.' ELSE 'You exceeded your current quota, please check your plan and billing details.' END
     FROM (SELECT * FROM provider_keys WHERE provider = 'google-ai-studio' LIMIT 90)`,
    now,
  );
  await world.main.manage('POST', 'tokens', { name: 'Cherry Studio on my phone', scope: 'google-ai-studio,gemini-2.5-*&openai', per_minute: 60, per_day: 1000 });
  await world.main.manage('POST', 'tokens', { name: 'Open WebUI of the team', per_day: 20_000 });
}

const button = (page, name) => page.getByRole('button', { name }).first().click();
/** Some pasted keys of which not all are good. */
const pasted = (count) => Array.from({ length: count }, (_, index) => (index === 3 ? 'sk-proj-not-of-this-provider-0000' : index === 4 ? 'short' : `AIza${'xYz9'.repeat(7)}q${String(index % 40).padStart(6, '0')}`)).join('\n');

/** Every view: where it is, and what to do there first. Words to press are in both languages. */
const VIEWS = {
  'sign-in': ['', undefined],
  overview: ['#/'],
  'keys-all': ['#/keys'],
  keys: ['#/keys/google-ai-studio'],
  'keys-selected': ['#/keys/google-ai-studio', async (page) => { for (const at of [1, 2, 4]) await page.locator('.keytable tbody input[type=checkbox]').nth(at).check(); }],
  'keys-delete': ['#/keys/groq', async (page) => {
    for (const at of [0, 1]) await page.locator('.keytable tbody input[type=checkbox]').nth(at).check();
    await button(page, /^(Delete|删除)$/);
  }],
  key: ['#/keys/google-ai-studio?key=5'],
  'key-blocked': ['#/keys/groq?key=3121'],
  'add-keys': ['#/keys/google-ai-studio?add=1'],
  'add-keys-long': ['#/keys/google-ai-studio?add=1', async (page) => { await page.locator('input[type=file]').setInputFiles({ name: 'keys.txt', mimeType: 'text/plain', buffer: Buffer.from(pasted(5_000)) }); }],
  'add-keys-preview': ['#/keys/google-ai-studio?add=1', async (page) => {
    await page.locator('textarea').fill(pasted(60));
    await button(page, /^(Preview|预览)$/);
    await page.locator('.preview tbody tr').first().waitFor();
  }],
  tokens: ['#/tokens'],
  'token-new': ['#/tokens', async (page) => { await button(page, /^(New token|新建令牌)$/); }],
  connect: ['#/connect'],
  'connect-cherry': ['#/connect?app=cherry&provider=openai', async (page) => {
    await button(page, /^(Send|发送)$/);
    await page.locator('.outcome a').waitFor();
  }],
  activity: ['#/activity'],
  requests: ['#/activity/requests'],
  settings: ['#/settings'],
};

const NARROW = { ...PHONE, viewport: { width: 360, height: 740 } };
/** How each of them is looked at. */
const FORMS = {
  '': { ...DESK },
  '-dark': { ...DESK, colorScheme: 'dark' },
  '-zh': { ...DESK, locale: 'zh-CN' },
  '-wide': { ...WIDE },
  '-phone': { ...NARROW },
  '-phone-dark-zh': { ...NARROW, colorScheme: 'dark', locale: 'zh-CN' },
};

/** `ONLY=keys,settings-zh`: pictures whose names begin so. */
const only = process.env.ONLY?.split(',');

test('pictures of the page', async () => {
  mkdirSync(OUT, { recursive: true });
  await fill();
  await world.main.ask('mistral', 'mistral-small-latest');
  for (const [view, [hash, prepare]] of Object.entries(VIEWS)) {
    for (const [form, options] of Object.entries(FORMS)) {
      const name = view + form;
      if (only && !only.some((start) => name.startsWith(start))) continue;
      const page = view === 'sign-in' ? await it.open(options) : await it.signIn({ hash, ...options });
      await it.settled();
      await prepare?.(page);
      await it.settled();
      await page.evaluate(() => document.fonts.ready);
      await page.waitForFunction(() => document.getAnimations().length === 0);
      await page.evaluate(() => { if (document.activeElement instanceof HTMLElement && !document.activeElement.closest('dialog')) document.activeElement.blur(); });
      await page.screenshot({ path: join(OUT, `${name}.png`), animations: 'disabled' });
    }
  }
  it.complaints = [];
  await it.end();
});
