// Where the local Worker sends its requests: to a real AI Gateway when one is configured, else to
// the simulator in tools/gateway-sim.

import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { forCargo } from './cargo.mjs';
import { readVar } from './devvars.mjs';
import { exe, inRoot } from './paths.mjs';
import { keep, mustRun } from './run.mjs';
import { fail, step } from './say.mjs';

const CRATE = inRoot('tools', 'gateway-sim');
const NAMES = ['GATEWAY_URL', 'CLOUDFLARE_ACCOUNT_ID'];
const START_MS = 20_000;

/** The real upstream, if any: what is configured where, and what the Worker must be told of it. */
export function realGateway() {
  // Without a gateway: to the providers themselves.
  const upstream = process.env.UPSTREAM || (readVar('UPSTREAM') ?? readToml('UPSTREAM'));
  if (upstream === 'direct') {
    return { name: 'UPSTREAM', value: 'direct', vars: process.env.UPSTREAM ? { UPSTREAM: 'direct' } : {} };
  }
  for (const name of NAMES) {
    // Wrangler reads the two files itself; the environment's variables it does not.
    if (process.env[name]) return { name, value: process.env[name], vars: { [name]: process.env[name] } };
    const value = readVar(name) ?? readToml(name);
    if (value) return { name, value, vars: {} };
  }
  return undefined;
}

const readToml = (name) =>
  new RegExp(`^\\s*${name}\\s*=\\s*"([^"]+)"`, 'm').exec(readFileSync(inRoot('wrangler.toml'), 'utf8'))?.[1];

/** Builds the simulator; resolves to its path. */
export async function buildSimulator() {
  await step('Building the gateway simulator', '1 minute the first time', (progress) =>
    mustRun(
      'cargo',
      ['build', '--release', '--locked', '--manifest-path', join(CRATE, 'Cargo.toml')],
      // Always in its own target folder: the path that is returned depends on it.
      forCargo({ progress, env: { CARGO_TARGET_DIR: join(CRATE, 'target') } }),
      'The gateway simulator could not be built: see above.',
    ),
  );
  return join(CRATE, 'target', 'release', `gateway-sim${exe}`);
}

/** Starts the simulator on a free port; resolves to it and to its address for GATEWAY_URL. */
export async function startSimulator(path) {
  mkdirSync(inRoot('.wrangler'), { recursive: true });
  const log = createWriteStream(inRoot('.wrangler', 'gateway-sim.log'));
  let listening;
  const address = new Promise((resolve) => (listening = resolve));
  const program = keep(path, ['--port', '0', '--open', '--exit-with-stdin'], {
    onLine: (line) => {
      log.write(`${line}\n`);
      const match = /listening on (http:\S+)/.exec(line);
      if (match) listening(match[1]);
    },
  });
  const late = new Promise((resolve) => setTimeout(resolve, START_MS).unref());
  const url = await Promise.race([address, program.ended, late]);
  if (typeof url !== 'string' || !url.startsWith('http')) {
    fail('The gateway simulator did not start: see .wrangler/gateway-sim.log.');
  }
  return { program, url: `${url}/v1/local/one-balance` };
}
