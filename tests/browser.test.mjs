// The admin page in a real browser, from the built Worker.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { chromium } from 'playwright-core';
import { TOKEN, startWorld } from './harness.mjs';

const LIMITED = 'tok-5b1e77c0d4-limited-8a26';
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const HINT = (key) => `${key.slice(0, 4)}…${key.slice(-4)}`;

const world = await startWorld({ isolates: { main: { AUTH_KEY: `${TOKEN};${LIMITED}=openai` } } });
world.secrets.add(LIMITED);

let browser, page;

/** What the browser complained of; a test that provokes an answer with that status may expect it. */
let complaints = [];

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROME_PATH || '/usr/bin/chromium',
    args: [
      '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ],
  });
});
after(() => browser?.close());

beforeEach(() => world.fresh());
afterEach(async () => {
  const seen = complaints;
  complaints = [];
  await page?.context().close();
  page = undefined;
  assert.deepEqual(seen, [], 'what the browser complained of');
  await world.assertClean();
});

/** A new tab in a profile of its own, on the page. */
async function open(options = {}) {
  const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
  page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const { origin } = new URL(request.url());
    if (origin !== 'null' && origin !== new URL(world.main.url).origin) complaints.push(`a request to ${origin}`);
  });
  // Violations of the Content-Security-Policy, also those that the console does not show.
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => {
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  const response = await page.goto(world.main.url);
  assert.equal(response.status(), 200);
  assert.match(response.headers()['content-security-policy'] ?? '', /default-src 'none'/);
  return page;
}

async function signIn(options) {
  await open(options);
  await page.locator('#token').fill(TOKEN);
  await page.locator('#sign-in-button').click();
  await page.locator('#usage').waitFor();
}

/** Takes a complaint that the test has provoked. */
function expectComplaint(pattern) {
  const index = complaints.findIndex((text) => pattern.test(text));
  assert.ok(index >= 0, `the browser says ${pattern}: ${complaints}`);
  complaints.splice(index, 1);
}

const text = (selector) => page.locator(selector).innerText();
const row = (key) => page.locator('#rows tr', { hasText: HINT(key) });
const noViolations = async () => assert.deepEqual(await page.evaluate(() => window.violations), []);
const widthOfPage = () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

/** Waits until this is true in the page. */
const until = (condition, argument) => page.waitForFunction(condition, argument);

async function addInPage(provider, keys, remark = '') {
  await page.locator('#add:visible, #empty-add:visible').click();
  await page.locator('#add-provider').selectOption(provider);
  await page.locator('#add-keys').fill(keys);
  await page.locator('#add-remark').fill(remark);
  await page.locator('#add-submit').click();
  await page.locator('#report').waitFor();
}

const closeAdd = () => page.locator('#add-form [data-close]').click();

test('a wrong and a limited token are told why, the right one is let in and forgotten on signing out', async () => {
  await open();
  await page.locator('#sign-in-button').click();
  assert.match(await text('#sign-in-error'), /Enter a token/);

  for (const [token, status, why] of [['no-such-token', 401, /not known/], [LIMITED, 403, /limit|restrict/]]) {
    await page.locator('#token').fill(token);
    await page.locator('#sign-in-button').click();
    await page.locator('#sign-in-error').filter({ hasText: why }).waitFor();
    expectComplaint(new RegExp(`status of ${status}`));
  }
  assert.equal(await page.locator('#pool').isVisible(), false);

  await page.locator('#token').fill(TOKEN);
  await page.locator('#token').press('Enter');
  await page.locator('#empty').waitFor();
  assert.match(await text('#empty'), /pool is empty/);
  assert.match(await text('#curl'), new RegExp(`^curl ${world.main.url}/api/`));
  assert.equal((await page.content()).includes(TOKEN), false, 'the token stands nowhere in the page');

  await page.reload();
  await page.locator('#empty').waitFor();
  await page.locator('#sign-out').click();
  await page.locator('#token').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.reload();
  await page.locator('#token').waitFor();
  await noViolations();
});

test('keys are added, shown by their hint, and what was refused is said and kept', async () => {
  await signIn();
  const [first, second] = [world.makeKey('openai'), world.makeKey('openai')];
  await addInPage('openai', `${first}\n${second}\n${first}\nshort\n`, 'mine');

  const report = await text('#report');
  assert.match(report, /2 keys added/);
  assert.match(report, /3\s+\S+…\S+\s+twice/);
  assert.match(report, /4\s+sh…\s+.*shorter/);
  assert.equal(await page.locator('#add-keys').inputValue(), 'short', 'only the bad line stays');
  await page.locator('#add-keys').fill('');
  await closeAdd();

  await row(first).waitFor();
  assert.equal(await page.locator('#rows tr').count(), 2);
  assert.match(await row(first).innerText(), /OpenAI[^]*ready[^]*mine/);
  assert.match(await text('#providers'), /OpenAI\s*2\s*2 ready/);
  const all = await page.content();
  for (const key of [first, second]) assert.equal(all.includes(key), false, 'no key stands in the page in full');

  // One that is there already is reported with its state, and can be restored from there.
  const [{ id }] = (await world.main.manage('GET', `keys?search=${encodeURIComponent(first)}`)).keys;
  await world.main.manage('PATCH', `keys/${id}`, { state: 'disabled' });
  await addInPage('openai', first);
  assert.match(await text('#report'), /0 keys added[^]*is disabled/);
  await page.locator('#restore-them').click();
  await page.locator('#report', { hasText: '1 key restored' }).waitFor();
  assert.equal((await world.main.manage('GET', `keys/${id}`)).key.state, 'ready');
  await noViolations();
});

test('what others wrote is shown as text and never runs', async () => {
  const [key] = await world.keys('openai', 1);
  const evil = `<img src=x onerror="window.ran = 1"><script>window.ran = 2</script>`;
  const [{ id }] = (await world.main.manage('GET', 'keys')).keys;
  await world.main.manage('PATCH', `keys/${id}`, { remark: evil });
  // The client chooses the name of a model, and the provider's words come with it.
  await world.query(
    'INSERT INTO coolings (key_id, model, provider, until, since, source, reason, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    id, `gpt-"><svg onload=window.ran=3>`, 'openai', Date.now() + 3_600_000, Date.now(), 'stated', 'rate_limit', Date.now(),
  );
  await world.query(
    'INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    Date.now(), id, 'openai', '<b>m</b>', 429, 'cool', '<i>r</i>', '<iframe src="javascript:window.ran = 4"></iframe>',
  );

  await signIn();
  await row(key).waitFor();
  assert.ok((await row(key).innerText()).includes(evil));
  assert.ok((await row(key).innerText()).includes('gpt-"><svg onload=window.ran=3>'));
  await row(key).locator('td.key button').click();
  await page.locator('#key-facts dl').waitFor();
  assert.ok((await text('#key-facts')).includes('<iframe'));
  assert.equal(await page.locator('#remark').inputValue(), evil);
  assert.equal(await page.locator('main img, main svg, dialog img, dialog svg, iframe, main b, dialog b, dialog i').count(), 0);
  assert.equal(await page.evaluate(() => window.ran), undefined);
  await noViolations();
});

test('a key is found, its remark edited, disabled, restored, and deleted after a question', async () => {
  const [first, second, third] = await world.keys('openai', 3);
  const whole = 'sk-proj-9a8b7c6d5e4f3g2h1ijk';
  world.secrets.add(whole);
  await world.main.addKeys('anthropic', [whole]);
  await world.query("UPDATE provider_keys SET state = 'blocked', reason = 'invalid' WHERE id = (SELECT min(id) FROM provider_keys)");
  await signIn();
  await row(first).waitFor();
  assert.equal(await page.locator('#rows tr').count(), 4);

  // Restored in its row.
  assert.match(await row(first).innerText(), /blocked[^]*does not know it/);
  await row(first).getByRole('button', { name: /^Restore/ }).click();
  await row(first).filter({ hasText: 'ready' }).waitFor();

  // Searched for by the whole key, which must not stand in an address, where logs keep it.
  const asked = [];
  page.on('request', (request) => asked.push(decodeURIComponent(request.url())));
  await page.locator('#search').fill(whole);
  await until(() => document.querySelectorAll('#rows tr').length === 1);
  await row(whole).waitFor();
  assert.deepEqual(asked.filter((url) => url.includes(whole)), []);
  await page.locator('#search').fill(HINT(second));
  await row(second).waitFor();
  await until(() => document.querySelectorAll('#rows tr').length === 1);

  await row(second).getByRole('button', { name: /^Edit/ }).click();
  await page.locator('#remark').fill('from the team');
  await page.locator('#remark-save').click();
  await row(second).filter({ hasText: 'from the team' }).waitFor();
  await page.locator('#search').fill('');
  await page.locator('#providers button', { hasText: 'OpenAI' }).click();
  await until(() => document.querySelectorAll('#rows tr').length === 3);

  // Several at once; a question that is answered with no changes nothing.
  for (const key of [second, third]) await row(key).getByRole('checkbox').check();
  assert.match(await text('#bulk'), /2 selected/);
  await page.locator('[data-bulk=delete]').click();
  assert.match(await text('#confirm'), /Delete 2 keys\?/);
  await page.locator('#confirm-no').click();
  assert.equal((await world.main.manage('GET', 'keys')).total, 4);

  // The selection outlives a refresh.
  await page.locator('#refresh').click();
  await until(() => !document.querySelector('#keys-section[aria-busy]'));
  assert.match(await text('#bulk'), /2 selected/);

  await page.locator('[data-bulk=disable]').click();
  await page.locator('#confirm-yes').click();
  await row(third).filter({ hasText: 'disabled' }).waitFor();

  await row(third).getByRole('button', { name: /^Delete/ }).click();
  assert.match(await text('#confirm'), /Delete 1 key\?/);
  await page.locator('#confirm-yes').click();
  await row(third).waitFor({ state: 'detached' });
  assert.equal((await world.main.manage('GET', 'keys')).total, 3);
  await noViolations();
});

test('the page keeps itself up to date without taking anything from the user', async () => {
  const [first, second] = await world.keys('openai', 2);
  await signIn();
  const found = page.waitForResponse(/search=k0/);
  await page.locator('#search').fill('k0');
  await found;
  await row(first).getByRole('checkbox').check();
  const button = row(second).getByRole('button', { name: /^Disable/ });
  await button.focus();
  const { keys } = await world.main.manage('GET', 'keys');
  const { id } = keys.find((key) => key.hint === HINT(second));
  await world.main.manage('PATCH', `keys/${id}`, { remark: 'changed elsewhere' });

  // A quarter of a minute goes by at once: the page's clock, not ours, decides when it asks again.
  await page.evaluate(() => {
    const { now } = Date;
    Date.now = () => now() + 60_000;
  });
  await row(second).filter({ hasText: 'changed elsewhere' }).waitFor();
  assert.equal(await page.locator('#search').inputValue(), 'k0');
  assert.equal(await row(first).getByRole('checkbox').isChecked(), true);
  assert.equal(await button.evaluate((node) => node === document.activeElement), true, 'the focus is where it was');
  await noViolations();
});

test('nothing that was typed is lost when the Worker cannot be reached or refuses', async () => {
  await signIn();
  const key = world.makeKey('openai');
  await page.locator('#empty-add').click();
  await page.locator('#add-provider').selectOption('openai');
  await page.locator('#add-keys').fill(key);

  await page.context().setOffline(true);
  await page.locator('#add-submit').click();
  await page.locator('#add-error').filter({ hasText: /connection/ }).waitFor();
  assert.equal(await page.locator('#add-keys').inputValue(), key);
  await page.context().setOffline(false);
  complaints = complaints.filter((text) => !/ERR_INTERNET_DISCONNECTED/.test(text));

  await page.route('**/admin/api/keys', (route) => route.fulfill({ status: 502, body: '<html>Bad gateway</html>' }), { times: 1 });
  await page.locator('#add-submit').click();
  await page.locator('#add-error').filter({ hasText: /HTTP 502/ }).waitFor();
  assert.equal(await page.locator('#add-keys').inputValue(), key);
  expectComplaint(/status of 502/);

  // Neither by closing the dialog.
  await closeAdd();
  await page.locator('#empty-add').click();
  assert.equal(await page.locator('#add-keys').inputValue(), key);
  await page.locator('#add-submit').click();
  await page.locator('#report', { hasText: '1 key added' }).waitFor();
  await noViolations();
});

test('speaks Chinese where the browser does, and can be switched', async () => {
  await world.keys('openai', 1);
  await signIn({ locale: 'zh-CN' });
  await page.locator('#rows tr').waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
  assert.match(await text('#providers'), /可用/);
  await page.locator('#language').click();
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  assert.match(await text('#providers'), /ready/);
  assert.match(await text('#rows'), /ready/);
  await page.reload();
  await page.locator('#rows tr').waitFor();
  assert.match(await text('#providers-title'), /Providers/);
  await noViolations();
});

test('fits a phone, in light and in dark', async () => {
  const [key] = await world.keys('openai', 30);
  const { keys } = await world.main.manage('GET', 'keys');
  await world.main.manage('PATCH', `keys/${keys[0].id}`, { remark: 'averylongwordthatdoesnotbreakanywhere'.repeat(4) });
  for (const colorScheme of ['light', 'dark']) {
    await signIn({ ...PHONE, colorScheme });
    await page.locator('#rows tr').first().waitFor();
    assert.equal(await widthOfPage(), 0, 'nothing is wider than the screen');
    await row(key).locator('td.key button').click();
    await page.locator('#key-facts dl').waitFor();
    assert.equal(await widthOfPage(), 0);
    const box = await page.locator('#key-dialog').boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= PHONE.viewport.width, 'the dialog fits too');
    await noViolations();
    if (colorScheme === 'light') await page.context().close();
  }
});

test('everything that can be used has a name', async () => {
  await world.keys('openai', 2);
  await signIn();
  await page.locator('#rows tr').first().waitFor();
  await page.locator('#rows td.key button').first().click();
  await page.locator('#key-facts dl').waitFor();
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, select, textarea')]
    .filter((node) => !(node.getAttribute('aria-label') || node.labels?.[0]?.textContent.trim() || node.textContent.trim()))
    .map((node) => node.outerHTML)
    .filter((html) => !/id="(bulk-all|confirm-yes)"/.test(html))); // empty until they are shown
  assert.deepEqual(nameless, []);
});
