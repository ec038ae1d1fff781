// Runs the Worker on this machine: `npm start`. Installs and builds what is missing first.

import { banner } from './lib/banner.mjs';
import { ensureAuthKey, firstFreeToken } from './lib/devvars.mjs';
import { interrupt, main, stopped } from './lib/main.mjs';
import { HOST, choosePort, requireFree } from './lib/port.mjs';
import { capture, isAlive } from './lib/run.mjs';
import { requireRust } from './lib/rust.mjs';
import { dim, elapsed, fail, say, step } from './lib/say.mjs';
import { buildSimulator, realGateway, startSimulator } from './lib/upstream.mjs';
import { wrangler, wranglerDev } from './lib/wrangler.mjs';
import { build } from './build.mjs';

const READY_MS = 90_000;
const POLL_MS = 150;
const CRON_MS = 5 * 60_000; // as in wrangler.toml

/** The simulator, unless there is a real gateway, and then wrangler; waits until the Worker answers. */
async function startAll(url, port, gateway, simulatorPath) {
  const programs = [];
  let vars = gateway?.vars;
  if (!gateway) {
    const simulator = await startSimulator(simulatorPath);
    vars = { GATEWAY_URL: simulator.url };
    programs.push({ name: 'The gateway simulator', program: simulator.program, log: 'gateway-sim.log' });
  }
  const program = wranglerDev({ port, vars });
  programs.push({ name: 'Wrangler', program, log: 'dev.log' });
  await ready(url, program);
  return programs;
}

async function ready(url, program) {
  const deadline = Date.now() + READY_MS;
  while (program.running() && Date.now() < deadline) {
    if (await answers(`${url}/healthz`)) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  fail('The Worker did not start: see .wrangler/dev.log.');
}

async function answers(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** Locally nothing runs the cron trigger; this does. A failure is in the log. */
const runCron = (url) => fetch(`${url}/cdn-cgi/handler/scheduled`).catch(() => {});

/** Ends with npm, even where it dies without passing its signal on. */
function followParent() {
  if (!process.env.npm_lifecycle_event) return;
  const parent = process.ppid;
  // Between npm and this is a shell, which may outlive npm.
  const npm = Number(capture('ps', ['-o', 'ppid=', '-p', String(parent)])) || parent;
  setInterval(() => {
    if (process.ppid !== parent || !isAlive(npm)) interrupt('SIGTERM');
  }, 1_000).unref();
}

await main(import.meta.url, async (args) => {
  const started = Date.now();
  const port = choosePort(args);
  await requireFree(port);
  requireRust();
  if (ensureAuthKey()) say('Wrote a random AUTH_KEY, your token, into .dev.vars.');
  const gateway = realGateway();

  const [simulatorPath] = await Promise.all([gateway ? undefined : buildSimulator(), build()]);
  await step('Preparing the local database', '', () =>
    wrangler(
      ['d1', 'migrations', 'apply', 'DB', '--local'],
      'The local database could not be prepared: see above. To begin with an empty one, delete .wrangler/state.',
    ),
  );

  const url = `http://${HOST}:${port}`;
  const programs = await step('Starting', '10 seconds', () => startAll(url, port, gateway, simulatorPath));
  say(dim(`Ready after ${elapsed(started)}.`));
  say(banner({ url, token: firstFreeToken(), gateway }));
  followParent();
  const cron = setInterval(() => runCron(url), CRON_MS);

  const dead = await Promise.race(programs.map((one) => one.program.ended.then(() => one)));
  clearInterval(cron);
  if (stopped()) return;
  fail(`${dead.name} ended by itself: see .wrangler/${dead.log}, and run npm start again.`);
});
