// The page's frame in a real browser: what comes over the wire, signing in and out, language and
// theme, errors, and every view without a violation, a complaint or a jump.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { PHONE, browserFor, seedKeys } from './browser.mjs';
import { TOKEN, eventually, startWorld } from './harness.mjs';

const LIMITED = 'tok-5b1e77c0d4-limited-8a26';
const MOST_BYTES = 150_000;

const world = await startWorld({ isolates: { main: { AUTH_KEY: `${TOKEN};${LIMITED}=openai` } } });
world.secrets.add(LIMITED);
const it = browserFor(world);

/** The page as it comes over the wire, not decoded. */
function wire(headers = {}, method = 'GET') {
  const { hostname, port } = new URL(world.main.url);
  return new Promise((resolve, reject) => {
    http.request({ hostname, port, path: '/', method, headers, agent: false }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
      response.on('error', reject);
    }).on('error', reject).end();
  });
}

test('the page is one compressed document, with a policy that lets nothing else in', async () => {
  const { status, headers, body } = await wire({ 'accept-encoding': 'gzip, br' });
  assert.equal(status, 200);
  assert.equal(headers['content-encoding'], 'gzip');
  assert.match(headers['content-type'], /^text\/html; charset=utf-8$/);
  assert.ok(body.length > 10_000 && body.length < MOST_BYTES, `${body.length} bytes over the wire`);
  const html = gunzipSync(body).toString();
  assert.match(html, /^<!doctype html>/i);
  assert.doesNotMatch(html, /(src|href)="?https?:/, 'nothing from elsewhere');
  assert.doesNotMatch(html, /@import|url\((?!data:|"data:|'data:)/, 'no style or font from elsewhere');

  const policy = headers['content-security-policy'];
  for (const part of ["default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]) assert.ok(policy.includes(part), part);
  assert.match(policy, /script-src 'sha256-[\w+/]{43}='(;|$)/);
  assert.match(policy, /style-src 'sha256-[\w+/]{43}='(;|$)/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['referrer-policy'], 'no-referrer');

  const again = await wire({ 'accept-encoding': 'gzip', 'if-none-match': headers.etag });
  assert.deepEqual([again.status, again.body.length], [304, 0]);
  assert.equal((await wire({ 'accept-encoding': 'gzip', 'if-none-match': `"other", W/${headers.etag}` })).status, 304);
  assert.equal((await wire({ 'accept-encoding': 'gzip', 'if-none-match': '"other"' })).status, 200);
  assert.equal((await wire()).headers['content-encoding'], 'gzip', 'who says nothing takes everything');
  assert.equal((await wire({ 'accept-encoding': 'identity' })).status, 406);
  assert.equal((await wire({ 'accept-encoding': 'gzip;q=0, br' })).status, 406);
  assert.equal((await wire({ 'accept-encoding': 'gzip' }, 'HEAD')).status, 200);
  assert.equal((await wire({}, 'POST')).status, 405);
});

test('a wrong and a limited token are told why; the right one is let in, kept nowhere, and out again', async () => {
  const page = await it.open();
  const token = page.locator('input[type=password]');
  const button = page.locator('form button[type=submit]');
  await token.waitFor();
  assert.equal(await token.evaluate((node) => node === document.activeElement), true, 'one can type at once');
  await it.axe('signing in');
  await button.click();
  await page.getByText('Enter a token.').waitFor();
  for (const [wrong, status, why] of [['no-such-token', 401, /not known/], [LIMITED, 403, /limited by a scope/]]) {
    await token.fill(wrong);
    await button.click();
    await page.getByRole('alert').filter({ hasText: why }).waitFor();
    await it.expect(new RegExp(`status of ${status}`));
  }
  await token.fill(TOKEN);
  await token.press('Enter');
  await page.locator('.frame').waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
  assert.ok(!kept.includes(TOKEN) && !kept.includes('one_balance_session'), 'the token is kept nowhere, the cookie hidden from scripts');
  const [cookie] = await page.context().cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict' && !cookie.value.includes(TOKEN));

  await page.reload();
  await page.locator('.frame').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).first().click();
  await page.getByText('You are signed out.').waitFor();
  assert.equal(await page.locator('input[type=password]').inputValue(), '');
  await page.reload();
  await page.locator('input[type=password]').waitFor();
  assert.deepEqual(await page.context().cookies(), []);
});

test('a session that is over leads back to signing in, and then to where one was', async () => {
  const page = await it.signIn();
  await it.go('#/tokens');
  await page.context().clearCookies();
  await it.page.evaluate(() => { location.hash = '#/settings'; });
  await page.getByText('Your session is over. Sign in again.').waitFor();
  await eventually(() => it.complaints.some((text) => /status of 401/.test(text)));
  it.complaints = it.complaints.filter((text) => !/status of 401/.test(text));
  await page.locator('input[type=password]').fill(TOKEN);
  await page.locator('form button[type=submit]').click();
  await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
});

test('speaks Chinese where the browser does, and is switched by hand, as light and dark are', async () => {
  await world.keys('openai', 2);
  const page = await it.signIn({ locale: 'zh-CN', hash: '#/keys/openai' });
  await page.locator('.keytable').waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
  await page.locator('.keytable').getByText('就绪').first().waitFor();
  await page.getByRole('button', { name: 'English' }).first().click();
  await page.locator('.keytable').getByText('ready').first().waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');

  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole('button', { name: 'Theme' }).first().click();
  await page.getByRole('menuitemradio', { name: 'Dark' }).click();
  await page.waitForFunction((before) => getComputedStyle(document.body).backgroundColor !== before, light);
  const dark = await background();
  await page.reload();
  await page.locator('.keytable').getByText('ready').first().waitFor();
  assert.equal(await background(), dark, 'both are remembered');
  assert.equal(await page.title(), 'Keys of OpenAI · One Balance');
});

test('an empty pool shows the first steps, and every view what to do', async () => {
  const page = await it.signIn();
  await page.getByRole('heading', { name: /Three steps/ }).waitFor();
  await it.axe('first steps');
  for (const [hash, words] of [['#/keys', /No keys here yet/], ['#/tokens', /No tokens yet/], ['#/activity', /Nothing happened yet/], ['#/activity/requests', /No failed requests/]]) {
    await it.go(hash);
    await page.getByText(words).waitFor();
  }
  await it.go('#/');
  await page.getByRole('link', { name: /Paste the API keys/ }).click();
  await page.getByRole('dialog', { name: 'Add keys' }).waitFor();
});

test('what cannot be loaded says so and is tried again; what was shown stays', async () => {
  await world.keys('openai', 2);
  const page = await it.signIn();
  await page.route('**/admin/api/tokens', (route) => route.fulfill({ status: 503, contentType: 'application/json', body: JSON.stringify({ error: { code: 'store_unavailable', message: 'no', values: {} } }) }), { times: 1 });
  await it.go('#/tokens').catch(() => {});
  await page.getByText('The database (D1) does not answer. Try again in a moment.').waitFor();
  await it.expect(/status of 503/);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('No tokens yet').waitFor();

  await it.go('#/keys/openai');
  await page.locator('.keytable tbody tr').first().waitFor();
  await page.context().setOffline(true);
  await page.locator('.segments button', { hasText: 'blocked' }).click();
  await page.getByText('One Balance does not answer: check the connection.').first().waitFor();
  assert.equal(await page.locator('.keytable tbody tr').count(), 2, 'what was there is still shown');
  await page.context().setOffline(false);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('No key matches').waitFor();
  it.complaints = it.complaints.filter((text) => !/ERR_INTERNET_DISCONNECTED/.test(text));
});

const HOSTILE = ['<img src=x onerror="window.pwned=1">', '"><script>window.pwned=1</script>', "';alert(1)//", 'javascript:alert(1)', '${7*7}{{7*7}}', '\u202Eexe.gpj', 'x'.repeat(300)];

/** Something of everything that a view can show, with texts that try to get in. */
async function fill() {
  const day = 86_400_000;
  const now = Date.now();
  await seedKeys(world, 'google-ai-studio', 24, (index) => ({
    remark: HOSTILE[index % HOSTILE.length], tags: index % 3 === 0 ? ['<b>t</b>', 'eu'] : [], priority: index % 5 === 0 ? 7 : 0,
    ...(index % 7 === 1 ? { state: 'blocked', reason: index % 2 ? 'suspended' : 'unauthorized', certain: index % 2 } : {}), ...(index % 11 === 2 ? { state: 'disabled' } : {}),
    ...(index % 4 === 3 ? { cooling: [{ model: '<i>gemini</i>', until: now + day }, { model: 'gemini-2.5-pro', until: now + 3_000_000, source: 'guessed', reason: 'rate_limit', strikes: 3 }] } : {}),
  }));
  await seedKeys(world, 'openai', 3, () => ({ state: 'blocked', reason: 'invalid' }));
  // Ids go on where an earlier test ended.
  const [{ first }] = await world.query("SELECT min(id) AS first FROM provider_keys WHERE provider = 'google-ai-studio'");
  const events = Array.from({ length: 20 }, (_, index) => ({ at: now - index * 60_000, key: first + (index % 24), model: index % 2 ? '<i>gemini</i>' : '*', status: index % 3 ? 429 : 403, verdict: index % 3 ? 'cool' : 'reject', reason: index % 3 ? 'day_quota' : 'suspended', message: HOSTILE[index % HOSTILE.length] }));
  await world.query(
    `INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) SELECT value ->> 'at', value ->> 'key', 'google-ai-studio', value ->> 'model', value ->> 'status', value ->> 'verdict', value ->> 'reason', value ->> 'message' FROM json_each(?1)`,
    JSON.stringify(events),
  );
  await world.main.manage('POST', 'tokens', { name: HOSTILE[0], scope: 'google-ai-studio,gemini-*&openai', per_minute: 5 });
  await world.main.ask('openai', 'no-key-for-this'); // a failed request
  return first;
}

const VIEWS = ['#/', '#/keys', '#/keys/google-ai-studio', '#/keys/google-ai-studio?key=ID', '#/keys/google-ai-studio?add=1', '#/tokens', '#/connect', '#/connect?app=cherry', '#/activity', '#/activity/requests', '#/settings'];

for (const [name, { axe = true, ...options }] of [
  ['light, English, on a desk', { colorScheme: 'light' }],
  ['dark, Chinese, on a desk', { colorScheme: 'dark', locale: 'zh-CN' }],
  ['dark, English, on a phone', { ...PHONE, colorScheme: 'dark' }],
  ['light, Chinese, on the smallest phone', { axe: false, ...PHONE, viewport: { width: 360, height: 740 }, colorScheme: 'light', locale: 'zh-CN' }],
]) {
  test(`no view has a violation, a complaint, an injection or a jump: ${name}`, async () => {
    const first = await fill();
    const page = await it.signIn(options);
    await it.settled();
    for (const hash of VIEWS.map((one) => one.replace('ID', first + 3))) {
      // Each from the beginning, as it is when the page is opened there.
      await page.evaluate((to) => { location.hash = to; }, hash);
      await page.reload();
      await it.settled();
      if (/key=|add=/.test(hash)) await page.locator('dialog[open] .inside').waitFor();
      if (axe) await it.axe(`${hash}, ${name}`);
      await it.fits(`${hash}, ${name}`);
      await it.still(`${hash}, ${name}`);
      assert.equal(await page.evaluate(() => window.pwned), undefined);
    }
  });
}
