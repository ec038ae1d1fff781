// Calls of Cloudflare's API, and what its refusals mean for the reader.

import { giveUp } from '../run.mjs';
import { fail } from '../say.mjs';
import { wranglerResult } from '../wrangler.mjs';
import { request } from './net.mjs';

const BASE = 'https://api.cloudflare.com/client/v4';
const TRIES = 4;
const TIMEOUT_MS = 60_000;
const PER_PAGE = 100;

/** What a token must be allowed to do, as the dashboard names it. */
export const PERMISSIONS = {
  workers: 'Account / Workers Scripts / Edit',
  d1: 'Account / D1 / Edit',
  gateway: 'Account / AI Gateway / Edit',
  accounts: 'Account / Account Settings / Read',
};

export const TOKENS_PAGE = 'https://dash.cloudflare.com/profile/api-tokens';

/** Authentication error, account without access to D1, headers that are no sign-in. */
const REFUSALS = [10000, 7403, 6003, 9106, 9109];
const NO_SUCH_ACCOUNT = 7003;
/** No such Worker (or no subdomain yet), service, database. */
const ABSENCES = [10007, 10090, 7404];

/** An answer that is no success. `codes` are Cloudflare's own. */
export class ApiError extends Error {
  constructor(status, errors, path) {
    const text = errors.map(({ code, message }) => (code ? `${message} (${code})` : message)).join('; ');
    super(text || `Cloudflare answered ${status}`);
    this.status = status;
    this.codes = errors.map(({ code }) => code);
    this.path = path;
  }

  /** Signed in, but not allowed; or not signed in at all: Cloudflare says the same of both. */
  get refused() {
    return this.status === 401 || this.status === 403 || this.codes.some((code) => REFUSALS.includes(code));
  }

  get missing() {
    if (this.codes.includes(NO_SUCH_ACCOUNT)) return false;
    return this.status === 404 || this.codes.some((code) => ABSENCES.includes(code));
  }
}

export class Api {
  constructor(credentials, env = process.env) {
    this.base = (env.CLOUDFLARE_API_BASE_URL || BASE).replace(/\/$/, '');
    this.headers = credentials.headers;
    this.kind = credentials.kind;
  }

  get(path, query) {
    return this.call('GET', path, { query }).then(({ result }) => result);
  }

  post(path, body) {
    return this.call('POST', path, { body }).then(({ result }) => result);
  }

  put(path, body) {
    return this.call('PUT', path, { body }).then(({ result }) => result);
  }

  /** Every entry of a list, page by page. */
  async list(path, query = {}) {
    const all = [];
    for (let page = 1; ; page += 1) {
      const { result, result_info: info } = await this.call('GET', path, { query: { ...query, page, per_page: PER_PAGE } });
      all.push(...result);
      const seen = page * (info?.per_page ?? PER_PAGE);
      if (result.length === 0 || seen >= (info?.total_count ?? seen)) return all;
    }
  }

  /** Reads are tried again when the network or Cloudflare stumbles; a write only when it was not begun. */
  async call(method, path, { query, body } = {}) {
    const url = new URL(this.base + path);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    for (let attempt = 1; ; attempt += 1) {
      const last = attempt === TRIES;
      let response;
      try {
        response = await request(url, {
          method,
          headers: { ...this.headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
          body: body === undefined ? undefined : JSON.stringify(body),
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
      } catch (error) {
        if (method === 'GET' && !last) {
          await pause(attempt);
          continue;
        }
        fail(`${url.host} cannot be reached (${error.cause?.code ?? error.name}): check the network connection (and HTTPS_PROXY, if you are behind a proxy) and run this again.`);
      }
      const again = response.status === 429 || (method === 'GET' && response.status >= 500);
      if (again && !last) {
        await response.arrayBuffer();
        await pause(attempt, Number(response.headers.get('retry-after')));
        continue;
      }
      return read(response, path);
    }
  }
}

async function read(response, path) {
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new ApiError(response.status, [{ message: `Cloudflare answered ${response.status} without JSON` }], path);
  }
  if (!response.ok || answer.success === false) throw new ApiError(response.status, answer.errors ?? [], path);
  return answer;
}

const pause = (attempt, seconds = 0) =>
  new Promise((resolve) => setTimeout(resolve, Math.min(seconds, 30) * 1_000 || 500 * 2 ** (attempt - 1)));

/**
 * Runs `work`; when Cloudflare refuses it for want of a permission, says which one, and what it was
 * wanted for.
 */
export async function needing(permission, what, api, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.refused) fail(missingPermission(permission, what, api));
    fail(`Cloudflare would not ${what}: ${error.message}.`);
  }
}

export function missingPermission(permission, what, api) {
  if (api.kind === 'oauth') {
    return `Your sign-in is not allowed to ${what}: run \`npx wrangler login\` again and allow all it asks for, or ask an administrator of the account for a role with that right.`;
  }
  return `Your CLOUDFLARE_API_TOKEN is not allowed to ${what}. It lacks the permission ${PERMISSIONS[permission]}: add it at ${TOKENS_PAGE} (the token itself stays the same), and run this again.${process.env.CLOUDFLARE_ACCOUNT_ID ? ' Or CLOUDFLARE_ACCOUNT_ID is not the account that the token is for.' : ''}`;
}

/** The same for what wrangler does; of any other failure it shows wrangler's words and `sentence`. */
export async function wranglerNeeding(permission, what, api, args, sentence) {
  const { ok, output } = await wranglerResult(args);
  if (ok) return;
  const refused = REFUSALS.some((code) => output.some((line) => line.includes(`[code: ${code}]`)));
  if (refused) fail(missingPermission(permission, what, api));
  giveUp(output, sentence);
}
