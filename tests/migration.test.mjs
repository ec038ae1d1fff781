// Taking over a database of the TypeScript original, and making a new one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { attemptsOf, eventually, migrationFiles, root, startWorld, statements } from './harness.mjs';

// The schema that the original's migrations leave behind.
const ORIGINAL = `
CREATE TABLE \`custom_providers\` (
	\`id\` text PRIMARY KEY NOT NULL, \`name\` text NOT NULL, \`base_url\` text NOT NULL,
	\`created_at\` integer DEFAULT (strftime('%s', 'now')) NOT NULL,
	\`updated_at\` integer DEFAULT (strftime('%s', 'now')) NOT NULL
);
CREATE UNIQUE INDEX \`name_unq_idx\` ON \`custom_providers\` (\`name\`);
CREATE TABLE \`keys\` (
	\`id\` text PRIMARY KEY NOT NULL,
	\`key\` text NOT NULL,
	\`provider\` text NOT NULL,
	\`model_coolings\` text,
	\`total_cooling_seconds\` integer DEFAULT 0 NOT NULL,
	\`status\` text DEFAULT 'active' NOT NULL,
	\`remark\` text,
	\`created_at\` integer DEFAULT (strftime('%s', 'now')) NOT NULL,
	\`updated_at\` integer DEFAULT (strftime('%s', 'now')) NOT NULL
);
CREATE UNIQUE INDEX \`provider_key_unq_idx\` ON \`keys\` (\`provider\`,\`key\`);
CREATE INDEX \`provider_status_created_at_idx\` ON \`keys\` (\`provider\`,\`status\`,\`created_at\`);
CREATE INDEX \`total_cooling_seconds_idx\` ON \`keys\` (\`total_cooling_seconds\`);
`;

const now = Math.floor(Date.now() / 1000);
const HOUR = 3600;
const cooling = (end_at, total_seconds) => ({ end_at, total_seconds });

// key, provider, model_coolings (text as stored), total, status, remark, created
const ROWS = [
  ['AIzaSyA-plain-0000000000000000000001', 'google-ai-studio', null, 0, 'active', null, now - 500],
  ['AIzaSyA-empty-0000000000000000000002', 'google-ai-studio', '{}', 0, 'active', '', now - 490],
  ['AIzaSyA-nulls-0000000000000000000003', 'google-ai-studio', 'null', 0, 'active', 'a remark', now - 480],
  ['AIzaSyA-cools-0000000000000000000004', 'google-ai-studio', JSON.stringify({ 'gemini-2.5-pro': cooling(now + 2 * HOUR, 4321), 'gemini-2.5-flash': cooling(now - HOUR, 65) }), 4386, 'active', 'Füße 🗝️ 日本', now - 470],
  ['AIzaSyA-names-0000000000000000000005', 'google-ai-studio', JSON.stringify({ 'we"ird': cooling(now + HOUR, 1), "o'clock": cooling(now + HOUR, 2), 'a.b.c': cooling(now + HOUR, 3), $: cooling(now + HOUR, 4), '$.x[0]': cooling(now + HOUR, 5), 'tuned/модель': cooling(now + HOUR, 6), 'per%cent & <b>': cooling(now + HOUR, 7) }), 28, 'active', '<script>', now - 460],
  ['AIzaSyA-minus-0000000000000000000006', 'google-ai-studio', JSON.stringify({ 'gemini-2.5-pro': cooling(now - 3, -3), 'gemini-2.5-flash': cooling(now + 60, -3599) }), -3602, 'active', null, now - 450],
  ['AIzaSyA-block-0000000000000000000007', 'google-ai-studio', JSON.stringify({ 'gemini-2.5-pro': cooling(now + HOUR, 100) }), 100, 'blocked', 'was good', now - 440],
  ['AIzaSyA-broke-0000000000000000000008', 'google-ai-studio', '{"gemini-2.5-pro":{"end_at":17', 0, 'active', 'broken JSON', now - 430],
  ['AIzaSyA-array-0000000000000000000009', 'google-ai-studio', '[1,2]', 0, 'active', 'an array', now - 420],
  ['AIzaSyA-wrong-0000000000000000000010', 'google-ai-studio', '{"a":1,"b":null,"c":"x","d":{"total_seconds":5},"e":{"end_at":"soon","total_seconds":"many"}}', 0, 'active', 'wrong shapes', now - 410],
  ['AIzaSyA-float-0000000000000000000011', 'google-ai-studio', JSON.stringify({ 'gemini-2.5-pro': cooling(now + HOUR + 0.5, 64.7) }), 64, 'active', 'fractions', now - 400],
  ['sk-proj-same-text-for-two-providers', 'openai', null, 0, 'active', null, now - 390],
  ['sk-proj-same-text-for-two-providers', 'groq', null, 0, 'active', null, now - 380],
  ['sk-or-v1-0123456789abcdef', 'openrouter', JSON.stringify({ 'deepseek/deepseek-r1:free': cooling(now + HOUR, 3600) }), 3600, 'active', 'slashes', now - 370],
  ['short', 'groq', null, 0, 'active', 'a short one', now - 360],
  ['xi-blocked-0123456789', 'elevenlabs', null, 0, 'blocked', null, now - 350],
];

const quote = (value) => (value === null ? 'NULL' : typeof value === 'number' ? String(value) : `'${value.replaceAll("'", "''")}'`);
const inserts = ROWS.map(
  ([key, provider, coolings, total, status, remark, created], index) =>
    `INSERT INTO keys (id, key, provider, model_coolings, total_cooling_seconds, status, remark, created_at, updated_at) VALUES (${[`id-${index}`, key, provider, coolings, total, status, remark, created, created].map(quote).join(', ')});`,
).join('\n');

/** What a row must be found as. */
function expected([, provider, coolings, , status, remark, created]) {
  let models = {};
  try {
    models = Object.entries(JSON.parse(coolings ?? '{}') ?? {}).filter(([, value]) => Number.isFinite(value?.end_at));
  } catch {
    models = [];
  }
  return { provider, blocked: status === 'blocked', remark: remark ?? '', created: created * 1000, models: [...models] };
}

describe('a database of the original', async () => {
  const world = await startWorld({ migrations: false });
  await world.run(`${ORIGINAL}\n${inserts}`);
  await world.migrate();
  afterEach(() => world.assertClean());

  /** A key as the admin API knows it, by its row of the original. */
  const found = async ([key, provider]) => {
    const [{ id }] = await world.query('SELECT id FROM provider_keys WHERE secret = ?1 AND provider = ?2', key, provider);
    return (await world.main.manage('GET', `keys/${id}`)).key;
  };

  test('every key is there, once, with its provider, remark, age and state', async () => {
    const keys = await world.main.list();
    assert.equal(keys.length, ROWS.length);
    const secrets = await world.query('SELECT id, provider, secret FROM provider_keys');
    for (const row of ROWS) {
      const same = secrets.filter(({ provider, secret }) => secret === row[0] && provider === row[1]);
      assert.equal(same.length, 1, row[0]);
      const known = keys.find(({ id }) => id === same[0].id);
      const wanted = expected(row);
      assert.equal(known.remark, wanted.remark);
      assert.equal(known.created_at, wanted.created);
      assert.equal(known.state === 'blocked', wanted.blocked, row[0]);
      assert.notEqual(known.state, 'disabled');
      assert.ok(!known.hint.includes(row[0]), 'the hint is not the key');
    }
  });

  test('every cooling is there, with its end and its total, whatever the model is called', async () => {
    for (const row of ROWS) {
      const key = await found(row);
      for (const [model, { end_at, total_seconds }] of expected(row).models) {
        if (end_at * 1000 <= Date.now() && !key.coolings.some((one) => one.model === model)) continue; // over
        const kept = key.coolings.find((one) => one.model === model);
        assert.ok(kept, `${row[0]}: ${model} in ${JSON.stringify(key.coolings)}`);
        assert.equal(kept.until, Math.floor(end_at) * 1000);
        assert.equal(kept.total_seconds, Math.max(0, Math.floor(total_seconds)));
      }
      const running = expected(row).models.filter(([, { end_at }]) => end_at > Date.now() / 1000 + 30);
      if (!expected(row).blocked) assert.equal(key.state === 'cooling', running.length > 0, `${row[0]}: ${key.state}`);
      assert.ok(key.cooled_seconds >= 0, 'what the original counted backwards does not go on');
    }
    const cools = await found(ROWS[3]);
    assert.equal(cools.cooled_seconds, 4386, 'the total of all models');
    assert.equal(cools.coolings.find(({ model }) => model === 'gemini-2.5-flash')?.total_seconds, 65, 'also of one that is over');
  });

  test('entries of coolings that mean nothing stop nothing', async () => {
    for (const index of [7, 8, 9]) {
      const known = await found(ROWS[index]);
      assert.equal(known.state, 'ready', `${ROWS[index][5]}: ${JSON.stringify(known)}`);
    }
  });

  test('a blocked key is marked as uncertain: the original blocked on any 401 and 403', async () => {
    const known = await found(ROWS[6]);
    assert.deepEqual([known.state, known.certain], ['blocked', false]);
  });

  test('a key that was taken over is found by its whole text', async () => {
    for (const row of [ROWS[3], ROWS[13]]) assert.equal((await world.main.find(row[0])).remark, row[5]);
  });

  test('the keys serve: one that cools is left alone for that model, a blocked one for all', async () => {
    await world.sim.keys(ROWS.map(([key, provider]) => ({ provider, key })));
    const good = ROWS.filter(([, provider, , , status]) => provider === 'google-ai-studio' && status === 'active').map(([key]) => key);
    for (let request = 0; request < 2 * good.length; request += 1) {
      const answer = await world.main.ask('google-ai-studio', 'gemini-2.5-pro');
      assert.equal(answer.status, 200, answer.text);
      assert.equal(attemptsOf(answer), 1);
    }
    const used = new Set((await world.sim.requests({ model: 'gemini-2.5-pro' })).map(({ key }) => key));
    const cools = [ROWS[3][0], ROWS[10][0]];
    assert.deepEqual([...used].sort(), good.filter((key) => !cools.includes(key)).sort());
    await world.sim.reset();
  });

  test('a key that was taken over is a duplicate when it is pasted again, by its state', async () => {
    const paste = [ROWS[0][0], ROWS[6][0], ROWS[4][0], 'AIzaSyA-new-one-000000000000000000001'];
    const added = await world.main.addKeys('google-ai-studio', paste);
    assert.equal(added.added_count, 1, JSON.stringify(added));
    assert.deepEqual(added.duplicates.slice(0, 2).map(({ line, state }) => [line, state]), [[1, 'ready'], [2, 'blocked']]);
    assert.equal(added.duplicates[2].line, 3);
    assert.equal((await world.main.manage('GET', 'keys')).total, ROWS.length + 1);
    const [{ n }] = await world.query("SELECT count(*) AS n FROM provider_keys WHERE digest IS NULL AND state <> 'deleted'");
    assert.equal(n, 0, 'digests are filled in');
  });

  test('nothing of the old table is left behind, and other tables are not touched', async () => {
    const tables = (await world.query("SELECT name FROM sqlite_master WHERE type = 'table'")).map(({ name }) => name);
    assert.ok(!tables.includes('keys'), tables.join());
    assert.ok(tables.includes('custom_providers'), tables.join());
  });
});

describe('many keys of the original', async () => {
  const world = await startWorld({ migrations: false });
  afterEach(() => world.assertClean());

  test('three thousand are taken over, found by their text, and none is added twice', async () => {
    await world.run(ORIGINAL);
    const text = (index) => `AIzaSyB-${String(index).padStart(28, '0')}`;
    await world.query(
      "INSERT INTO keys (id, key, provider, model_coolings, created_at, updated_at) WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999) SELECT 'id-' || i, 'AIzaSyB-' || printf('%028d', i), 'google-ai-studio', json_object('gemini-2.5-pro', json_object('end_at', ?1, 'total_seconds', i)), ?2, ?2 FROM n",
      now + HOUR, now - HOUR,
    );
    await world.migrate();
    assert.equal((await world.main.manage('GET', 'keys?per_page=1')).total, 3000);
    const added = await world.main.addKeys('google-ai-studio', [text(0), text(1499), text(2999), text(3000)]);
    assert.equal(added.added_count, 1, JSON.stringify(added).slice(0, 300));
    const last = await world.main.find(text(2999));
    assert.deepEqual([last.cooled_seconds, last.coolings[0].until], [2999, (now + HOUR) * 1000]);
  });

  test('the cron trigger fills in digests by itself', async () => {
    await world.query('UPDATE provider_keys SET digest = NULL WHERE id % 7 = 0');
    await eventually(async () => {
      await world.main.cron();
      const [{ n }] = await world.query('SELECT count(*) AS n FROM provider_keys WHERE digest IS NULL');
      assert.equal(n, 0);
    });
  });
});

describe('a new database', async () => {
  const world = await startWorld();
  afterEach(() => world.assertClean());

  test('is empty and works', async () => {
    assert.equal((await world.main.manage('GET', 'keys')).total, 0);
    assert.equal((await world.main.api('openai/models')).status, 503);
    await world.keys('openai', 1);
    assert.equal((await world.main.ask('openai', 'gpt-5-mini')).status, 200);
  });

  test('has the same schema as one that was taken over', async () => {
    const other = await startWorld({ migrations: false });
    await other.run(ORIGINAL);
    await other.migrate();
    const schema = async (one) =>
      (await one.query("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%custom%' AND name NOT LIKE 'sqlite_%' AND name <> 'name_unq_idx' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name"));
    assert.deepEqual(await schema(other), await schema(world));
  });
});

describe('wrangler', () => {
  const folder = mkdtempSync(join(tmpdir(), 'one-balance-wrangler-'));
  after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const wrangler = (...args) =>
    execFileSync(process.execPath, [join(root, 'node_modules/wrangler/bin/wrangler.js'), ...args, '--local', '--persist-to', folder], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, CI: '1', WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG_PATH: folder, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  test('applies the migrations to a database of the original as the tests do, and only once', () => {
    const script = join(folder, 'original.sql');
    writeFileSync(script, `${statements(ORIGINAL).join(';\n')};\n${inserts}`);
    wrangler('d1', 'execute', 'DB', '--file', script, '--yes');
    wrangler('d1', 'migrations', 'apply', 'DB');
    assert.match(wrangler('d1', 'migrations', 'apply', 'DB'), /No migrations to apply/);
    const [{ results }] = JSON.parse(wrangler('d1', 'execute', 'DB', '--json', '--command', 'SELECT (SELECT count(*) FROM provider_keys) AS keys, (SELECT count(*) FROM coolings) AS coolings'));
    assert.equal(results[0].keys, ROWS.length);
    assert.ok(results[0].coolings >= 10, JSON.stringify(results));
  });

  test('every migration is a file of its own number, and no statement is left half', () => {
    const files = migrationFiles();
    assert.ok(files.length > 0);
    const numbers = files.map((file) => /(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1]);
    assert.deepEqual(numbers, [...new Set(numbers)].sort());
    assert.ok(numbers.every(Boolean), files.join());
    for (const file of files) {
      assert.ok(existsSync(file));
      for (const statement of statements(readFileSync(file, 'utf8'))) assert.match(statement, /^(CREATE|INSERT|UPDATE|DELETE|DROP|ALTER|PRAGMA|WITH)\b/, statement.slice(0, 80));
    }
    assert.deepEqual(readdirSync(join(root, 'migrations')).filter((name) => !name.endsWith('.sql')), []);
  });
});
