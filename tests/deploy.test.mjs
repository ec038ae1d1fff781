// `npm run deploy` with the real wrangler against a fake Cloudflare: what it does when all goes well.

import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { describe, test } from 'node:test';
import { active } from './cloudflare/fake.mjs';
import { COOLINGS, KEYS, ORIGINAL, originalWorker } from './cloudflare/original.mjs';
import { bindings, changesOf, database, script, startCloudflare, succeeds } from './cloudflare/world.mjs';

const { cloudflare, world } = await startCloudflare();

/** The commands that it prints for going back, as they stand there. */
const printedCommands = (text) => text.split('\n').map((line) => line.trim()).filter((line) => line.startsWith('npx wrangler '));

describe('npm run deploy', { concurrency: 2 }, () => {
  test('on a fresh account makes all there is to make, and again brings it up to date and keeps everything', async () => {
    const { account, clone, deploy } = world();
    clone.useBuilt();
    const first = await succeeds(deploy());
    const token = /AUTH_KEY\), shown this once: (sk-ob-[\w-]{43})$/m.exec(first)?.[1];
    assert.ok(token, first);
    const made = bindings(account);
    assert.deepEqual([made.AUTH_KEY.type, made.AUTH_KEY.text], ['secret_text', token]);
    assert.equal(made.ENCRYPTION_KEY.type, 'secret_text');
    assert.equal(Buffer.from(made.ENCRYPTION_KEY.text, 'base64').length, 32);
    assert.deepEqual([made.DB.type, made.DB.id], ['d1', database(account).id]);
    assert.equal(made.AI.type, 'ai');
    assert.deepEqual([made.AI_GATEWAY.text, made.CLOUDFLARE_ACCOUNT_ID.text], ['one-balance', account.id]);
    assert.ok((await cloudflare.tables(database(account))).includes('provider_keys'));
    assert.equal(account.gateways.get('one-balance').cache_ttl, 0);
    assert.deepEqual(script(account).schedules, ['*/5 * * * *']);
    assert.equal(script(account).subdomain.enabled, true);
    assert.match(first, new RegExp(`Page +${clone.workerUrl(account)}/`));
    assert.deepEqual(printedCommands(first), [], 'there is nothing to go back to');

    // The copy of the encryption key is its owner's alone.
    const copies = clone.list('backups');
    assert.equal(copies.length, 1);
    assert.ok(clone.read(`backups/${copies[0]}`).includes(`ENCRYPTION_KEY=${made.ENCRYPTION_KEY.text}\n`));
    if (process.platform !== 'win32') {
      assert.equal(statSync(clone.path('backups', copies[0])).mode & 0o777, 0o600);
      assert.equal(statSync(clone.path('backups')).mode & 0o777, 0o700);
    }
    assert.ok(!first.includes(made.ENCRYPTION_KEY.text), 'the encryption key is never shown');
    assert.equal(first.split(token).length, 2, 'the token is shown once');

    // Somebody changes a variable and adds a secret in the dashboard.
    const before = active(script(account));
    before.bindings.push({ type: 'plain_text', name: 'MAX_ATTEMPTS', text: '7' }, { type: 'secret_text', name: 'MINE', text: 'x' });
    const second = await succeeds(deploy());
    const now = bindings(account);
    assert.notEqual(now.DEPLOYMENT.text, made.DEPLOYMENT.text);
    for (const name of ['AUTH_KEY', 'ENCRYPTION_KEY', 'AI_GATEWAY', 'DB', 'ENCRYPTION_KEY_ID']) assert.deepEqual(now[name], made[name]);
    assert.deepEqual([now.MAX_ATTEMPTS.text, now.MINE.text], ['7', 'x']);
    assert.deepEqual(clone.list('backups'), copies);
    assert.equal(account.databases.size, 1);
    for (const secret of [token, made.ENCRYPTION_KEY.text]) assert.ok(!second.includes(secret), 'no secret is shown again');
    for (const file of clone.files().filter((name) => !name.startsWith('backups'))) {
      for (const secret of [token, made.ENCRYPTION_KEY.text]) assert.ok(!clone.read(file).includes(secret), `${file} holds a secret`);
    }

    // The way back, word for word.
    const commands = printedCommands(second);
    assert.equal(commands.length, 1, second);
    await goBack(clone, commands);
    assert.equal(active(script(account)).id, before.id);
  });

  test('takes over what the TypeScript original left, keeps an export, and tells what came over', async () => {
    const { account, clone, deploy } = world();
    const old = await cloudflare.database(account, 'one-balance', ORIGINAL);
    await cloudflare.database(account, 'one-balance-old', 'CREATE TABLE other (x)');
    const before = originalWorker(cloudflare, account, old, 'sk-the-tokens-of-old');
    const text = await succeeds(deploy());
    assert.equal(account.databases.size, 2);
    const rows = await cloudflare.rows(old, 'SELECT provider, state, secret FROM provider_keys');
    assert.equal(rows.length, KEYS);
    assert.deepEqual((await cloudflare.tables(old)).includes('keys'), false);
    assert.match(text, /takes the place of the TypeScript One Balance/);
    assert.match(text, /google-ai-studio +1 blocked, 2 ready/);
    assert.match(text, /openai +1 ready/);
    assert.match(text, new RegExp(`^ +${COOLINGS} running cooling$`, 'm'));
    const made = bindings(account);
    assert.deepEqual([made.AUTH_KEY.type, made.AUTH_KEY.text], ['secret_text', 'sk-the-tokens-of-old']);
    assert.ok(!text.includes('sk-the-tokens-of-old'));
    assert.equal(made.MAX_ATTEMPTS.text, '9', 'what it was told stays');
    assert.equal(made.CONSECUTIVE_429_THRESHOLD, undefined, 'what nobody chose does not');

    const [backup] = clone.list('backups').filter((name) => name.endsWith('.sql'));
    assert.match(clone.read(`backups/${backup}`), /CREATE TABLE `?keys/);
    assert.match(clone.read(`backups/${backup}`), /AIzaSyA-of-the-original-1/);
    assert.ok(text.includes(`backups/${backup}`));
    if (process.platform !== 'win32') assert.equal(statSync(clone.path('backups', backup)).mode & 0o777, 0o600);

    const commands = printedCommands(text);
    assert.equal(commands.length, 2, text);
    await goBack(clone, commands);
    assert.equal(active(script(account)).id, before);
    assert.ok((await cloudflare.tables(old)).includes('keys'), 'the original finds its database again');
    const again = await succeeds(deploy());
    assert.match(again, /google-ai-studio +1 blocked, 2 ready/);
  });

  async function goBack(clone, commands) {
    const token = cloudflare.token();
    for (const command of commands) {
      const [, , ...args] = command.split(' ');
      const result = await clone.run(process.execPath, ['node_modules/wrangler/bin/wrangler.js', ...args], { CLOUDFLARE_API_TOKEN: token, CI: '1', WRANGLER_SEND_METRICS: 'false' });
      assert.equal(result.code, 0, `${command}\n${result.text}`);
    }
  }

  test('says with --dry-run what it would do, in either spelling, and does nothing', async () => {
    const { account, clone, env, deploy } = world();
    const old = await cloudflare.database(account, 'one-balance', ORIGINAL);
    originalWorker(cloudflare, account, old, 'sk-the-tokens-of-old');
    for (const run of [deploy({ args: ['--dry-run'] }), clone.run('npm', ['run', 'deploy', '--dry-run'], env), clone.run('npm', ['run', 'deploy', '--', '--dry-run'], env)]) {
      const text = await succeeds(run);
      assert.match(text, /with 4 keys: exported into backups\/ first, then taken over/);
      assert.match(text, /dry run: nothing was changed/);
    }
    assert.deepEqual(changesOf(cloudflare, account), []);
    assert.equal(existsSync(clone.path('backups')), false);
    assert.equal(existsSync(clone.path('.wrangler', 'one-balance')), false);
    const wrong = await deploy({ args: ['--dryrun'] });
    assert.equal(wrong.code, 1);
    assert.match(wrong.text, /--dryrun means nothing here, so nothing was done/);
    assert.deepEqual(changesOf(cloudflare, account), []);
  });
});
