// The keys of a provider in a real browser, ten thousand of them: finding, choosing, changing,
// undoing, and one of them in detail.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PHONE, browserFor, hintOf, seedKeys } from './browser.mjs';
import { eventually, startWorld } from './harness.mjs';

const MANY = 10_000;
const PROVIDER = 'google-ai-studio';
const AT = `#/keys/${PROVIDER}`;

const world = await startWorld();
const it = browserFor(world);

const rows = () => it.page.locator('.keytable tbody tr');
const row = (key) => rows().filter({ hasText: hintOf(key) });
const shown = (words) => it.page.getByText(words).first().waitFor();
const count = (sql) => world.query(`SELECT count(*) AS n FROM provider_keys WHERE ${sql}`).then(([{ n }]) => n);
const dialog = (name) => it.page.getByRole('dialog', { name }).or(it.page.getByRole('alertdialog', { name }));
/** The list as it is asked for, once this has happened. */
async function relisted(work) {
  const answer = it.page.waitForResponse((response) => response.url().endsWith('/admin/api/keys/search') && response.ok());
  await work();
  await answer;
  await it.page.waitForFunction(() => document.querySelector('.tablecard')?.getAttribute('aria-busy') === 'false');
}

/** Ten thousand: a tenth blocked, a twentieth disabled, some cooling, one that is looked for. */
const seed = (count = MANY) => seedKeys(world, PROVIDER, count, (index) => ({
  remark: index === 4321 % count ? 'the one for Grandmother' : `batch ${Math.floor(index / 1000)}`,
  tags: index % 100 === 0 ? ['rare'] : [],
  ...(index % 10 === 1 ? { state: 'blocked', reason: index % 20 === 1 ? 'suspended' : 'invalid' } : {}),
  ...(index % 20 === 2 ? { state: 'disabled' } : {}),
  ...(index % 25 === 3 ? { cooling: [{ model: 'gemini-2.5-pro', until: Date.now() + 7_200_000 }] } : {}),
}));

test('ten thousand keys: pages, search, filters and sorts are the server’s, and in the address', async () => {
  const secrets = await seed();
  const page = await it.signIn({ hash: AT });
  await shown('1–50 of 10,000');
  assert.equal(await rows().count(), 50);
  await it.still('the list');

  await relisted(() => page.getByRole('button', { name: 'Next page' }).click());
  await shown('51–100 of 10,000');
  assert.match(page.url(), /page=2/);

  // By remark, and what was typed is in the address.
  await page.keyboard.press('/');
  assert.equal(await page.locator('#search').evaluate((node) => node === document.activeElement), true);
  await page.locator('#search').fill('grandmother');
  await shown('1–1 of 1');
  assert.equal(await rows().count(), 1);
  assert.match(page.url(), /q=grandmother/);
  assert.doesNotMatch(page.url(), /page=/);

  // By the whole key, which is in no address.
  await page.locator('#search').fill(secrets[777]);
  await row(secrets[777]).waitFor();
  await eventually(async () => (await rows().count()) === 1);
  assert.ok(!page.url().includes(secrets[777]) && !page.url().includes('q='), page.url());
  await page.locator('#search').fill('');
  await shown('1–50 of 10,000');

  await page.locator('.segments button', { hasText: 'blocked 1,000' }).click();
  await shown('1–50 of 1,000');
  await page.getByRole('button', { name: 'More filters' }).click();
  await page.getByLabel('Reason').selectOption('suspended');
  await shown('1–50 of 500');
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await shown('1–50 of 10,000');
  await page.getByLabel('Tag', { exact: true }).fill('rare');
  await shown('1–50 of 100');
  await page.getByLabel('Tag', { exact: true }).fill('');
  await page.getByLabel('Cooling for model').fill('gemini-2.5-pro');
  await shown(/^1–50 of [1-4]\d\d$/);
  await page.locator('.cools time').first().waitFor();
  await page.getByRole('button', { name: 'Clear filters' }).click();

  await relisted(() => page.getByRole('button', { name: 'Remark' }).click());
  await relisted(() => page.getByRole('button', { name: 'Remark' }).click());
  assert.match(page.url(), /sort=remark&order=asc|order=asc&sort=remark/);
  await rows().first().getByText('batch 0').waitFor();
  assert.equal(await page.locator('th[aria-sort=ascending]').innerText(), 'Remark');

  await page.reload();
  await rows().first().getByText('batch 0').waitFor();
});

test('everything that matches is chosen, changed after a sentence that says how many, and taken back', async () => {
  await seed();
  const page = await it.signIn({ hash: `${AT}?state=blocked` });
  await shown('1–50 of 1,000');
  await page.getByLabel('Select all on this page').first().check();
  await shown('50 selected');
  await relisted(() => page.getByRole('button', { name: 'Next page' }).click());
  await rows().nth(2).getByRole('checkbox').check();
  await shown('51 selected');
  await page.getByRole('button', { name: 'Select all 1,000' }).click();
  await shown('1,000 selected');
  await it.axe('the selection');

  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  const question = dialog('Delete 1,000 keys?');
  await question.getByText('1,000 keys of Google AI Studio (Gemini) will be deleted').waitFor();
  await it.axe('the question');
  await page.keyboard.press('Escape');
  await question.waitFor({ state: 'detached' });
  assert.equal(await count("state = 'blocked'"), 1_000, 'nothing has happened');

  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await question.getByRole('button', { name: 'Delete' }).click();
  await shown('1,000 keys deleted.');
  await shown('No key matches');
  await page.waitForFunction(() => !location.hash.includes('page=')); // there is no second page any more
  assert.equal(await count("state = 'deleted'"), 1_000);
  await page.getByRole('button', { name: 'Undo' }).click();
  await it.said('Taken back for 1,000 keys.');
  await shown('1–50 of 1,000');
  assert.equal(await count("state = 'blocked'"), 1_000);
});

test('a few keys: tags, remark and disabling at once; what the Worker refuses is taken back', async () => {
  await seed(60);
  const page = await it.signIn({ hash: `${AT}?state=ready` });
  await rows().first().waitFor();
  const ready = await count("state = 'ready'");
  await rows().nth(0).getByRole('checkbox').check();
  await rows().nth(3).getByRole('checkbox').click({ modifiers: ['Shift'] });
  await shown('4 selected');
  await page.getByRole('button', { name: 'More', exact: true }).last().click();
  await page.getByRole('menuitem', { name: 'Add tags' }).click();
  await dialog('Add tags').getByLabel('Tags').fill('eu, <b>paid</b>');
  await page.keyboard.press('Enter');
  await shown('4 keys tagged.');
  await eventually(async () => (await count("tags LIKE '%,<b>paid</b>,%'")) === 4);
  await rows().first().getByText('<b>paid</b>').waitFor();

  // One key, from its row: at once and without a question.
  const hint = await rows().nth(5).locator('.hint').innerText();
  await rows().nth(5).getByRole('button', { name: /^Actions for/ }).click();
  await page.getByRole('menuitem', { name: 'Disable' }).click();
  await shown('1 key disabled.');
  await eventually(async () => (await count("state = 'ready'")) === ready - 1);

  // The list is as it was when the Worker refuses.
  await page.route('**/admin/api/keys/actions', (route) => route.fulfill({ status: 503, contentType: 'application/json', body: '{"error":{"code":"store_unavailable","message":"no","values":{}}}' }), { times: 1 });
  const victim = rows().nth(7);
  const other = await victim.locator('.hint').innerText();
  await victim.getByRole('button', { name: /^Actions for/ }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await dialog('Delete 1 key?').getByRole('button', { name: 'Delete' }).click();
  await it.said('The database (D1) does not answer');
  await rows().filter({ hasText: other }).waitFor();
  await it.expect(/status of 503/);
  assert.notEqual(hint, other);
});

test('one key: what is known of it, a test, its text on demand, and editing', async () => {
  const [key] = await world.keys(PROVIDER, 1);
  await world.main.ask(PROVIDER, 'gemini-2.5-flash');
  const page = await it.signIn({ hash: AT });
  await row(key).locator('.hint').click();
  const drawer = page.locator('dialog.drawer');
  await drawer.getByText('It never had to cool.').waitFor();
  assert.match(page.url(), /key=\d+/);
  await it.axe('the drawer');

  await drawer.getByRole('button', { name: 'Test now' }).click();
  await drawer.getByText(/^Test: works/).waitFor();

  assert.ok(!(await page.content()).includes(key), 'the whole key is nowhere before it is asked for');
  await drawer.getByRole('button', { name: 'Reveal' }).click();
  await dialog('Reveal this key?').getByRole('button', { name: 'Reveal' }).click();
  await drawer.getByText(key, { exact: true }).waitFor();
  await drawer.locator('.timeline').getByText('revealed').first().waitFor();
  await drawer.getByRole('button', { name: 'Hide' }).click();
  assert.ok(!(await page.content()).includes(key));

  await drawer.getByRole('button', { name: 'Edit' }).click();
  await drawer.getByLabel('Remark').fill('<img src=x onerror="window.pwned=1">');
  await drawer.getByLabel('Tags').fill('one, two');
  await drawer.getByLabel('Priority').fill('5000');
  await drawer.getByRole('button', { name: 'Save' }).click();
  await drawer.getByText('It must be a number from -1,000 to 1,000.').waitFor();
  await it.expect(/status of 400/);
  await drawer.getByLabel('Priority').fill('5');
  await drawer.getByRole('button', { name: 'Save' }).click();
  await drawer.getByText('<img src=x onerror="window.pwned=1">').waitFor();
  assert.equal(await page.evaluate(() => window.pwned), undefined);

  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'detached' });
  assert.doesNotMatch(page.url(), /key=/);
  await row(key).getByText('one', { exact: true }).waitFor();
});

test('a cooling key shows until when, and is freed', async () => {
  const [key] = await world.keys(PROVIDER, 1);
  const { id } = await world.main.find(key);
  const now = Date.now();
  await world.query("INSERT INTO coolings (key_id, model, provider, until, since, source, reason, strikes, total_seconds, updated_at) VALUES (?1, 'gemini-2.5-pro', ?2, ?3, ?4, 'guessed', 'rate_limit', 3, 700, ?4)", id, PROVIDER, now + 3_600_000, now);
  const page = await it.signIn({ hash: `${AT}?key=${id}` });
  const drawer = page.locator('dialog.drawer');
  await drawer.getByRole('cell', { name: /min/ }).first().waitFor();
  await drawer.getByText('estimated').waitFor();
  await drawer.getByRole('button', { name: 'Clear coolings' }).click();
  await shown('Coolings of 1 key cleared.');
  await drawer.getByRole('button', { name: 'Clear coolings' }).waitFor({ state: 'detached' });
  assert.equal((await world.query('SELECT until FROM coolings WHERE key_id = ?1', id))[0].until, 0);
});

test('with the keyboard alone', async () => {
  await seed(60);
  const page = await it.signIn({ hash: AT });
  await rows().first().waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.closest('tr')?.rowIndex ?? 0);
  await page.keyboard.press('j');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('j');
  assert.equal(await focused(), 3);
  await page.keyboard.press('k');
  assert.equal(await focused(), 2);
  await page.keyboard.press('x');
  await shown('1 selected');
  await page.keyboard.press('Enter');
  const drawer = page.locator('dialog.drawer');
  await drawer.getByRole('button', { name: 'Test now' }).waitFor();
  // The focus stays inside.
  for (let i = 0; i < 30; i += 1) await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => Boolean(document.activeElement?.closest('dialog')) || document.activeElement === document.body), true);
  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'detached' });
  assert.equal(await focused(), 2, 'and comes back to where it was');
});

test('tests many keys with their progress, and exports them', async () => {
  const keys = await world.keys(PROVIDER, [...Array.from({ length: 12 }, () => ({})), { state: 'invalid' }, { state: 'invalid' }]);
  const page = await it.signIn({ hash: AT });
  await rows().first().waitFor();
  await page.getByLabel('Select all on this page').first().check();
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await dialog('Test 14 keys').getByRole('button', { name: 'Start' }).click();
  await dialog('Test 14 keys').getByText('14 of 14 tested').waitFor();
  await dialog('Test 14 keys').getByText('works').waitFor();
  await it.axe('the results');
  await dialog('Test 14 keys').getByRole('button', { name: 'Done' }).click();

  await page.getByRole('button', { name: 'Selected keys' }).click();
  await page.getByRole('menuitem', { name: 'Export' }).click();
  await dialog(/^Export/).getByLabel('Text, one key a line').check();
  const file = page.waitForEvent('download');
  await dialog(/^Export/).getByRole('button', { name: 'Export' }).click();
  const stream = await (await file).createReadStream();
  let text = '';
  for await (const chunk of stream) text += chunk;
  assert.deepEqual(text.trim().split('\n').sort(), [...keys].sort());
});

test('on a phone the list is one of cards, and everything can be reached', async () => {
  const secrets = await seed(60);
  const page = await it.signIn({ ...PHONE, hash: AT });
  await row(secrets[0]).waitFor();
  await it.fits('the list');
  await row(secrets[0]).getByRole('checkbox').check();
  await shown('1 selected');
  await it.fits('the selection');
  await row(secrets[1]).locator('.hint').click();
  await page.locator('dialog.drawer').getByRole('button', { name: 'Test now' }).waitFor();
  await page.waitForFunction(() => document.getAnimations().length === 0); // it slides in
  const box = await page.locator('dialog.drawer').boundingBox();
  assert.ok(box.x >= 0 && box.width <= PHONE.viewport.width, JSON.stringify(box));
  await page.locator('dialog.drawer').getByRole('button', { name: 'Close' }).click();
  await page.getByRole('navigation', { name: 'Main' }).last().getByRole('link', { name: 'Activity' }).click();
  await page.getByRole('heading', { name: 'Activity' }).waitFor();
});
