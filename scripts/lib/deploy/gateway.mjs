// The AI Gateway that the Worker sends its requests through.

import { fail } from '../say.mjs';
import { ApiError } from './api.mjs';
import { request } from './net.mjs';

/** As the dashboard makes one: nothing cached, nothing limited, requests in the gateway's own log. */
const NEW = {
  cache_invalidate_on_update: false,
  cache_ttl: 0,
  collect_logs: true,
  rate_limiting_interval: 0,
  rate_limiting_limit: 0,
  rate_limiting_technique: 'fixed',
};

const path = (account) => `/accounts/${account}/ai-gateway/gateways`;

const GATEWAYS = 'https://gateway.ai.cloudflare.com/v1';
/** The gateway's own errors: there is none of that name; it demands authentication. */
const NO_SUCH_GATEWAY = 2001;
const UNAUTHORIZED = 2009;

/**
 * `state`: `found`, `missing`, `elsewhere` (GATEWAY_URL says where), or `unseen` (it cannot be told).
 */
export async function lookAtGateway(api, account, vars) {
  if (vars.GATEWAY_URL) return { state: 'elsewhere', name: vars.GATEWAY_URL, authentication: false };
  const name = vars.AI_GATEWAY;
  try {
    const { authentication } = await api.get(`${path(account)}/${encodeURIComponent(name)}`);
    return { state: 'found', name, authentication: authentication === true };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.refused) return knock(account, name);
    if (error.missing) return { state: 'missing', name, authentication: false };
    return fail(`Cloudflare would not tell about the AI Gateway ${name}: ${error.message}.`);
  }
}

/** What `wrangler login` signs in may not ask the API about gateways; the gateway itself tells anybody. */
async function knock(account, name) {
  const base = process.env.CLOUDFLARE_AI_GATEWAY_BASE_URL || GATEWAYS; // the tests have their own
  try {
    const response = await request(`${base}/${account}/${name}/openai/models`, {
      headers: { 'cf-aig-max-attempts': '1', 'cf-aig-no-wholesale': 'true', 'cf-aig-collect-log': 'false' },
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    const own = response.ok ? undefined : codeOf(text);
    if (own === NO_SUCH_GATEWAY) return { state: 'missing', name, authentication: false };
    return { state: 'found', name, authentication: own === UNAUTHORIZED };
  } catch {
    return { state: 'unseen', name, authentication: false };
  }
}

/** The code of an error of the gateway itself, not of the provider behind it. */
function codeOf(text) {
  try {
    const { success, error } = JSON.parse(text);
    return success === false && Array.isArray(error) ? error[0]?.code : undefined;
  } catch {
    return undefined;
  }
}

/** Resolves to whether it could be created: a sign-in that may not is no reason to stop. */
export async function createGateway(api, account, name) {
  try {
    await api.post(path(account), { id: name, ...NEW });
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.refused) return false;
    return fail(`Cloudflare would not create the AI Gateway ${name}: ${error.message}.`);
  }
}

/** What the reader does where we may not. */
export const byHand = (account, name) =>
  `Open https://dash.cloudflare.com/${account}/ai/ai-gateway, press "Create Gateway" and name it ${name}.`;

export const tokenByHand = (account, name) =>
  `Open https://dash.cloudflare.com/${account}/ai/ai-gateway/gateways/${name}/settings, press "Create authentication token" and copy it.`;
