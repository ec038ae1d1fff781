// What `npm run deploy` says: the plan before, the result and the way back after.

import { bold, dim, say } from '../say.mjs';
import { byHand } from './gateway.mjs';

const WIDTH = 12;
const row = (title, text) => `  ${title.padEnd(WIDTH)}${text}`;
const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

export function sayPlan({ account, name, worker, database, gateway, secrets, vars, subdomain, url }) {
  say();
  say(row('Account', account.name ? `${account.name} ${dim(account.id)}` : account.id));
  say(row('Worker', `${name}: ${WORKER[worker.kind]}`));
  say(row('Database', `${database.name}: ${describeDatabase(database)}`));
  if (database.pending.length > 0) say(row('Migrations', database.pending.join(', ')));
  say(row('AI Gateway', describeGateway(gateway)));
  secrets.lines.forEach((line, index) => say(row(index === 0 ? 'Secrets' : '', line)));
  say(row('Variables', Object.entries(vars).map(([key, value]) => `${key}=${value}`).join(' ')));
  say(row('Address', url ?? (subdomain ? '' : 'the account has no workers.dev subdomain yet')));
  say();
}

const WORKER = {
  none: 'new',
  ours: 'brought up to date',
  original: 'takes the place of the TypeScript One Balance',
  foreign: 'takes the place of what is there',
};

function describeDatabase({ kind, keys }) {
  if (kind === 'none') return 'created';
  if (kind === 'empty') return 'there, and empty';
  if (kind === 'ours') return `there, with ${count(keys, 'key')}`;
  return `of the TypeScript One Balance, with ${count(keys, 'key')}: exported into backups/ first, then taken over`;
}

function describeGateway({ state, name, authentication }) {
  switch (state) {
    case 'found':
      return `${name}: there${authentication ? ', demands authentication' : ''}`;
    case 'missing':
      return `${name}: created`;
    case 'unseen':
      return `${name}: cannot be seen from here`;
    default:
      return name;
  }
}

/** What came over from the original. */
export function sayTakenOver({ keys, coolings }) {
  say();
  say(`  Taken over from the TypeScript One Balance:`);
  const width = Math.max(8, ...keys.map(({ provider }) => provider.length)) + 2;
  for (const provider of new Set(keys.map((one) => one.provider))) {
    const states = keys.filter((one) => one.provider === provider).map(({ state, keys: number }) => `${number} ${state}`);
    say(`    ${provider.padEnd(width)}${states.join(', ')}`);
  }
  if (keys.length === 0) say('    no keys: there were none');
  say(`    ${count(coolings, 'running cooling')}`);
  if (keys.some(({ state }) => state === 'blocked')) {
    say('    Blocked keys are asked about again, 20 every five minutes: the original blocked on any 401 and 403.');
  }
}

/** What is left for the reader when the gateway is not known to be there. */
export function gatewayLeft(account, gateway, created) {
  if (gateway.state === 'missing' && !created) return [`The AI Gateway is still to be made, which this sign-in may not: ${byHand(account.id, gateway.name)}`];
  if (gateway.state === 'unseen') return [`Make sure that there is an AI Gateway: ${byHand(account.id, gateway.name)}`];
  return [];
}

/** Another database than the Worker has used so far is no mistake, but worth a word. */
export const databaseLeft = (worker, database) =>
  worker.databaseId && worker.kind !== 'foreign' && worker.databaseId !== database.id
    ? [`Until now the Worker used another database, ${worker.databaseId}: the keys in it stay there.`]
    : [];

export function sayEnd({ url, answered, left, newToken }) {
  say();
  say(`  ${bold(answered ? 'One Balance is deployed.' : 'One Balance is deployed, but has not answered yet.')}`);
  say();
  say(row('Page', bold(`${url}/`)));
  if (newToken) say(row('Token', 'the AUTH_KEY above; it is not shown again'));
  if (!answered) left = [...left, `${url} could not be reached from here. A new workers.dev address takes a few minutes, and some networks block workers.dev: give the Worker a domain of your own then (dashboard, Settings, Domains & Routes), and set WORKER_URL to it for this script.`];
  say();
  say(left.length > 0 ? '  Left for you:' : '  Next: open the page, sign in with your token, and add keys.');
  for (const text of left) say(`  - ${text}`);
}

/** The commands that undo this deployment: exactly these are run by the tests. */
export function rollbackCommands(config, { version, bookmark }) {
  const commands = [];
  if (version) commands.push(`npx wrangler rollback ${version} --config ${config}`);
  if (bookmark) commands.push(`npx wrangler d1 time-travel restore DB --bookmark=${bookmark} --config ${config}`);
  return commands;
}

export function sayRollback(commands, { bookmark, backup }) {
  if (commands.length === 0) return;
  say();
  say(dim('  To go back to what was there before:'));
  for (const command of commands) say(`    ${command}`);
  if (bookmark) say(dim('  The second one takes the database back too: changes made since are lost.'));
  if (backup) say(dim(`  The database as it was: ${backup}`));
}
