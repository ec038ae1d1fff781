// Wrangler, run so that only what matters is seen; everything it says goes to .wrangler/dev.log.

import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { inRoot, root } from './paths.mjs';
import { HOST } from './port.mjs';
import { keep, mustRun, run } from './run.mjs';
import { say, withoutColour } from './say.mjs';

const LOG = inRoot('.wrangler', 'dev.log');
const SCRIPT = inRoot('node_modules', 'wrangler', 'bin', 'wrangler.js');
const ENV = {
  CI: '1', // asks nothing
  WRANGLER_HIDE_BANNER: 'true', // looks for no newer version, which would need the network
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_LOG_PATH: inRoot('.wrangler', 'logs'),
};

export const wrangler = (args, sentence) =>
  mustRun(process.execPath, [SCRIPT, ...args], { env: ENV }, sentence);

/** Runs a wrangler command to its end, whatever comes of it. */
export const wranglerResult = (args) => run(process.execPath, [SCRIPT, ...args], { env: ENV });

/** What a wrangler command prints on its standard output; empty when it fails. */
export async function wranglerOutput(args) {
  const { ok, output } = await wranglerResult(args);
  return ok ? output.join('\n') : '';
}

/** A wrangler command that talks to whoever sits at the terminal. */
export const wranglerOnTerminal = (args) =>
  new Promise((resolve) => {
    const { CI: _, ...env } = { ...process.env, ...ENV };
    const child = spawn(process.execPath, [SCRIPT, ...args], { cwd: root, env, stdio: 'inherit' });
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });

export function wranglerDev({ port, vars }) {
  mkdirSync(inRoot('.wrangler'), { recursive: true });
  const log = createWriteStream(LOG);
  const shown = filter(say);
  const args = ['dev', '--local', '--ip', HOST, '--port', String(port), '--inspector-port', '0'];
  for (const [name, value] of Object.entries(vars)) args.push('--var', `${name}:${value}`);
  return keep(process.execPath, [SCRIPT, ...args], {
    env: ENV,
    onLine: (line) => {
      log.write(`${line}\n`);
      shown(line);
    },
  });
}

// Messages that say nothing here, with the indented lines and stack traces that follow them.
const MUTED = [
  /Request\.cf/, // needs the network; a default is used
  /AI bindings always access remote/,
  /Scheduled Workers are not automatically/, // scripts/start.mjs does it
  /Your Worker has access to/,
  /Error: Command failed with exit code/, // the build's own output came before it
];
const BUILD_FAILED = /Running custom build .* failed/;
const CHATTER = [
  /^\s*$/,
  /wrangler \d+\.\d+/,
  /^─+$/,
  /Logs were written to/,
  /^Binding\s+Resource/,
  /^env\./,
  /^⎔|^╭|^│|^╰/,
  BUILD_FAILED,
  /^The file .* changed/,
  /^\[wrangler:info\]/,
  /^Using (secrets|vars) defined in/,
  /^\[custom build\]\s*(Running:.*|The Worker in build\/ is up to date\.)?$/,
];

/** Passes on what the Worker prints, errors, and the progress of a rebuild. */
export function filter(show) {
  let muted = false;
  return (line) => {
    const plain = withoutColour(line);
    if (MUTED.some((pattern) => pattern.test(plain))) muted = true;
    else if (!/^(\s|Error: |$)/.test(plain)) muted = false;
    if (BUILD_FAILED.test(plain)) show('Requests wait until the Worker can be built again.');
    if (muted || CHATTER.some((pattern) => pattern.test(plain))) return;
    show(line.replace('[custom build] ', ''));
  };
}
