// Who deploys: the environment's token, else whoever `wrangler login` signed in; and on which account.

import { wranglerOnTerminal, wranglerOutput } from '../wrangler.mjs';
import { fail } from '../say.mjs';
import { ApiError, PERMISSIONS, TOKENS_PAGE, missingPermission } from './api.mjs';
import { ask, canAsk } from './ask.mjs';
import { blank } from './options.mjs';

const LIST = Object.values(PERMISSIONS).map((permission) => `    ${permission}`).join('\n');

const HOW = `  On your own machine: run \`npx wrangler login\`, which opens a browser, and then this again.
  Without a browser: make a token at ${TOKENS_PAGE} (Create Token, Custom token)
  with these permissions, and set CLOUDFLARE_API_TOKEN to it:
${LIST}`;

/** The headers that sign a request, from the same places that wrangler looks at. */
export async function signIn(options, env = process.env) {
  const token = blank(env.CLOUDFLARE_API_TOKEN) ?? blank(env.CF_API_TOKEN);
  if (token) return { kind: 'token', headers: { authorization: `Bearer ${token}` } };
  const key = blank(env.CLOUDFLARE_API_KEY);
  const email = blank(env.CLOUDFLARE_EMAIL);
  if (key && email) return { kind: 'key', headers: { 'x-auth-key': key, 'x-auth-email': email } };
  const own = await ownToken();
  if (own) return own;
  if (canAsk(options) && /^(y|yes)?$/i.test(await ask('You are not signed in to Cloudflare. Sign in with the browser now? [Y/n] '))) {
    await wranglerOnTerminal(['login']);
    const fresh = await ownToken();
    if (fresh) return fresh;
  }
  return fail(`You are not signed in to Cloudflare.\n${HOW}`);
}

/** The token of whoever `wrangler login` signed in, renewed where that is due; or what wrangler finds in `.env`. */
async function ownToken() {
  const said = parsed(await wranglerOutput(['auth', 'token', '--json']));
  if (said?.type === 'api_key') return { kind: 'key', headers: { 'x-auth-key': said.key, 'x-auth-email': said.email } };
  if (!said?.token) return undefined;
  return { kind: said.type === 'api_token' ? 'token' : 'oauth', headers: { authorization: `Bearer ${said.token}` } };
}

function parsed(text) {
  try {
    return JSON.parse(text.slice(text.indexOf('{')));
  } catch {
    return undefined;
  }
}

/** Fails when the sign-in is no longer good, which Cloudflare says in the same words as a missing permission. */
function notSignedIn(api) {
  if (api.kind === 'oauth') return 'Your sign-in has ended: run `npx wrangler login`, and then this again.';
  return `Cloudflare does not accept ${api.kind === 'token' ? 'CLOUDFLARE_API_TOKEN: it is mistyped, revoked or has expired' : 'CLOUDFLARE_API_KEY with CLOUDFLARE_EMAIL'}.\n${HOW}`;
}

/** The account to deploy to: the one that is set, the only one, or the one that is chosen. */
export async function chooseAccount(api, options, wanted) {
  const set = blank(process.env.CLOUDFLARE_ACCOUNT_ID) ?? wanted;
  if (set) {
    if (!/^[0-9a-f]{32}$/i.test(set)) {
      fail(`CLOUDFLARE_ACCOUNT_ID is ${set}, but an account's id is 32 hexadecimal digits: it stands in the dashboard's address, https://dash.cloudflare.com/ID.`);
    }
    return { id: set, name: undefined };
  }
  const accounts = await listAccounts(api);
  if (accounts.length === 1) return accounts[0];
  const list = accounts.map(({ id, name }, index) => `  ${index + 1}. ${options.ci ? '' : `${name}  `}${id}`).join('\n');
  if (!canAsk(options)) {
    return fail(`You have several accounts: set CLOUDFLARE_ACCOUNT_ID to the id of one of them, and run this again.\n${list}`);
  }
  for (;;) {
    const answer = await ask(`You have several accounts:\n${list}\nWhich one (1 to ${accounts.length})? `);
    const chosen = accounts[Number(answer) - 1] ?? accounts.find(({ id }) => id === answer);
    if (chosen) return chosen;
  }
}

async function listAccounts(api) {
  try {
    const accounts = await api.list('/accounts');
    if (accounts.length > 0) return accounts;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!error.refused && error.status !== 400) throw error;
    if (await isDead(api)) fail(notSignedIn(api));
  }
  // A token for one account alone may not list any.
  return fail(
    `${missingPermission('accounts', 'list your accounts', api)} Or set CLOUDFLARE_ACCOUNT_ID: the account's id stands in the dashboard's address, https://dash.cloudflare.com/ID.`,
  );
}

/** Whether Cloudflare knows this token at all. */
export async function isDead(api) {
  if (api.kind !== 'token') return api.get('/user').then(() => false, (error) => error.refused === true);
  try {
    return (await api.get('/user/tokens/verify')).status !== 'active';
  } catch (error) {
    // A token that belongs to an account, not to a user, is unknown here.
    return error instanceof ApiError && error.codes.includes(1000) ? !(await belongsToAccount(api)) : error.refused === true;
  }
}

async function belongsToAccount(api) {
  const account = blank(process.env.CLOUDFLARE_ACCOUNT_ID);
  const asked = account ? api.get(`/accounts/${account}/tokens/verify`) : api.get('/accounts').then(() => ({ status: 'active' }));
  return asked.then(({ status }) => status === 'active', () => false);
}

/** Before anything is looked at: a dead sign-in is not a missing permission. */
export async function requireAlive(api) {
  if (await isDead(api)) fail(notSignedIn(api));
}
