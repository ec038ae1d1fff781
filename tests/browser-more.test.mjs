// Overview, tokens, connecting, activity and settings in a real browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserFor, hintOf, seedKeys } from './browser.mjs';
import { eventually, startWorld } from './harness.mjs';

const world = await startWorld();
const it = browserFor(world);

const shown = (words) => it.page.getByText(words).first().waitFor();
const dialog = (name) => it.page.getByRole('dialog', { name }).or(it.page.getByRole('alertdialog', { name }));

test('the overview says how the pool is, what is wrong with it, and leads there', async () => {
  const until = Date.now() + 5_400_000;
  await seedKeys(world, 'google-ai-studio', 30, (index) => (index < 20
    ? { cooling: [{ model: 'gemini-2.5-pro', until }] }
    : { state: 'blocked', reason: 'suspended' }));
  await seedKeys(world, 'groq', 2, () => ({ state: 'disabled' }));
  await world.query("INSERT INTO events (at, key_id, provider, model, status, verdict, reason, message) SELECT ?1, id, provider, '*', 403, 'reject', 'suspended', 'Consumer has been suspended.' FROM provider_keys WHERE state = 'blocked'", Date.now() - 60_000);
  const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000;
  await world.query("INSERT INTO usage_hourly (hour, provider, model, requests, attempts, successes, rate_limited, errors) VALUES (?1, 'google-ai-studio', 'gemini-2.5-flash', 120, 130, 118, 9, 3)", hour);
  const page = await it.signIn();
  await shown('Requests by outcome');
  const attention = page.locator('.attention');
  await attention.getByText(/No usable key for gemini-2\.5-pro \(google-ai-studio\) until/).waitFor();
  await attention.getByText('No key of groq can be used: all are blocked, disabled or cooling.').waitFor();
  await attention.getByText('10 keys of google-ai-studio blocked since yesterday: suspended.').waitFor();
  await page.locator('.tile', { hasText: 'Usable keys' }).getByText('of 32').waitFor();
  await page.locator('.tile', { hasText: 'Models without a key' }).locator('time').waitFor();
  await page.locator('.pooltable tr', { hasText: 'Google AI Studio' }).getByRole('link', { name: /20\s*cooling/ }).waitFor();
  await page.locator('.chart canvas').waitFor();
  await page.locator('.chart').getByRole('img', { name: /120 requests: 118 succeeded, 2 failed/ }).waitFor();
  await page.getByRole('button', { name: '30 days' }).click();
  await shown('Days are counted in UTC.');
  await it.still('the overview');
  await attention.getByRole('link', { name: /blocked since yesterday/ }).click();
  await shown('1–10 of 10');
  assert.match(page.url(), /state=blocked&reason=suspended/);
});

test('a token is made, shown once, used, limited, switched off and revoked', async () => {
  await world.keys('openai', 1);
  const page = await it.signIn({ hash: '#/tokens' });
  await page.getByRole('button', { name: 'New token' }).first().click();
  const form = dialog('New token');
  await form.getByRole('button', { name: 'New token' }).click();
  await form.getByText('Give it a name.').waitFor();
  await form.getByLabel('Name').fill('Cherry <b>Studio</b>');
  await form.getByRole('button', { name: 'Add provider' }).click();
  await form.getByRole('combobox', { name: 'Provider' }).selectOption('openai');
  await form.getByRole('textbox', { name: 'Models' }).fill('gpt-5*, o4-mini');
  await form.getByLabel('Requests per minute').fill('0');
  await form.getByRole('button', { name: 'New token' }).click();
  await form.getByText(/It must be a number from 1 to/).waitFor();
  await it.expect(/status of 400/);
  await form.getByLabel('Requests per minute').fill('50');
  await form.getByLabel('Expires').selectOption('30');
  await it.axe('the form');
  await form.getByRole('button', { name: 'New token' }).click();
  await shown('Copy it now: it is shown this once');
  const secret = (await page.locator('.made code').innerText()).trim();
  assert.match(secret, /^ob-/);
  await it.axe('the token');
  await page.getByRole('button', { name: 'I have copied it' }).click();
  await page.locator('.tokentable').getByText('Cherry <b>Studio</b>').waitFor();
  await page.locator('.tokentable').getByText('openai: gpt-5*, o4-mini').waitFor();
  await page.locator('.tokentable').getByText('50/min').waitFor();
  assert.ok(!(await page.content()).includes(secret), 'it is shown no more');

  assert.equal((await world.main.ask('openai', 'gpt-5-mini', { token: secret })).status, 200);
  assert.equal((await world.main.ask('openai', 'gpt-4o', { token: secret })).status, 403);
  await page.getByRole('button', { name: /^Actions for/ }).click();
  await page.getByRole('menuitem', { name: 'Disable' }).click();
  await page.locator('.tokentable').getByText('disabled').waitFor();
  await eventually(async () => (await world.main.ask('openai', 'gpt-5-mini', { token: secret })).status === 401);

  await page.getByRole('button', { name: /^Actions for/ }).click();
  await page.getByRole('menuitem', { name: 'Revoke' }).click();
  await dialog(/^Revoke/).getByText('Clients that use it are refused').waitFor();
  await dialog(/^Revoke/).getByRole('button', { name: 'Revoke' }).click();
  await shown('No tokens yet');
  await page.getByText('administrator').waitFor(); // the one in AUTH_KEY, read-only
});

test('settings for clients have this address, the provider and the model, and can be copied', async () => {
  await world.keys('google-ai-studio', 1);
  const page = await it.signIn({ hash: '#/connect', permissions: ['clipboard-read', 'clipboard-write'] });
  const { url } = world.main;
  const code = () => page.locator('.codebox code').allInnerTexts().then((all) => all.join('\n'));
  await page.getByLabel('Model').fill('gemini-2.5-pro');
  await eventually(async () => (await code()).includes(`${url}/api/google-ai-studio/v1beta/models/gemini-2.5-pro:streamGenerateContent`));
  for (const [app, words] of [['OpenAI SDK', [`${url}/api/compat`, 'google-ai-studio/gemini-2.5-pro']], ['Gemini SDK', [`${url}/api/google-ai-studio`]], ['Gemini CLI', ['GOOGLE_GEMINI_BASE_URL', `${url}/api/google-ai-studio`]]]) {
    await page.getByRole('button', { name: app }).click();
    await eventually(async () => { const text = await code(); return words.every((word) => text.includes(word)); });
  }
  await page.getByRole('button', { name: 'Claude Code' }).click();
  await shown('Claude Code speaks Anthropic’s format');
  await page.getByLabel('Provider').first().selectOption('anthropic');
  await eventually(async () => (await code()).includes(`ANTHROPIC_BASE_URL=${url}/api/anthropic`));
  await page.getByRole('button', { name: 'Cherry Studio' }).click();
  const fields = page.locator('.form-fields');
  await fields.getByText(`${url}/api/anthropic`).waitFor();
  await fields.getByRole('button', { name: 'Copy: API host' }).click();
  await it.said('Copied.');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${url}/api/anthropic`);
  await page.getByRole('button', { name: 'Open WebUI' }).click();
  await fields.getByText(`${url}/api/compat`).waitFor();
});

for (const [provider, model] of [['google-ai-studio', 'gemini-2.5-flash'], ['anthropic', 'claude-sonnet-4-5'], ['openai', 'gpt-5-mini']]) {
  test(`a small request is tried, streamed, and says which key answered: ${provider}`, async () => {
    const [key] = await world.keys(provider, 1);
    const page = await it.signIn({ hash: `#/connect?provider=${provider}` });
    await page.getByLabel('Model').fill(model);
    await page.getByRole('button', { name: 'Send' }).click();
    await page.locator('.outcome').getByText(hintOf(key)).waitFor();
    await page.locator('.outcome div', { hasText: 'In all' }).getByText(/\d (ms|s)$/).waitFor();
    assert.ok((await page.locator('.answer').innerText()).trim().length > 3);
    assert.equal(await page.locator('.outcome div', { hasText: 'Attempts' }).locator('dd').innerText(), '1');
    await it.axe('the answer');
    await page.locator('.outcome a').click();
    await page.locator('dialog.drawer').getByText(hintOf(key)).first().waitFor();
  });
}

test('a request that fails says why', async () => {
  const page = await it.signIn({ hash: '#/connect?provider=openai' });
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('.answer').getByRole('alert').getByText(/HTTP 503: .*key/).waitFor();
  await it.expect(/status of 503/);
});

test('events and failed requests are listed, filtered, older ones fetched, and refreshed by themselves', async () => {
  const [key] = await world.keys('openai', 1);
  const { id } = await world.main.find(key);
  const events = Array.from({ length: 130 }, (_, index) => ({ at: Date.now() - index * 60_000, verdict: index % 10 === 0 ? 'reject' : 'cool', message: index === 0 ? '<img src=x onerror="window.pwned=1">' : `words ${index}` }));
  await world.query(
    "INSERT INTO events (id, at, key_id, provider, model, status, verdict, reason, message) SELECT 1000 - key, value ->> 'at', ?2, 'openai', 'gpt-5', 429, value ->> 'verdict', 'rate_limit', value ->> 'message' FROM json_each(?1)",
    JSON.stringify(events), id,
  );
  const page = await it.signIn({ hash: '#/activity' });
  const rows = page.locator('.log tbody tr');
  await shown('<img src=x onerror="window.pwned=1">');
  await shown('words 99');
  await page.getByRole('button', { name: 'Older' }).click();
  await shown('words 129');
  await shown('Paused while you look at older ones.');
  await page.getByRole('button', { name: 'Newest' }).click();
  await shown('words 1');
  await page.getByLabel('Event', { exact: true }).selectOption('reject');
  await eventually(async () => (await rows.count()) === 13);
  // A new one comes by itself.
  await page.getByLabel('Event', { exact: true }).selectOption('');
  await world.query("INSERT INTO events (id, at, key_id, provider, model, status, verdict, reason, message) VALUES (2000, ?1, ?2, 'openai', 'gpt-5', 429, 'cool', 'rate_limit', 'the newest one')", Date.now(), id);
  await shown('the newest one');
  await rows.first().getByRole('link', { name: hintOf(key) }).click();
  await page.locator('dialog.drawer').getByText('the newest one').waitFor();
  await page.keyboard.press('Escape');

  await world.main.ask('groq', 'a-model-without-keys');
  await it.go('#/activity/requests');
  const failed = rows.filter({ hasText: 'a-model-without-keys' });
  await failed.getByText('no keys').waitFor();
  await failed.getByRole('button', { name: 'Attempts of this request' }).click();
  await shown('No key was asked.');
  assert.equal(await page.evaluate(() => window.pwned), undefined);
});

test('settings show how the Worker is set up, and export the pool', async () => {
  const keys = await world.keys('openai', 3);
  const page = await it.signIn({ hash: '#/settings' });
  await shown('No problems found in the settings.');
  await shown('Simulated: no real provider is asked');
  await page.getByRole('button', { name: 'Export all keys' }).click();
  const file = page.waitForEvent('download');
  await dialog('Export 3 keys').getByText('Keep it safe').waitFor();
  await dialog('Export 3 keys').getByRole('button', { name: 'Export' }).click();
  const stream = await (await file).createReadStream();
  let text = '';
  for await (const chunk of stream) text += chunk;
  assert.deepEqual(JSON.parse(text).keys.map((one) => one.key).sort(), [...keys].sort());
  await page.getByRole('button', { name: '中文' }).last().click();
  await page.getByRole('heading', { name: '设置', level: 1 }).waitFor();
});
