// Adding keys in a real browser: pasting and dropping, the preview, what is left out, and testing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PHONE, browserFor, hintOf } from './browser.mjs';
import { eventually, startWorld } from './harness.mjs';

const world = await startWorld();
const it = browserFor(world);

const dialog = () => it.page.getByRole('dialog', { name: 'Add keys' });
const shown = (words) => dialog().getByText(words).first().waitFor();
const button = (name) => dialog().getByRole('button', { name });
const line = (text) => dialog().locator('.preview tbody tr').filter({ hasText: text });
const stored = (sql = '1') => world.query(`SELECT secret, provider, remark, tags, project, priority, state FROM provider_keys WHERE state <> 'deleted' AND ${sql} ORDER BY id`);

async function open(options = {}) {
  const page = await it.signIn({ hash: '#/keys/google-ai-studio?add=1', ...options });
  await dialog().waitFor();
  return page;
}

/** A key as Google's look. */
const gemini = (index) => {
  const key = `AIza${'xYz9'.repeat(7)}q${String(index).padStart(6, '0')}`;
  world.secrets.add(key);
  return key;
};

test('a paste is looked through, some of it left out, and the rest added with its details', async () => {
  const [there] = await world.keys('google-ai-studio', 1);
  const { id } = await world.main.find(there);
  await world.main.manage('PATCH', `keys/${id}`, { state: 'disabled' });
  const page = await open();
  await it.axe('the paste');
  await button('Preview').click();
  await shown('Paste some keys, or choose a file.');

  const [a, b, c] = [1, 2, 3].map(gemini);
  await dialog().getByLabel('Keys').fill(`${a}\n"${b}" , ${c}\n\n# a remark\n${a}\n${there}\nshort\n`);
  await button('Preview').click();
  await shown('Read as lines: 6 entries.');
  await line(hintOf(a)).first().getByText('new').waitFor();
  await line('the same as in line 1').waitFor();
  await line(hintOf(there)).getByText('already there, disabled').waitFor();
  await line('It is shorter than 8 characters').waitFor();
  await it.axe('the preview');

  // Of two on a line one is left out.
  await dialog().getByLabel(`Include ${hintOf(c)}`).last().uncheck();
  await shown('1 left out');
  await button('Add 2 keys').waitFor();
  await dialog().getByLabel(/Restore 1 key that is there/).check();
  await dialog().getByLabel('Remark').fill('<b>November</b>');
  await dialog().getByLabel('Tags').fill('free, eu');
  await dialog().getByLabel('Project').fill('p-1');
  await dialog().getByLabel('Priority').fill('3');
  await button('Add 3 keys').click();
  await shown('2 keys added');
  await shown('1 key restored');
  await it.axe('the result');
  const rows = await stored("provider = 'google-ai-studio'");
  assert.deepEqual(rows.map((row) => row.secret), [there, a, b]);
  assert.deepEqual({ ...rows[1] }, { secret: a, provider: 'google-ai-studio', remark: '<b>November</b>', tags: ',free,eu,', project: 'p-1', priority: 3, state: 'ready' });
  assert.equal(rows[0].state, 'ready');

  await button('Show the keys').click();
  await dialog().waitFor({ state: 'detached' });
  await page.locator('.keytable tbody tr').filter({ hasText: hintOf(a) }).getByText('<b>November</b>').waitFor();
});

test('the provider is guessed from how keys begin; those of another one are pointed out', async () => {
  await open({ hash: '#/keys?add=1' });
  await dialog().getByLabel('Keys').fill(`sk-ant-api03-${'a1B2'.repeat(6)}\nsk-ant-api03-${'c3D4'.repeat(6)}`);
  assert.equal(await dialog().getByLabel('Provider').inputValue(), 'anthropic');
  await dialog().getByLabel('Provider').selectOption('google-ai-studio');
  await button('Preview').click();
  await line('It looks like a key of anthropic').first().waitFor();
  await dialog().getByRole('button', { name: 'Look odd 2' }).click();
  assert.equal(await dialog().locator('.preview tbody tr').count(), 2);

  await button('Edit the text').click();
  assert.match(await dialog().getByLabel('Keys').inputValue(), /^sk-ant-/, 'what was pasted is still there');
  await dialog().getByLabel('Provider').selectOption('custom-');
  await dialog().getByLabel('Name in the gateway').fill('custom-mine');
  await button('Preview').click();
  await button('Add 2 keys').click();
  await shown('2 keys added');
  assert.deepEqual((await stored()).map((row) => row.provider), ['custom-mine', 'custom-mine']);
});

test('a dropped file of another form is read, its own remarks kept', async () => {
  const page = await open({ hash: '#/keys?add=1' });
  const csv = `provider,key,remark\nopenai,sk-proj-${'Ab12'.repeat(8)},from the file\ngoogle-ai-studio,${gemini(9)},<i>second</i>\n`;
  const transfer = await page.evaluateHandle((text) => {
    const data = new DataTransfer();
    data.items.add(new File([text], 'keys.csv', { type: 'text/csv' }));
    return data;
  }, csv);
  await dialog().locator('.paste').dispatchEvent('dragover', { dataTransfer: transfer });
  await dialog().locator('.paste').dispatchEvent('drop', { dataTransfer: transfer });
  await shown(/^keys\.csv \(/);
  await dialog().getByLabel('Provider').selectOption('');
  await button('Preview').click();
  await shown('Read as CSV: 2 entries.');
  await button('Add 2 keys').click();
  await shown('2 keys added');
  assert.deepEqual((await stored()).map((row) => [row.provider, row.remark]).sort(), [['google-ai-studio', '<i>second</i>'], ['openai', 'from the file']]);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
});

test('what was added is tested, with the results by reason', async () => {
  const good = Array.from({ length: 11 }, () => world.makeKey('google-ai-studio'));
  const bad = Array.from({ length: 2 }, () => world.makeKey('google-ai-studio'));
  await world.sim.keys([...good.map((key) => ({ provider: 'google-ai-studio', key })), ...bad.map((key) => ({ provider: 'google-ai-studio', key, state: 'invalid' }))]);
  await open();
  await dialog().getByLabel('Keys').fill([...good, ...bad].join('\n'));
  await button('Preview').click();
  await dialog().getByLabel(/Test each after adding/).check();
  await button('Add 13 keys').click();
  await shown('13 keys added');
  await shown('13 of 13 tested');
  const results = await dialog().locator('.results').last().innerText();
  assert.match(results, /11 works/);
  assert.match(results, /2 rejected: invalid/);
  await eventually(async () => (await stored("state = 'blocked'")).length === 2);
});

test('nothing that was typed is lost: neither by a failure nor by leaving without a question', async () => {
  const page = await open(PHONE);
  const key = gemini(7);
  await dialog().getByLabel('Keys').fill(key);
  await it.fits('the dialog');
  await page.route('**/admin/api/keys/preview', (route) => route.fulfill({ status: 502, body: '<html>Bad gateway</html>' }), { times: 1 });
  await button('Preview').click();
  await shown(/HTTP 502/);
  await it.expect(/status of 502/);
  assert.equal(await dialog().getByLabel('Keys').inputValue(), key);

  await page.keyboard.press('Escape');
  const question = page.getByRole('alertdialog', { name: 'Leave without adding?' });
  await question.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await dialog().getByLabel('Keys').inputValue(), key);
  await button('Preview').click();
  await button('Add 1 key').waitFor();
  await it.fits('the preview');
  await button('Close').click();
  await question.getByRole('button', { name: 'Leave' }).click();
  await dialog().waitFor({ state: 'detached' });
  assert.equal((await stored()).length, 0);
});

/** Each time the page asks for this, `before` is done first. */
async function held(path, before) {
  await it.page.route(`**/admin/api/${path}`, async (route) => {
    await before();
    await route.continue().catch(() => {}); // the page may have given up
  });
}

test('five thousand keys are looked through in pieces, and adding them can be stopped', async () => {
  const page = await open();
  const text = Array.from({ length: 5_000 }, (_, index) => gemini(100_000 + index)).join('\n');
  await page.locator('input[type=file]').setInputFiles({ name: 'keys.txt', mimeType: 'text/plain', buffer: Buffer.from(text) });
  let pieces = 0;
  await held('keys/preview', async () => {
    pieces += 1;
    // The page is drawn before the next piece: were it blocked, this would not end.
    await page.evaluate(() => new Promise((drawn) => { requestAnimationFrame(drawn); }));
  });
  await button('Preview').click();
  await button('Add 5,000 keys').waitFor();
  await shown('Read as lines: 5,000 entries.');
  assert.equal(pieces, 10);
  // The rows of a list are never more than one can look at.
  assert.ok((await dialog().locator('.preview tbody tr').count()) <= 300);

  let stop;
  const stopped = new Promise((resolve) => { stop = resolve; });
  let sent = 0;
  await held('keys', () => ((sent += 1) > 2 ? stopped : undefined));
  await button('Add 5,000 keys').click();
  await shown('Adding: 1,000 of 5,000');
  await button('Stop').click();
  await shown('Stopped. What was added before stays.');
  stop();
  assert.equal((await stored()).length, 1_000, 'two pieces were whole');
});

test('a list of twenty thousand lines is pasted without the field, which would take seconds to draw it', async () => {
  const page = await open({ permissions: ['clipboard-read', 'clipboard-write'] });
  const lines = Array.from({ length: 20_000 }, (_, index) => gemini(200_000 + index));
  const field = dialog().getByRole('textbox', { name: 'Keys' });
  await field.fill(`${gemini(1)}\n`);
  await page.evaluate((text) => navigator.clipboard.writeText(text), `${lines.join('\n')}\n`);
  await field.press('End');
  await page.keyboard.press('Control+V');
  await shown('Pasted text');
  await shown('20,001 lines, 800 KB');
  assert.equal(await field.count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement?.className), 'long row still', 'the focus is where the field was');
  await it.axe('a long text');

  // More than one call takes: nothing is lost by asking.
  await button('Preview').click();
  await shown('These are 20,001; at most 10,000 at once.');
  await it.expect(/status of 413/);
  await shown('20,001 lines, 800 KB');
  await button('Take out').click();
  assert.equal(await field.inputValue(), '');
  assert.equal(await field.evaluate((node) => node === document.activeElement), true, 'and back in the field');

  // A short one is text in the field, as ever; typing on is possible until it is long.
  await page.evaluate((text) => navigator.clipboard.writeText(text), lines.slice(0, 3).join('\n'));
  await page.keyboard.press('Control+V');
  assert.equal(await field.inputValue(), lines.slice(0, 3).join('\n'));
});
