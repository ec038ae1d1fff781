// The D1 database: which one it is, whose tables are in it, what is to be done to it.

import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { inRoot } from '../paths.mjs';
import { fail } from '../say.mjs';
import { needing, wranglerNeeding } from './api.mjs';
import { DATABASE, DEFAULT_NAME } from './settings.mjs';

/** Copies of what must not be lost. Ignored by git. */
export const BACKUPS = 'backups';

/**
 * Finds the database: the one wrangler.toml names by its id, else the one the deployed Worker uses,
 * else by name. `kind` says whose tables it has: `none` (to be created), `empty`, `ours`, `original`.
 */
export async function lookAtDatabase(api, account, { toml, options, worker }) {
  const name = options.database ?? toml.database.database_name ?? DEFAULT_NAME;
  const found = await needing('d1', 'read D1 databases', api, () => find(api, account, name, toml, options, worker));
  if (!found) return { id: undefined, name, kind: 'none', pending: migrationFiles(), keys: 0, sealed: {} };
  return needing('d1', `read the D1 database ${found.name}`, api, () => inspect(api, account, found));
}

async function find(api, account, name, toml, options, worker) {
  const given = toml.database.database_id;
  if (given && !options.database) {
    const database = await byId(api, account, given);
    if (!database) fail(`wrangler.toml names the D1 database ${given}, but the account has none with that id: correct \`database_id\` there, or take it out, and run this again.`);
    return database;
  }
  if (worker.databaseId && worker.kind !== 'foreign' && !options.database) {
    const database = await byId(api, account, worker.databaseId);
    if (database) return database;
  }
  const all = await api.list(`/accounts/${account}/d1/database`, { name });
  const database = all.find((one) => one.name === name);
  return database && { id: database.uuid, name: database.name };
}

async function byId(api, account, id) {
  try {
    const { uuid, name } = await api.get(`/accounts/${account}/d1/database/${id}`);
    return { id: uuid, name };
  } catch (error) {
    if (error.missing) return undefined;
    throw error;
  }
}

async function inspect(api, account, database) {
  const query = asker(api, account, database.id);
  const tables = await query("SELECT name, sql FROM sqlite_master WHERE type = 'table'");
  const has = (name) => tables.some((one) => one.name === name);
  const kind = kindOf(tables, has);
  if (kind === 'foreign') {
    fail(`The D1 database ${database.name} holds something else than One Balance: nothing was changed. Choose another one, which is created when it does not exist: npm run deploy -- --database ${database.name}-2 (or set DATABASE_NAME).`);
  }
  const applied = has('d1_migrations') ? (await query('SELECT name FROM d1_migrations')).map((one) => one.name) : [];
  const [count] = kind === 'empty' ? [] : await query(`SELECT count(*) AS keys FROM ${kind === 'ours' ? "provider_keys WHERE state <> 'deleted'" : 'keys'}`);
  return {
    ...database,
    kind,
    pending: migrationFiles().filter((file) => !applied.includes(file)),
    keys: count?.keys ?? 0,
    sealed: kind === 'ours' ? await countSealed(query) : {},
  };
}

const OWN = /^(_cf_|sqlite_|d1_)/;

function kindOf(tables, has) {
  if (has('provider_keys')) return 'ours';
  if (tables.some((one) => one.name === 'keys' && /model_coolings/.test(one.sql))) return 'original';
  return tables.every((one) => OWN.test(one.name)) ? 'empty' : 'foreign';
}

/** How many keys each sealing key has sealed, by its id: `sealed:1:<id>:...`, see src/balance/seal.rs. */
async function countSealed(query) {
  const rows = await query("SELECT substr(secret, 10, 8) AS id, count(*) AS keys FROM provider_keys WHERE secret LIKE 'sealed:1:%' AND state <> 'deleted' GROUP BY 1");
  return Object.fromEntries(rows.map(({ id, keys }) => [id, keys]));
}

/** Asks a database something; only ever SELECTs. */
const asker = (api, account, id) => async (sql) => {
  const [{ results }] = await api.post(`/accounts/${account}/d1/database/${id}/query`, { sql });
  return results;
};

export const migrationFiles = () =>
  readdirSync(inRoot('migrations')).filter((name) => name.endsWith('.sql')).sort();

export const createDatabase = (api, account, name) =>
  needing('d1', `create the D1 database ${name}`, api, async () => {
    const { uuid } = await api.post(`/accounts/${account}/d1/database`, { name });
    return uuid;
  });

/** Exports the whole database into backups/; resolves to the file. A half export never has its name. */
export async function backUp(api, database, config) {
  mkdirSync(inRoot(BACKUPS), { recursive: true, mode: 0o700 });
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  const file = `${BACKUPS}/${database.name}-${time}.sql`;
  const part = inRoot(`${file}.part`);
  await wranglerNeeding(
    'd1',
    `export the D1 database ${database.name}`,
    api,
    ['d1', 'export', DATABASE, '--remote', '--output', part, '--config', config],
    'The database could not be exported, so it was not changed: see above.',
  );
  if (!existsSync(part)) fail('The database could not be exported, so it was not changed: wrangler wrote no file.');
  chmodSync(part, 0o600); // it holds every key
  renameSync(part, inRoot(file));
  return file;
}

/** Backups of this database that are there already. */
export const backupsOf = (database) =>
  existsSync(inRoot(BACKUPS))
    ? readdirSync(inRoot(BACKUPS)).filter((name) => name.startsWith(`${database.name}-`) && name.endsWith('.sql')).map((name) => join(BACKUPS, name).replaceAll('\\', '/'))
    : [];

/** Where Time Travel finds the database as it is now, or undefined when it cannot say. */
export const bookmarkOf = (api, account, id) =>
  api.get(`/accounts/${account}/d1/database/${id}/time_travel/bookmark`).then(({ bookmark }) => bookmark, () => undefined);

export const migrate = (api, database, config) =>
  wranglerNeeding(
    'd1',
    `migrate the D1 database ${database.name}`,
    api,
    ['d1', 'migrations', 'apply', DATABASE, '--remote', '--config', config],
    'The database could not be migrated: see above. A migration that fails changes nothing; run this again when its cause is gone.',
  );

/** What has come over from the original: keys by provider and state, and running coolings. */
export async function takenOver(api, account, id) {
  const query = asker(api, account, id);
  const keys = await query(
    "SELECT provider, state, count(*) AS keys FROM provider_keys WHERE state <> 'deleted' GROUP BY provider, state ORDER BY provider, state",
  );
  const [{ coolings }] = await query(`SELECT count(*) AS coolings FROM coolings WHERE until > ${Date.now()}`);
  return { keys, coolings };
}
