// Puts One Balance on Cloudflare, or brings it up to date: `npm run deploy`. It looks at everything
// before it changes anything, and each step finds out for itself what is already done: so it can be
// interrupted anywhere and run again.

import { randomBytes } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { Api, needing, wranglerNeeding } from './lib/deploy/api.mjs';
import { ask, canAsk } from './lib/deploy/ask.mjs';
import { backUp, backupsOf, bookmarkOf, createDatabase, lookAtDatabase, migrate, takenOver } from './lib/deploy/database.mjs';
import { createGateway, lookAtGateway } from './lib/deploy/gateway.mjs';
import { request } from './lib/deploy/net.mjs';
import { USAGE, blank, readOptions } from './lib/deploy/options.mjs';
import { databaseLeft, gatewayLeft, rollbackCommands, sayEnd, sayPlan, sayRollback, sayTakenOver } from './lib/deploy/report.mjs';
import { chooseSecrets, writeCopy } from './lib/deploy/secrets.mjs';
import { DEFAULT_NAME, chooseVars, configPath, readNote, readToml, removeNote, writeConfig, writeNote } from './lib/deploy/settings.mjs';
import { chooseAccount, requireAlive, signIn } from './lib/deploy/signin.mjs';
import { lookAtSubdomain, lookAtWorker, registerSubdomain, requireOurs } from './lib/deploy/worker.mjs';
import { main } from './lib/main.mjs';
import { npmPackages } from './lib/npm.mjs';
import { inRoot } from './lib/paths.mjs';
import { bold, fail, say, step } from './lib/say.mjs';
import { scratch } from './lib/scratch.mjs';
import { build } from './build.mjs';

const HEALTHY_MS = 90_000;
const POLL_MS = 1_000;

/** Everything that decides what is to be done. Changes nothing. */
async function look(options) {
  const toml = await readToml();
  const api = new Api(await signIn(options));
  await requireAlive(api);
  const account = await chooseAccount(api, options, toml.raw.account_id ?? toml.vars.CLOUDFLARE_ACCOUNT_ID);
  const seen = await step('Looking at what is there', '', () => lookAround(api, account, toml, options));
  const secrets = await chooseSecrets({ ...seen, options, account: account.id });
  return { toml, api, account, secrets, ...seen };
}

async function lookAround(api, account, toml, options) {
  const name = options.name ?? toml.raw.name ?? DEFAULT_NAME;
  const worker = await lookAtWorker(api, account.id, name);
  requireOurs(worker, name, options);
  const subdomain = await lookAtSubdomain(api, account.id);
  const database = await lookAtDatabase(api, account.id, { toml, options, worker });
  const vars = chooseVars(toml, worker, account.id);
  const gateway = await lookAtGateway(api, account.id, vars);
  const url = blank(process.env.WORKER_URL)?.replace(/\/+$/, '') ?? (subdomain && `https://${name}.${subdomain}.workers.dev`);
  return { name, worker, subdomain, database, vars, gateway, url };
}

/** The workers.dev subdomain is part of the address for good, so its name is the reader's choice. */
async function ensureSubdomain(plan, options) {
  if (plan.subdomain) return plan.url;
  let wanted = blank(process.env.WORKERS_SUBDOMAIN);
  if (!wanted && canAsk(options)) {
    wanted = await ask('Your account has no workers.dev subdomain yet. Choose one (letters, digits and -): https://NAME.workers.dev, NAME = ');
  }
  if (!wanted) {
    fail(`The account has no workers.dev subdomain yet: open https://dash.cloudflare.com/${plan.account.id}/workers/onboarding once and choose one, or set WORKERS_SUBDOMAIN to the one you want, and run this again.`);
  }
  const { subdomain } = await registerSubdomain(plan.api, plan.account.id, wanted.toLowerCase());
  return plan.url ?? `https://${plan.name}.${subdomain}.workers.dev`;
}

/** Code, secrets, variables and the cron trigger, in one upload. */
async function upload({ api, secrets }, config) {
  const args = ['deploy', '--config', config];
  // Its owner's alone, and gone as soon as wrangler is done; what a killed run leaves, the next removes.
  const file = scratch('secrets.json');
  try {
    if (Object.keys(secrets.upload).length > 0) {
      writeFileSync(file, JSON.stringify(secrets.upload), { mode: 0o600 });
      args.push('--secrets-file', file);
    }
    await wranglerNeeding('workers', 'upload Workers', api, args, 'The Worker could not be uploaded: see above, and run this again.');
  } finally {
    rmSync(file, { force: true });
  }
}

/** Waits until the Worker answers as this deployment; resolves to whether anything answered at all. */
async function waitHealthy(url, deployment) {
  const deadline = Date.now() + (Number(process.env.DEPLOY_WAIT_SECONDS) * 1_000 || HEALTHY_MS);
  let seen;
  for (;;) {
    const answer = await health(url);
    if (answer?.deployment === deployment && answer.ok) return true;
    if (answer) seen = answer;
    if (Date.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  if (!seen) return false;
  if (seen.deployment === deployment) fail(`The Worker is deployed, but does not reach its database: ${url}/healthz says ${seen.text}.`);
  return fail(`The Worker is deployed, but ${url}/healthz still shows another one: ${seen.text}. Look at the address in the dashboard, and run this again.`);
}

async function health(url) {
  try {
    const response = await request(`${url}/healthz`, { signal: AbortSignal.timeout(10_000), redirect: 'manual' });
    const text = (await response.text()).slice(0, 300);
    let deployment;
    try {
      deployment = JSON.parse(text).deployment;
    } catch {
      // not our Worker's answer
    }
    return { ok: response.status === 200, deployment, text };
  } catch {
    return undefined;
  }
}

async function carryOut(plan, options) {
  const { api, account, name, database, worker, gateway, secrets } = plan;
  const url = await ensureSubdomain(plan, options);
  if (database.kind === 'none') {
    database.id = await step(`Creating the D1 database ${database.name}`, '', () => createDatabase(api, account.id, database.name));
  }
  const created =
    gateway.state === 'missing' &&
    (await step(`Creating the AI Gateway ${gateway.name}`, '', () => createGateway(api, account.id, gateway.name)));

  const config = configPath(account.id, name);
  const deployment = randomBytes(8).toString('hex');
  const vars = { ...plan.vars, ...secrets.vars, DEPLOYMENT: deployment };
  writeConfig(plan.toml, { account: account.id, name, database, vars, keepVars: worker.kind !== 'original', file: config });

  // What a run that was interrupted has noted still holds, but for a database that it did not come to change.
  const note = { version: worker.version, ...(database.kind === 'original' ? {} : readNote(config)) };
  if (database.kind === 'original') {
    note.takesOver = true;
    note.backup = await step('Exporting the database', '', () => backUp(api, database, config));
  }
  if (database.pending.length > 0) {
    if (database.kind === 'ours' || database.kind === 'original') note.bookmark ??= await bookmarkOf(api, account.id, database.id);
    writeNote(config, note);
    await step('Migrating the database', '', () => migrate(api, database, config));
  }
  if (secrets.copy) writeCopy(secrets.copy, { name, account: account.id });
  if (secrets.newToken) {
    // Before it is in use: it is made once, and nobody can read it from the Worker.
    say();
    say(`  Your token (AUTH_KEY), shown this once: ${bold(secrets.newToken)}`);
    say();
  }
  await step('Uploading the Worker', '10 seconds', () => upload(plan, config));
  const answered = await step('Waiting for the Worker to answer', '', () => waitHealthy(url, deployment));

  if (note.takesOver || (worker.kind === 'original' && database.kind === 'ours')) {
    note.backup ??= backupsOf(database).at(-1);
    sayTakenOver(await needing('d1', 'read the database', api, () => takenOver(api, account.id, database.id)));
  }
  sayEnd({ url, answered, left: [...gatewayLeft(account, gateway, created), ...databaseLeft(worker, database), ...secrets.left], newToken: secrets.newToken });
  sayRollback(rollbackCommands(config, note), note);
  removeNote(config);
}

await main(import.meta.url, async (args) => {
  const options = readOptions(args);
  if (options.help) return say(USAGE);
  await npmPackages();
  const plan = await look(options);
  sayPlan(plan);
  if (options.dryRun) {
    for (const text of [...gatewayLeft(plan.account, plan.gateway, true), ...databaseLeft(plan.worker, plan.database), ...plan.secrets.left]) say(`  - ${text}`);
    return say('  This was a dry run: nothing was changed.');
  }
  if (options.prebuilt) {
    if (!existsSync(inRoot('build', 'index.js'))) fail('There is nothing in build/: leave --prebuilt out, or run npm run build first.');
  } else {
    await build();
  }
  return carryOut(plan, options);
});
