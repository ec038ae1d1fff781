// The AI Gateway that the Worker sends its requests through.

import { fail } from '../say.mjs';
import { ApiError } from './api.mjs';

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

/** `state`: `found`, `missing`, `unseen` (we may not look), or `elsewhere` (GATEWAY_URL says where). */
export async function lookAtGateway(api, account, vars) {
  if (vars.GATEWAY_URL) return { state: 'elsewhere', name: vars.GATEWAY_URL, authentication: false };
  const name = vars.AI_GATEWAY;
  try {
    const { authentication } = await api.get(`${path(account)}/${encodeURIComponent(name)}`);
    return { state: 'found', name, authentication: authentication === true };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.refused) return { state: 'unseen', name, authentication: false };
    if (error.missing) return { state: 'missing', name, authentication: false };
    return fail(`Cloudflare would not tell about the AI Gateway ${name}: ${error.message}.`);
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
  `Open https://dash.cloudflare.com/${account}/ai/ai-gateway, press "Create Gateway", name it ${name}. (If it is there, all is well.)`;

export const tokenByHand = (account, name) =>
  `Open https://dash.cloudflare.com/${account}/ai/ai-gateway/gateways/${name}/settings, press "Create authentication token" and copy it.`;
