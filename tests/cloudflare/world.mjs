// An account, a token for it, and a clone to deploy from; many of them share one fake.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { after } from 'node:test';
import { migrationFiles } from '../harness.mjs';
import { Clone } from './clone.mjs';
import { FakeCloudflare, active } from './fake.mjs';

const MIGRATED = `CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL);
${migrationFiles().map((file) => `${readFileSync(file, 'utf8')}\n;INSERT INTO d1_migrations (name) VALUES ('${basename(file)}');`).join('\n')}`;

/** The fake of a test file; it ends with the file, and must not have been asked anything strange. */
export async function startCloudflare() {
  const cloudflare = await FakeCloudflare.start();
  const clones = [];
  after(async () => {
    for (const clone of clones) clone.remove();
    await cloudflare.stop();
    assert.deepEqual(cloudflare.strange, [], 'calls that the real Cloudflare may not know either');
  });
  const world = ({ lacks, active: alive, ...options } = {}) => {
    const account = cloudflare.account('Mine', options);
    const token = cloudflare.token({ accounts: [account.id], lacks, active: alive });
    const clone = new Clone(cloudflare);
    clones.push(clone);
    const env = { CLOUDFLARE_API_TOKEN: token, WORKER_URL: clone.workerUrl(account) };
    const deploy = ({ args, onStart, ...more } = {}) => clone.deploy({ env: { ...env, ...more }, args: ['--prebuilt', ...(args ?? [])], onStart });
    return { account, clone, env, deploy };
  };
  /** With its database made and migrated: where a test is about something else, that is quicker. */
  const migrated = async (made) => {
    await cloudflare.database(made.account, 'one-balance', MIGRATED);
    return made;
  };
  return { cloudflare, world, migrated };
}

/** Runs it, and expects that it goes well. */
export async function succeeds(run) {
  const result = await run;
  assert.equal(result.code, 0, result.text);
  return result.text;
}

/** Runs it, and expects that it ends with a sentence that has all these words. */
export async function fails(run, ...words) {
  const result = await run;
  assert.equal(result.code, 1, result.text);
  for (const word of words) assert.ok(word instanceof RegExp ? word.test(result.text) : result.text.includes(word), `${word} in:\n${result.text}`);
  assert.doesNotMatch(result.text, /should not have happened|at .*\.mjs:\d+/);
  return result.text;
}

export const script = (account, name = 'one-balance') => account.scripts.get(name);
export const bindings = (account, name) => Object.fromEntries(active(script(account, name)).bindings.map((one) => [one.name, one]));
export const database = (account, name = 'one-balance') => [...account.databases.values()].find((one) => one.name === name);

/** What changed something in an account. */
export const changesOf = (cloudflare, account) => cloudflare.changes.filter(({ path }) => path.includes(account.id)).map(({ method, path }) => `${method} ${path}`);
