// The repository's wrangler.toml, what it may not contain, and the configuration that is made of it
// for one account. The file itself is never changed.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inRoot, root } from '../paths.mjs';
import { fail } from '../say.mjs';
import { parseToml } from '../toml.mjs';
import { blank } from './options.mjs';

/** What goes up as a secret and never as a plain variable. */
export const SECRETS = ['AUTH_KEY', 'ENCRYPTION_KEY', 'ENCRYPTION_KEY_OLD', 'AI_GATEWAY_TOKEN', 'METRICS_TOKEN', 'WEBHOOK_URL', 'SESSION_SECRET'];

/** Variables whose names other programs use too: they are not taken from the environment. */
const COMMON_NAMES = ['LOG'];

export const DATABASE = 'DB';
export const DEFAULT_NAME = 'one-balance';

const TOML = inRoot('wrangler.toml');

/** wrangler.toml as wrangler itself understands it. */
export async function readToml() {
  const rawConfig = parseToml(readFileSync(TOML, 'utf8')) ?? (await askWrangler());
  const vars = rawConfig.vars ?? {};
  for (const name of SECRETS) {
    if (name in vars) fail(`${name} is a secret, but stands in wrangler.toml as a plain variable: take it out there, set it in the environment and run this again.`);
  }
  const database = (rawConfig.d1_databases ?? []).find(({ binding }) => binding === DATABASE);
  if (!database) fail(`wrangler.toml has no D1 database with the binding ${DATABASE}: restore it with \`git checkout wrangler.toml\`.`);
  return { raw: rawConfig, vars, database };
}

async function askWrangler() {
  const entry = inRoot('node_modules', 'wrangler', 'wrangler-dist', 'cli.js');
  const { default: wrangler } = await import(pathToFileURL(entry).href);
  try {
    return wrangler.experimental_readRawConfig({ config: TOML }).rawConfig;
  } catch (error) {
    return fail(`wrangler.toml cannot be read: ${error.message}`);
  }
}

/** Every variable that wrangler.toml names, in use or commented out. */
export function knownVars() {
  const text = readFileSync(TOML, 'utf8');
  const section = /^\[vars\]\s*$([^]*?)(?=^\[|(?![^]))/m.exec(text)?.[1] ?? '';
  return [...section.matchAll(/^\s*#?\s*([A-Z][A-Z0-9_]*)\s*=/gm)].map((match) => match[1]);
}

/** What the original was deployed with unless somebody chose otherwise: nobody's wish to keep. */
const ORIGINALS_DEFAULTS = { CONSECUTIVE_429_THRESHOLD: '2' };

/** The variables of this deployment: the environment's, else wrangler.toml's. */
export function chooseVars(toml, worker, account) {
  const vars = { ...toml.vars };
  const deployed = worker.vars;
  if (worker.kind === 'original') {
    for (const name of knownVars()) {
      if (deployed[name] && deployed[name] !== ORIGINALS_DEFAULTS[name]) vars[name] ??= deployed[name];
    }
  }
  // What an earlier deployment was told stays, unless wrangler.toml now says something of its own.
  if ((vars.AI_GATEWAY ?? DEFAULT_NAME) === DEFAULT_NAME && deployed.AI_GATEWAY) vars.AI_GATEWAY = deployed.AI_GATEWAY;
  vars.CLOUDFLARE_ACCOUNT_ID ??= account;
  for (const name of knownVars()) {
    const value = blank(process.env[name]);
    if (value !== undefined && name !== 'CLOUDFLARE_ACCOUNT_ID' && !COMMON_NAMES.includes(name)) vars[name] = value;
  }
  for (const [name, value] of Object.entries(vars)) {
    if (typeof value !== 'string') vars[name] = String(value);
  }
  return vars;
}

/** Every secret that .dev.vars.example names, in use or commented out, which is no variable of wrangler.toml. */
export function knownSecrets() {
  const text = readFileSync(inRoot('.dev.vars.example'), 'utf8');
  const named = [...text.matchAll(/^\s*#?\s*([A-Z][A-Z0-9_]*)\s*=/gm)].map((match) => match[1]);
  const vars = [...knownVars(), 'CLOUDFLARE_ACCOUNT_ID'];
  return [...new Set([...SECRETS, ...named])].filter((name) => !vars.includes(name));
}

const FOLDER = ['.wrangler', 'one-balance'];

/** The path of the configuration for a Worker of an account, from the repository's root. */
export const configPath = (account, name) => [...FOLDER, `${name}-${account.slice(0, 8)}.json`].join('/');

/** Writes that configuration. It holds no secret, and later commands (a rollback) use it too. */
export function writeConfig(toml, { account, name, database, vars, keepVars, file }) {
  const { build: _, env: __, ...raw } = toml.raw;
  const config = {
    ...raw,
    name,
    account_id: account,
    main: inRoot(raw.main ?? 'build/index.js'),
    // Variables that were set in the dashboard stay; of the original's, only what was chosen above.
    keep_vars: keepVars,
    vars,
    d1_databases: raw.d1_databases.map((one) =>
      one.binding === DATABASE
        ? {
            ...one,
            database_name: database.name,
            database_id: database.id,
            migrations_dir: inRoot(one.migrations_dir ?? 'migrations'),
          }
        : one,
    ),
  };
  mkdirSync(inRoot(...FOLDER), { recursive: true });
  const path = join(root, file);
  writeFileSync(`${path}.new`, `${JSON.stringify(config, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

// A note beside the configuration, from before the database is changed until all is done: what an
// interrupted run leaves for the one that finishes its work to tell.
const notePath = (config) => join(root, config.replace(/\.json$/, '.unfinished.json'));

export function readNote(config) {
  try {
    return JSON.parse(readFileSync(notePath(config), 'utf8'));
  } catch {
    return undefined;
  }
}

export const writeNote = (config, note) => writeFileSync(notePath(config), JSON.stringify(note));
export const removeNote = (config) => rmSync(notePath(config), { force: true });
