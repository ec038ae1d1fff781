// The settings in a real browser: where requests go, what is wrong, and a message to see that messages arrive.

import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { PHONE, browserFor } from './browser.mjs';
import { startWorld } from './harness.mjs';
import { openInbox } from './inbox.mjs';

const inbox = await openInbox();
after(() => inbox.close());
const world = await startWorld({
  others: {
    hooked: { WEBHOOK_URL: inbox.url, WEBHOOK_KIND: 'discord', WEBHOOK_MIN_USABLE: '3' },
    unheard: { WEBHOOK_URL: `http://127.0.0.1:1/${inbox.secret}` },
    direct: { UPSTREAM: 'direct', GATEWAY_URL: undefined },
    odd: { UPSTREAM: 'sideways', AFFINITY: 'always', MAX_ATTEMPTS: 'many', WEBHOOK_URL: 'http://example.com/', ENCRYPTION_KEY: 'short' },
  },
});
world.secrets.add(inbox.secret);
const it = browserFor(world);
beforeEach(() => { inbox.empty(); it.isolate = 'main'; });

const shown = (words) => it.page.getByText(words).first().waitFor();

async function settings(isolate, options = {}) {
  if (isolate !== 'main') await world.use(isolate);
  it.isolate = isolate;
  return it.signIn({ hash: '#/settings', ...options });
}

test('without a webhook there is no button, but how to have one', async () => {
  const page = await settings('main');
  await shown('Set its address:');
  await shown('npx wrangler secret put WEBHOOK_URL');
  assert.equal(await page.getByRole('button', { name: 'Send a test message' }).count(), 0);
  await it.axe('without a webhook');
});

for (const [language, options, words] of [
  ['English', {}, { button: 'Send a test message', goes: 'One Balance writes to Discord when keys are blocked, and when a provider has fewer than 3 usable keys.', sent: 'Sent: it should be there now.', refused: 'It was refused with HTTP 404: no such channel' }],
  ['Chinese, on a phone', { ...PHONE, locale: 'zh-CN' }, { button: '发送测试消息', goes: '有密钥被封禁，或某个提供商的可用密钥少于 3 个时，One Balance 会发消息到 Discord。', sent: '已发送，请查看是否收到。', refused: '消息被拒绝，HTTP 404：no such channel' }],
]) {
  test(`a test message is sent, and it is said whether it arrived: ${language}`, async () => {
    const page = await settings('hooked', options);
    await shown(words.goes);
    const button = page.getByRole('button', { name: words.button });
    await button.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('status').getByText(words.sent).waitFor();
    assert.equal(inbox.messages.length, 1);
    assert.match(inbox.messages[0].body.content, /this is a test/);
    assert.ok(await button.evaluate((node) => node === document.activeElement), 'one may press it again');

    inbox.answer = [404, 'no such channel'];
    await page.keyboard.press('Enter');
    await page.getByRole('status').getByText(words.refused).waitFor();
    await it.axe('the result');
    await it.fits('the result');
    assert.ok(!(await page.content()).includes(inbox.secret), 'the address is not shown');
  });
}

test('a webhook that cannot be reached', async () => {
  const page = await settings('unheard');
  await page.getByRole('button', { name: 'Send a test message' }).click();
  await page.getByRole('status').getByText('Its address cannot be reached.').waitFor();
});

test('without a gateway the page says where requests go, and what is not there', async () => {
  const page = await settings('direct');
  await page.locator('.facts').getByText('Requests go to the providers’ own addresses').waitFor();
  await page.locator('.facts').getByText('custom providers').waitFor();
  await shown('No problems found in the settings.');
  await it.axe('direct');
  await it.go('#/');
  await page.locator('.sidebar').getByRole('link', { name: 'Requests go to the providers’ own addresses' }).click();
  await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();

  await settings('direct', { ...PHONE, locale: 'zh-CN' });
  await it.go('#/');
  await it.page.locator('main').getByRole('link', { name: '请求直接发到提供商自己的地址' }).click();
  await it.page.getByRole('heading', { name: '设置', level: 1 }).waitFor();
  await it.fits('direct');
});

test('what is wrong with settings is said in the reader’s language', async () => {
  const page = await settings('odd', { locale: 'zh-CN' });
  const problems = page.locator('.notice');
  await problems.first().waitFor();
  const said = await problems.allInnerTexts();
  assert.equal(said.length, 5, said.join('\n'));
  for (const name of ['UPSTREAM', 'AFFINITY', 'MAX_ATTEMPTS', 'WEBHOOK_URL', 'ENCRYPTION_KEY']) {
    const sentence = said.find((one) => one.startsWith(name));
    assert.ok(/[\u4e00-\u9fff].*。$/.test(sentence ?? ''), `${name}: ${said.join('\n')}`);
  }
});
