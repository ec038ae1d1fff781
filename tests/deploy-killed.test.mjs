// `npm run deploy` killed after each of its steps and run again: it ends where it would have ended.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COOLINGS, KEYS, ORIGINAL, originalWorker } from './cloudflare/original.mjs';
import { bindings, database, script, startCloudflare, succeeds } from './cloudflare/world.mjs';

const { cloudflare, world, migrated } = await startCloudflare();

/** Runs it until this call was carried out, then pulls the plug before it is answered. */
async function killedAfter(account, deploy, matches) {
  let kill;
  let struck = false;
  account.after = (call) => {
    if (struck || !matches(call)) return;
    struck = true;
    kill();
  };
  const result = await deploy({ onStart: (stop) => (kill = stop) });
  assert.ok(struck, `it never came to that:\n${result.text}`);
  assert.notEqual(result.code, 0, result.text);
  account.after = undefined;
  return result.text;
}

const call = (method, end) => (one) => one.method === method && one.path.endsWith(end);
const migrates = (file) => (one) => one.sql?.includes('INSERT INTO d1_migrations') === true && one.sql.includes(file);
const shown = (text) => /shown this once: (sk-ob-\S+)/.exec(text)?.[1];

describe('on a fresh account, killed after', { concurrency: 2 }, () => {
  const points = {
    'the database was made': call('POST', '/d1/database'),
    'the gateway was made': call('POST', '/ai-gateway/gateways'),
    'the first migration': migrates('0001_schema.sql'),
    'the upload': call('PUT', '/scripts/one-balance'),
    'it got its cron trigger': call('PUT', '/schedules'),
  };
  for (const [title, matches] of Object.entries(points)) {
    test(title, async () => {
      const isFresh = !/upload|cron/.test(title);
      const { account, clone, deploy } = isFresh ? world() : await migrated(world());
      const first = await killedAfter(account, deploy, matches);
      const second = await succeeds(deploy());
      assert.deepEqual([account.databases.size, account.gateways.size, account.scripts.size], [1, 1, 1]);
      const made = bindings(account);
      assert.equal(made.DB.id, database(account).id);
      assert.ok((await cloudflare.tables(database(account))).includes('provider_keys'));
      const applied = (await cloudflare.rows(database(account), 'SELECT name FROM d1_migrations ORDER BY name')).map(({ name }) => name);
      assert.deepEqual(applied, clone.list('migrations'));
      assert.deepEqual(script(account).schedules, ['*/5 * * * *']);
      assert.equal(script(account).subdomain.enabled, true);
      assert.equal(made.AUTH_KEY.text, shown(second) ?? shown(first), 'the token that was shown last is the one that counts');
      const copies = clone.list('backups');
      assert.equal(copies.length, 1);
      assert.ok(clone.read(`backups/${copies[0]}`).includes(`ENCRYPTION_KEY=${made.ENCRYPTION_KEY.text}\n`));
      const left = clone.files('home').filter((name) => name.includes('secrets'));
      assert.deepEqual(left, [], 'no file with secrets stays behind');
    });
  }
});

describe('on an account with the original, killed after', { concurrency: 2 }, () => {
  const points = {
    'the export': (one) => one.path.endsWith('/time_travel/bookmark'),
    'the migration': migrates('0001_schema.sql'),
    'the upload': call('POST', '/scripts/one-balance/versions'),
    'it was put in use': call('POST', '/scripts/one-balance/deployments'),
  };
  for (const [title, matches] of Object.entries(points)) {
    test(title, async () => {
      const { account, clone, deploy } = world();
      const old = await cloudflare.database(account, 'one-balance', ORIGINAL);
      const before = originalWorker(cloudflare, account, old, 'sk-the-tokens-of-old');
      await killedAfter(account, deploy, matches);
      const second = await succeeds(deploy());
      assert.equal((await cloudflare.rows(old, 'SELECT id FROM provider_keys')).length, KEYS);
      assert.equal((await cloudflare.rows(old, 'SELECT 1 FROM coolings')).length, COOLINGS);
      assert.deepEqual([bindings(account).AUTH_KEY.type, bindings(account).AUTH_KEY.text], ['secret_text', 'sk-the-tokens-of-old']);
      const exports = clone.list('backups').filter((name) => name.endsWith('.sql'));
      assert.ok(exports.length > 0);
      for (const name of exports) assert.match(clone.read(`backups/${name}`), /AIzaSyA-of-the-original-1/);
      // What came over is told by the run that finishes the job.
      assert.match(second, /google-ai-studio +1 blocked, 2 ready/);
      // And so is the way back, to the original and its database.
      assert.ok(second.includes(`npx wrangler rollback ${before} `), second);
      const bookmark = /time-travel restore DB --bookmark=(\S+)/.exec(second)?.[1];
      assert.match(old.bookmarks.get(bookmark) ?? '', /model_coolings/);
      assert.equal(script(account).schedules.length, 1);
      if (title === 'it was put in use') assert.doesNotMatch(await succeeds(deploy()), /Taken over/, 'and only by that one');
    });
  }
});
