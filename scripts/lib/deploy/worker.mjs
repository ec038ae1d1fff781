// The Worker that is deployed under our name, if there is one, and whether it is ours to replace.

import { fail } from '../say.mjs';
import { needing } from './api.mjs';
import { DATABASE } from './settings.mjs';

/**
 * What is known of a deployed Worker. `secrets` are names: their values cannot be read. An absent
 * Worker has none of all.
 */
export async function lookAtWorker(api, account, name) {
  const path = `/accounts/${account}/workers/scripts/${name}`;
  const nothing = { exists: false, vars: {}, secrets: [], databaseId: undefined, version: undefined };
  const settings = await needing('workers', 'read Workers', api, () => unlessMissing(() => api.get(`${path}/settings`)));
  if (!settings) return { ...nothing, kind: 'none' };
  const bindings = settings.bindings ?? [];
  const of = (type) => bindings.filter((one) => one.type === type);
  const vars = Object.fromEntries(of('plain_text').map((one) => [one.name, one.text]));
  const databaseId = of('d1').find((one) => one.name === DATABASE)?.id;
  const deployments = await unlessMissing(() => api.get(`${path}/deployments`));
  return {
    exists: true,
    kind: kindOf(vars, databaseId),
    vars,
    secrets: of('secret_text').map((one) => one.name),
    databaseId,
    version: deployments?.deployments?.[0]?.versions?.[0]?.version_id,
  };
}

/** The original keeps its tokens as a plain variable, which One Balance never does. */
function kindOf(vars, databaseId) {
  if (!databaseId || !('AI_GATEWAY' in vars)) return 'foreign';
  return 'AUTH_KEY' in vars ? 'original' : 'ours';
}

async function unlessMissing(work) {
  try {
    return await work();
  } catch (error) {
    if (error.missing) return undefined;
    throw error;
  }
}

/** Refuses to replace what is not One Balance. Cloudflare's builder has itself made what it deploys to. */
export function requireOurs(worker, name, options) {
  if (worker.kind !== 'foreign' || options.builder) return;
  fail(
    `The account already has a Worker named ${name}, and it is not One Balance: nothing was changed. Choose another name: npm run deploy -- --name ${name}-2 (or set WORKER_NAME, which works without the --).`,
  );
}

/** The account's workers.dev subdomain, or undefined when it has none yet. */
export function lookAtSubdomain(api, account) {
  return needing('workers', 'read the workers.dev subdomain', api, async () =>
    (await unlessMissing(() => api.get(`/accounts/${account}/workers/subdomain`)))?.subdomain || undefined,
  );
}

export const registerSubdomain = (api, account, subdomain) =>
  needing('workers', `register the workers.dev subdomain ${subdomain}`, api, () =>
    api.put(`/accounts/${account}/workers/subdomain`, { subdomain }),
  );
