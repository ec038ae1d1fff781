// `npm run deploy` when something is in its way: it says what, and what to do, and changes nothing that
// is not its own.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { hasTerminal } from './cloudflare/clone.mjs';
import { ORIGINAL, originalWorker } from './cloudflare/original.mjs';
import { bindings, changesOf, database, fails, script, startCloudflare, succeeds } from './cloudflare/world.mjs';

const { cloudflare, world, migrated } = await startCloudflare();
const key = () => randomBytes(32).toString('base64');

describe('who deploys', { concurrency: 2 }, () => {
  test('nobody is signed in: it says how to', async () => {
    const { account, deploy } = world();
    const text = await fails(deploy({ CLOUDFLARE_API_TOKEN: undefined }), 'You are not signed in', 'npx wrangler login', 'CLOUDFLARE_API_TOKEN');
    for (const permission of ['Account / Workers Scripts / Edit', 'Account / D1 / Edit', 'Account / AI Gateway / Edit']) assert.ok(text.includes(permission), text);
    assert.deepEqual(changesOf(cloudflare, account), []);
  });

  test('a token that is no good is not taken for a missing permission', async () => {
    const { account, deploy } = world({ active: false });
    await fails(deploy({ CLOUDFLARE_ACCOUNT_ID: account.id }), 'does not accept CLOUDFLARE_API_TOKEN', 'revoked');
    await fails(deploy({ CLOUDFLARE_API_TOKEN: 'mistyped' }), 'does not accept CLOUDFLARE_API_TOKEN');
    await fails(deploy({ CLOUDFLARE_API_TOKEN: 'two words' }), 'does not accept CLOUDFLARE_API_TOKEN');
  });

  test('several accounts: a list of them, and the chosen one is used', async () => {
    const { account, deploy } = await migrated(world());
    const other = cloudflare.account('Somebody else');
    const token = cloudflare.token({ accounts: [account.id, other.id] });
    const text = await fails(deploy({ CLOUDFLARE_API_TOKEN: token }), 'several accounts', 'CLOUDFLARE_ACCOUNT_ID', account.id, other.id);
    assert.ok(text.includes('Somebody else'));
    const inCi = await fails(deploy({ CLOUDFLARE_API_TOKEN: token, CI: 'true' }), 'several accounts', account.id, other.id);
    assert.ok(!inCi.includes('Somebody else'), 'names of accounts do not belong in a public log');
    await fails(deploy({ CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_ACCOUNT_ID: 'Mine' }), '32 hexadecimal digits');
    await succeeds(deploy({ CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_ACCOUNT_ID: account.id }));
    assert.ok(script(account));
    assert.equal(script(other), undefined);
  });

  test('a token that belongs to the account, not to a user, is one as well', async () => {
    const { account, deploy } = await migrated(world());
    const owned = { CLOUDFLARE_API_TOKEN: cloudflare.token({ accounts: [account.id], owned: true }) };
    await succeeds(deploy({ ...owned, args: ['--dry-run'] }));
    await succeeds(deploy({ ...owned, CLOUDFLARE_ACCOUNT_ID: account.id }));
  });

  test('each missing permission is named', async () => {
    const cases = [
      ['workers:read', 'Account / Workers Scripts / Edit'],
      ['workers:write', 'Account / Workers Scripts / Edit'],
      ['d1:read', 'Account / D1 / Edit'],
      ['d1:write', 'Account / D1 / Edit'],
      ['accounts:read', 'Account / Account Settings / Read'],
    ];
    await Promise.all([0, 1].map(async (half) => {
      for (const [lacks, permission] of cases.filter((_, index) => index % 2 === half)) {
        const { account, deploy } = world({ lacks: [lacks] });
        const text = await fails(deploy(), `It lacks the permission ${permission}`);
        assert.ok(!text.includes('wrangler'), text);
        assert.equal(script(account), undefined, lacks);
      }
    }));
  });

  test('a token for one account, which may not list any, is enough when the account is set', async () => {
    const { account, deploy } = await migrated(world({ lacks: ['accounts:read'] }));
    await fails(deploy(), 'Or set CLOUDFLARE_ACCOUNT_ID');
    await succeeds(deploy({ CLOUDFLARE_ACCOUNT_ID: account.id }));
  });

  test('who may not see or make an AI Gateway is told what to press, and only when there is need', async () => {
    const { account, deploy } = await migrated(world({ lacks: ['gateway:read', 'gateway:write'] }));
    const press = `https://dash.cloudflare.com/${account.id}/ai/ai-gateway, press "Create Gateway" and name it one-balance`;
    const missing = await succeeds(deploy());
    assert.ok(missing.includes(`still to be made, which this sign-in may not: Open ${press}`), missing);
    assert.ok(script(account));
    account.deaf = true;
    const unseen = await succeeds(deploy({ args: ['--dry-run'] }));
    assert.ok(unseen.includes(`Make sure that there is an AI Gateway: Open ${press}`), unseen);
    account.deaf = false;
    account.gateways.set('one-balance', { id: 'one-balance', authentication: true });
    await fails(deploy(), 'demands authentication');
    account.gateways.get('one-balance').authentication = false;
    const there = await succeeds(deploy({ args: ['--dry-run'] }));
    assert.ok(!there.includes(press), there);
    assert.match(there, /AI Gateway +one-balance: there$/m);
  });
});

describe('what is in the way', { concurrency: 2 }, () => {
  test('a Worker of the same name that is not ours stays as it is; another name works', async () => {
    const { account, clone, deploy } = await migrated(world());
    cloudflare.script(account, 'one-balance', [{ type: 'plain_text', name: 'HELLO', text: 'x' }]);
    await fails(deploy(), 'already has a Worker named one-balance', '--name one-balance-2', 'WORKER_NAME');
    assert.deepEqual(changesOf(cloudflare, account), []);
    await succeeds(deploy({ WORKER_NAME: 'mine', WORKER_URL: clone.workerUrl(account, 'mine') }));
    assert.equal(bindings(account, 'mine').DB.type, 'd1');
    assert.equal(bindings(account).HELLO.text, 'x');
    await fails(deploy({ args: ['--name', 'Not A Name'] }), 'cannot be the name of a Worker');
  });

  test('a database of the same name that is not ours stays as it is; another name works', async () => {
    const { account, deploy } = world();
    const theirs = await cloudflare.database(account, 'one-balance', 'CREATE TABLE customers (name)');
    await fails(deploy(), 'holds something else than One Balance', '--database one-balance-2');
    assert.deepEqual(changesOf(cloudflare, account), []);
    await succeeds(deploy({ args: ['--database', 'one-balance-2'] }));
    assert.equal(bindings(account).DB.id, database(account, 'one-balance-2').id);
    assert.deepEqual((await cloudflare.tables(theirs)).filter((name) => !name.startsWith('_')), ['customers']);
    // The Worker knows its database: the name is not needed again.
    await succeeds(deploy());
    assert.equal(bindings(account).DB.id, database(account, 'one-balance-2').id);
    assert.match(await succeeds(deploy({ args: ['--dry-run', '--database', 'a-third'] })), /Until now the Worker used another database/);
  });

  test('an account without a workers.dev subdomain: it says where to choose one, or takes the given one', async () => {
    const { account, deploy } = await migrated(world({ subdomain: undefined }));
    account.subdomain = undefined;
    await fails(deploy(), `https://dash.cloudflare.com/${account.id}/workers/onboarding`, 'WORKERS_SUBDOMAIN');
    assert.deepEqual(changesOf(cloudflare, account), []);
    await fails(deploy({ WORKERS_SUBDOMAIN: 'taken' }), 'unavailable');
    await succeeds(deploy({ WORKERS_SUBDOMAIN: 'chosen' }));
    assert.equal(account.subdomain, 'chosen');
  });

  test('a gateway that demands authentication: its token is asked for, and kept as a secret', async () => {
    const { account, deploy } = await migrated(world());
    account.gateways.set('one-balance', { id: 'one-balance', authentication: true });
    await fails(deploy(), 'demands authentication', 'AI_GATEWAY_TOKEN', '/ai/ai-gateway/gateways/one-balance/settings');
    assert.deepEqual(changesOf(cloudflare, account), []);
    const text = await succeeds(deploy({ AI_GATEWAY_TOKEN: 'the-gateway-token' }));
    assert.ok(!text.includes('the-gateway-token'));
    assert.deepEqual([bindings(account).AI_GATEWAY_TOKEN.type, bindings(account).AI_GATEWAY_TOKEN.text], ['secret_text', 'the-gateway-token']);
    await succeeds(deploy());
    assert.equal(bindings(account).AI_GATEWAY_TOKEN.text, 'the-gateway-token');
  });

  test('secrets in wrangler.toml are refused; its other variables and the environment’s go up', async () => {
    const { account, clone, deploy } = await migrated(world());
    const toml = clone.read('wrangler.toml');
    writeFileSync(clone.path('wrangler.toml'), toml.replace('[vars]', '[vars]\nAUTH_KEY = "plain"'));
    await fails(deploy(), 'AUTH_KEY is a secret, but stands in wrangler.toml');
    writeFileSync(clone.path('wrangler.toml'), toml.replace('[vars]', '[vars]\nRETRY_EMPTY = """on"""'));
    await succeeds(deploy({ AI_GATEWAY: 'mine', MAX_ATTEMPTS: '20', AUTH_KEY: 'sk-given' }));
    writeFileSync(clone.path('wrangler.toml'), toml);
    await succeeds(deploy());
    const now = bindings(account);
    assert.deepEqual([now.AI_GATEWAY.text, now.MAX_ATTEMPTS.text, now.RETRY_EMPTY.text, now.AUTH_KEY.text], ['mine', '20', 'on', 'sk-given']);
    assert.deepEqual([...account.gateways.keys()], ['mine']);
  });

  test('a Worker that does not become healthy, or is not the new one, is no success', async () => {
    const { account, deploy } = await migrated(world());
    await succeeds(deploy());
    account.after = async ({ method, path }) => {
      if (method === 'PUT' && path.endsWith('/schedules')) await cloudflare.run(database(account), 'DROP TABLE provider_keys');
    };
    await fails(deploy({ DEPLOY_WAIT_SECONDS: '1' }), 'does not reach its database');
    const unreachable = await succeeds((await migrated(world())).deploy({ WORKER_URL: 'http://127.0.0.1:9', DEPLOY_WAIT_SECONDS: '1' }));
    assert.match(unreachable, /has not answered yet.*some networks block workers\.dev/s);
  });
});

describe('at a terminal', { concurrency: 2, skip: !hasTerminal() && 'no program here plays a terminal' }, () => {
  test('it asks for what it cannot know, and shows no secret', async () => {
    const { account, clone, env } = await migrated(world());
    const other = cloudflare.account('Other');
    account.subdomain = undefined;
    account.gateways.set('one-balance', { id: 'one-balance', authentication: true });
    const { code, text, left } = await clone.deployAtTerminal({ ...env, CLOUDFLARE_API_TOKEN: cloudflare.token({ accounts: [other.id, account.id] }) }, [
      [/Which one \(1 to 2\)\?/, '7\r'],
      [/Which one \(1 to 2\)\?/, `${account.id}\r`],
      [/it is not shown\): /, 'the-gateway-tokeX\x7fn\r'],
      [/NAME = /, 'Chosen\r'],
    ]);
    assert.equal(code, 0, text);
    assert.deepEqual(left, []);
    assert.ok(!text.includes('the-gateway-toke'), 'what is typed is not shown');
    assert.equal(bindings(account).AI_GATEWAY_TOKEN.text, 'the-gateway-token');
    assert.equal(account.subdomain, 'chosen');
    assert.equal(script(other), undefined);
  });

  test('Ctrl-C at a question ends it, and changes nothing', async () => {
    const { account, clone, env } = await migrated(world());
    account.gateways.set('one-balance', { id: 'one-balance', authentication: true });
    const { code } = await clone.deployAtTerminal(env, [[/it is not shown\): /, '\x03']]);
    assert.equal(code, 130);
    assert.deepEqual(changesOf(cloudflare, account), []);
    const second = cloudflare.account('Other');
    const asked = await clone.deployAtTerminal({ ...env, CLOUDFLARE_API_TOKEN: cloudflare.token({ accounts: [account.id, second.id] }) }, [[/Which one \(1 to 2\)\?/, '\x03']]);
    assert.equal(asked.code, 130, asked.text);
  });
});

describe('in CI', { concurrency: 2 }, () => {
  test('no secret is made whose only copy would be a log or a disk that is thrown away', async () => {
    const { account, clone, deploy } = await migrated(world());
    await fails(deploy({ CI: 'true' }), 'There is no AUTH_KEY', 'set the secret AUTH_KEY');
    assert.deepEqual(changesOf(cloudflare, account), []);
    const text = await succeeds(deploy({ CI: 'true', AUTH_KEY: 'sk-of-the-repository' }));
    assert.ok(!text.includes('sk-of-the-repository'));
    assert.match(text, /Keys are stored unsealed/);
    assert.equal(bindings(account).ENCRYPTION_KEY, undefined);
    assert.deepEqual(clone.list('backups'), []);
    const given = key();
    await succeeds(deploy({ CI: 'true', ENCRYPTION_KEY: given }));
    assert.match(await succeeds(deploy({ CI: 'true', ENCRYPTION_KEY: given })), /ENCRYPTION_KEY: kept/);
    assert.deepEqual([bindings(account).AUTH_KEY.text, bindings(account).ENCRYPTION_KEY.text], ['sk-of-the-repository', given]);
    assert.deepEqual(clone.list('backups'), []);
  });

  test('Cloudflare’s builder deploys to the Worker that it made itself', async () => {
    const { account, clone, deploy } = world();
    cloudflare.script(account, 'button', [{ type: 'secret_text', name: 'AUTH_KEY', text: 'sk-typed-at-the-button' }]);
    await cloudflare.database(account, 'button-db');
    const toml = clone.read('wrangler.toml').replace('database_name = "one-balance"', `database_name = "button-db"\ndatabase_id = "${database(account, 'button-db').id}"`);
    writeFileSync(clone.path('wrangler.toml'), toml);
    const builder = { CI: 'true', WORKERS_CI: '1', WRANGLER_CI_OVERRIDE_NAME: 'button', WORKER_URL: clone.workerUrl(account, 'button') };
    await succeeds(deploy(builder));
    assert.equal(bindings(account, 'button').AUTH_KEY.text, 'sk-typed-at-the-button');
    assert.equal(bindings(account, 'button').DB.id, database(account, 'button-db').id);
    assert.ok((await cloudflare.tables(database(account, 'button-db'))).includes('provider_keys'));
    assert.equal(account.databases.size, 1);
  });
});

describe('the encryption key', { concurrency: 2 }, () => {
  test('is never exchanged: neither by another one, nor by a wrong copy, nor after a loss', async () => {
    const { account, clone, deploy } = await migrated(world());
    await succeeds(deploy());
    const made = bindings(account).ENCRYPTION_KEY.text;
    const [copy] = clone.list('backups').map((name) => clone.path('backups', name));
    const text = clone.read('backups/' + clone.list('backups')[0]);
    await fails(deploy({ ENCRYPTION_KEY: 'short' }), '32 random bytes in base64');
    await fails(deploy({ ENCRYPTION_KEY: key() }), 'is another one than the keys in the database are sealed with', 'nothing was changed');
    await succeeds(deploy({ ENCRYPTION_KEY: made }));
    assert.equal(bindings(account).ENCRYPTION_KEY.text, made);

    // The Worker loses it: put back from the copy, but not from a wrong one, and never a new one.
    const lose = () => {
      const version = account.scripts.get('one-balance').versions.at(-1);
      version.bindings = version.bindings.filter(({ name }) => name !== 'ENCRYPTION_KEY');
    };
    lose();
    writeFileSync(copy, text.replace(made, key()));
    await fails(deploy(), 'has lost its ENCRYPTION_KEY', 'the copy in backups/');
    writeFileSync(copy, '');
    await fails(deploy(), 'holds no ENCRYPTION_KEY');
    writeFileSync(copy, text);
    await succeeds(deploy());
    assert.equal(bindings(account).ENCRYPTION_KEY.text, made);
    lose();
    const elsewhere = world();
    await fails(elsewhere.deploy({ CLOUDFLARE_API_TOKEN: cloudflare.token({ accounts: [account.id] }), WORKER_URL: clone.workerUrl(account) }), 'has no ENCRYPTION_KEY, and there is no copy', 'nothing was changed');
    assert.equal(bindings(account).ENCRYPTION_KEY, undefined);
  });

  test('is changed by giving both, and the old copy is kept', async () => {
    const { account, clone, deploy } = await migrated(world());
    await succeeds(deploy());
    const old = bindings(account).ENCRYPTION_KEY.text;
    const fresh = key();
    await succeeds(deploy({ ENCRYPTION_KEY: `${fresh},${old}` }));
    assert.equal(bindings(account).ENCRYPTION_KEY.text, `${fresh},${old}`);
    const files = clone.list('backups').map((name) => clone.read(`backups/${name}`));
    assert.equal(files.length, 2);
    assert.ok(files.every((file) => file.includes(old)));
    await succeeds(deploy({ ENCRYPTION_KEY: fresh }));
    assert.equal(bindings(account).ENCRYPTION_KEY.text, fresh);
  });

  test('is the one that the database is sealed with, also when the Worker is gone', async () => {
    const { account, deploy } = await migrated(world());
    await succeeds(deploy());
    const made = bindings(account).ENCRYPTION_KEY.text;
    const id = bindings(account).ENCRYPTION_KEY_ID.text;
    const seal = (by) => cloudflare.run(database(account), `INSERT INTO provider_keys (provider, secret, hint, slot, created_at, updated_at) VALUES ('openai', 'sealed:1:${by}:bm9uY2U:dGV4dA', 'x', 1, 1, 1)`);
    await seal(id);
    account.scripts.clear();
    await fails(deploy({ ENCRYPTION_KEY: key() }), 'is another one than the keys in the database are sealed with');
    await succeeds(deploy());
    assert.equal(bindings(account).ENCRYPTION_KEY.text, made);
    const fresh = key();
    await succeeds(deploy({ ENCRYPTION_KEY: fresh, ENCRYPTION_KEY_OLD: made, METRICS_TOKEN: 'metrics' }));
    assert.deepEqual([bindings(account).ENCRYPTION_KEY.text, bindings(account).METRICS_TOKEN.type], [`${fresh},${made}`, 'secret_text']);
    await fails(deploy({ ENCRYPTION_KEY: fresh }), 'is another one'); // what the old one sealed is still there
    await seal('00000000');
    account.scripts.clear();
    await fails(deploy(), 'the copy in backups/');
    const elsewhere = world();
    await fails(elsewhere.deploy({ CLOUDFLARE_API_TOKEN: cloudflare.token({ accounts: [account.id] }) }), 'holds 2 sealed keys');
  });

  test('of another machine is kept, and the reader is told that there is no copy here', async () => {
    const { account, deploy } = await migrated(world());
    await succeeds(deploy());
    const made = bindings(account).ENCRYPTION_KEY.text;
    const there = world();
    const text = await succeeds(there.deploy({ CLOUDFLARE_API_TOKEN: cloudflare.token({ accounts: [account.id] }), WORKER_URL: there.clone.workerUrl(account) }));
    assert.match(text, /There is no copy of the ENCRYPTION_KEY on this machine/);
    assert.equal(bindings(account).ENCRYPTION_KEY.text, made);
  });
});

test('the original’s example token, which everyone knows, is not taken over', async () => {
  const { account, deploy } = world();
  originalWorker(cloudflare, account, await cloudflare.database(account, 'one-balance', ORIGINAL), 'my-auth-key');
  const text = await succeeds(deploy());
  assert.match(text, /shown this once: sk-ob-/);
  assert.match(bindings(account).AUTH_KEY.text, /^sk-ob-/);
  await fails(deploy({ AUTH_KEY: 'my-auth-key' }), 'the example everyone knows');
});
