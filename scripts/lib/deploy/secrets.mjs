// Which secrets go up: made, given, taken over, kept. Deployed ones can be seen by name only, so a
// fingerprint of the encryption key is deployed beside it as a plain variable.

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { inRoot } from '../paths.mjs';
import { fail } from '../say.mjs';
import { askHidden, canAsk } from './ask.mjs';
import { BACKUPS } from './database.mjs';
import { tokenByHand } from './gateway.mjs';
import { knownSecrets } from './settings.mjs';
import { blank } from './options.mjs';

const KEY_BYTES = 32;
export const FINGERPRINT = 'ENCRYPTION_KEY_ID';
/** What the original's template has in place of a token: known to everyone. */
const PLACEHOLDERS = ['my-auth-key', 'sk-ob-change-me-to-something-long-and-random'];

/**
 * `upload`: what goes up; `vars`: the fingerprint; `lines`: what the plan says; `left`: what remains
 * for the reader; `newToken`: to be shown once; `copy`: to be written before anything goes up.
 */
export async function chooseSecrets(context) {
  const chosen = { upload: {}, vars: {}, lines: [], left: [], newToken: undefined, copy: undefined };
  authKey(chosen, context);
  encryptionKey(chosen, context);
  await gatewayToken(chosen, context);
  for (const name of knownSecrets()) {
    if (['AUTH_KEY', 'ENCRYPTION_KEY', 'ENCRYPTION_KEY_OLD', 'AI_GATEWAY_TOKEN'].includes(name)) continue; // above
    const value = blank(process.env[name]);
    if (value) put(chosen, name, value, 'as given');
    else if (context.worker.secrets.includes(name)) chosen.lines.push(`${name}: kept`);
  }
  return chosen;
}

function put(chosen, name, value, how) {
  chosen.upload[name] = value;
  chosen.lines.push(`${name}: ${how}`);
}

// === AUTH_KEY ===

function authKey(chosen, { worker, options }) {
  const given = blank(process.env.AUTH_KEY);
  const old = blank(worker.vars.AUTH_KEY);
  if (given) {
    if (PLACEHOLDERS.includes(given)) fail(`AUTH_KEY is the example everyone knows: choose a long random one, or leave it out and one is made.`);
    return put(chosen, 'AUTH_KEY', given, worker.secrets.includes('AUTH_KEY') || old ? 'replaced by the given one' : 'as given');
  }
  if (worker.secrets.includes('AUTH_KEY')) return chosen.lines.push('AUTH_KEY: kept');
  if (old && !PLACEHOLDERS.includes(old)) {
    chosen.left.push('The original showed AUTH_KEY to everyone who can open your dashboard. It stays valid; to change it, set AUTH_KEY and run this again.');
    return put(chosen, 'AUTH_KEY', old, 'taken over, from now on as a secret');
  }
  if (options.builder) {
    chosen.left.push('There is no AUTH_KEY yet, so every request is refused: in the dashboard, in the Worker\'s settings, add a secret AUTH_KEY with a long random text.');
    return chosen.lines.push('AUTH_KEY: missing');
  }
  if (options.ci) {
    fail('There is no AUTH_KEY, and one that is made here would stand in the log of this run: set the secret AUTH_KEY for it, to a long random text.');
  }
  chosen.newToken = `sk-ob-${randomBytes(32).toString('base64url')}`;
  return put(chosen, 'AUTH_KEY', chosen.newToken, 'made, and shown once');
}

// === ENCRYPTION_KEY ===

export const copyPath = (account, name) => `${BACKUPS}/ENCRYPTION_KEY-${name}-${account.slice(0, 8)}.env`;

function encryptionKey(chosen, context) {
  const { worker, database, account, name, options } = context;
  const path = copyPath(account, name);
  const copy = readCopy(path);
  const given = givenKeys();
  const deployed = worker.vars[FINGERPRINT];
  const isThere = worker.secrets.includes('ENCRYPTION_KEY');
  const sealed = Object.values(database.sealed).reduce((sum, keys) => sum + keys, 0);
  /** Whether a value opens all that is sealed, and what the deployed one is sealing now. */
  const opens = (value) =>
    [...Object.keys(database.sealed), ...(deployed ? [deployed.split('+')[0]] : [])].every((id) => idsOf(value).includes(id));
  const use = (value, how) => {
    put(chosen, 'ENCRYPTION_KEY', value, how);
    chosen.vars[FINGERPRINT] = idsOf(value).join('+');
    if (value !== copy && !options.ci) chosen.copy = { path, value };
  };

  if (given) {
    if (isThere && !deployed && sealed === 0 && given !== copy) {
      fail('The Worker already has an ENCRYPTION_KEY, and nobody can see whether it is this one: leave ENCRYPTION_KEY out to keep it.');
    }
    if (!opens(given)) {
      fail('ENCRYPTION_KEY is another one than the keys in the database are sealed with: they could not be opened any more, so nothing was changed. To change it, give both, the new one first: ENCRYPTION_KEY="NEW,OLD".');
    }
    if (isThere && idsOf(given).join('+') === deployed) return chosen.lines.push('ENCRYPTION_KEY: kept');
    return use(given, 'as given');
  }
  if (isThere) {
    if (!copy) chosen.left.push('There is no copy of the ENCRYPTION_KEY on this machine: make sure that you have one somewhere.');
    else if (!opens(copy)) chosen.left.push(`The ENCRYPTION_KEY in ${path} is not the deployed one: make sure that you have that one somewhere.`);
    return chosen.lines.push('ENCRYPTION_KEY: kept');
  }
  if (copy) {
    if (!opens(copy)) {
      fail(`The Worker has lost its ENCRYPTION_KEY, and the copy in ${path} is another one: keys that were sealed could not be opened, so nothing was changed. Give the right one: set ENCRYPTION_KEY and run this again.`);
    }
    return use(copy, `put back from ${path}`);
  }
  if (deployed || sealed > 0) {
    fail(`${sealed > 0 ? `The database holds ${sealed} sealed keys, but the` : 'The'} Worker has no ENCRYPTION_KEY, and there is no copy in ${BACKUPS}/: nothing was changed. Set ENCRYPTION_KEY to the one they were sealed with, and run this again.`);
  }
  if (options.ci) {
    chosen.left.push(`Keys are stored unsealed: an ENCRYPTION_KEY is not made here, where its copy would be lost. Make one on your machine (\`npm run deploy\`), or set the secret ENCRYPTION_KEY to ${KEY_BYTES} random bytes in base64.`);
    return chosen.lines.push('ENCRYPTION_KEY: none');
  }
  return use(randomBytes(KEY_BYTES).toString('base64'), `made; a copy is in ${path}`);
}

/** What the environment gives; an old one that is to open only goes behind the one that seals. */
function givenKeys() {
  const current = blank(process.env.ENCRYPTION_KEY);
  const old = blank(process.env.ENCRYPTION_KEY_OLD);
  if (!current) return old && fail('ENCRYPTION_KEY_OLD is set, but ENCRYPTION_KEY is not: set both.');
  requireKeys(current, 'ENCRYPTION_KEY');
  if (old) requireKeys(old, 'ENCRYPTION_KEY_OLD');
  return old ? `${current},${old}` : current;
}

/** One key, or two while the first replaces the second. */
const keysOf = (value) => value.split(/[\s,;]+/).filter(Boolean);

function requireKeys(value, where) {
  for (const key of keysOf(value)) {
    if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(key)) {
      fail(`${where} must be ${KEY_BYTES} random bytes in base64, 44 characters: leave it out and one is made.`);
    }
  }
}

/** The ids of keys, as src/balance/seal.rs has them: they tell what seals, and not the keys themselves. */
const idsOf = (value) =>
  keysOf(value).map((key) =>
    createHash('sha256').update('one-balance sealing key\n').update(Buffer.from(key, 'base64')).digest('hex').slice(0, 8),
  );

function readCopy(path) {
  if (!existsSync(inRoot(path))) return undefined;
  const value = blank(/^ENCRYPTION_KEY=(.*)$/m.exec(readFileSync(inRoot(path), 'utf8'))?.[1]);
  if (!value) fail(`${path} holds no ENCRYPTION_KEY: put the copy back, or move the file away if nothing was sealed yet.`);
  requireKeys(value, `The ENCRYPTION_KEY in ${path}`);
  return value;
}

/** Written before the key goes up: a key that is in use is never only there. */
export function writeCopy({ path, value }, { name, account }) {
  mkdirSync(inRoot(BACKUPS), { recursive: true, mode: 0o700 });
  const file = inRoot(path);
  if (existsSync(file)) renameSync(file, `${file}.${Date.now()}.old`);
  const text = `# What the provider keys of the Worker ${name} (account ${account}) are sealed with. Nobody can open
# them without it. Keep this file somewhere safe, away from the database.
ENCRYPTION_KEY=${value}
`;
  writeFileSync(`${file}.part`, text, { mode: 0o600 });
  renameSync(`${file}.part`, file);
}

// === AI_GATEWAY_TOKEN ===

async function gatewayToken(chosen, { worker, gateway, account, options }) {
  const given = blank(process.env.AI_GATEWAY_TOKEN);
  if (given) return put(chosen, 'AI_GATEWAY_TOKEN', given, 'as given');
  if (worker.secrets.includes('AI_GATEWAY_TOKEN')) return chosen.lines.push('AI_GATEWAY_TOKEN: kept');
  if (!gateway.authentication) return undefined;
  const why = `The AI Gateway ${gateway.name} demands authentication, so the Worker needs its token. ${tokenByHand(account, gateway.name)}`;
  if (options.builder || options.dryRun) {
    chosen.left.push(`${why} ${options.builder ? 'Add it to the Worker as the secret AI_GATEWAY_TOKEN.' : 'Set AI_GATEWAY_TOKEN to it.'}`);
    return chosen.lines.push('AI_GATEWAY_TOKEN: missing');
  }
  const token = canAsk(options) ? await askHidden(`${why}\nPaste it here (it is not shown): `) : '';
  if (!token) fail(`${why} Then set AI_GATEWAY_TOKEN to it, and run this again.`);
  return put(chosen, 'AI_GATEWAY_TOKEN', token, 'as given');
}
