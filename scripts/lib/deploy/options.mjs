// What the reader asked for: arguments and environment, checked before anything else happens.

import { fail } from '../say.mjs';

export const USAGE = `npm run deploy            puts One Balance on Cloudflare, or brings it up to date
npm run deploy -- OPTIONS

  --dry-run          says what it would do, and does nothing
  --name NAME        the Worker's name (WORKER_NAME); one-balance
  --database NAME    the D1 database's name (DATABASE_NAME); one-balance
  --prebuilt         takes what is in build/ as it is
  --help             this

Read from the environment: CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID; the secrets AUTH_KEY,
AI_GATEWAY_TOKEN and ENCRYPTION_KEY; every variable that wrangler.toml names. See docs/deploy.md.`;

const SWITCHES = { '--dry-run': 'dryRun', '--prebuilt': 'prebuilt', '--help': 'help', '-h': 'help' };
const VALUES = { '--name': 'name', '--database': 'database' };

export function readOptions(args, env = process.env) {
  const options = {
    // `npm run deploy --dry-run`, without the `--` before it, ends up here: npm keeps the option for itself.
    dryRun: isOn(env.npm_config_dry_run) || isOn(env.npm_config_dryrun),
    prebuilt: isOn(env.npm_config_prebuilt),
    help: false,
    name: blank(env.npm_config_name) ?? blank(env.WORKER_NAME) ?? blank(env.WRANGLER_CI_OVERRIDE_NAME),
    database: blank(env.npm_config_database) ?? blank(env.DATABASE_NAME),
    /** Nobody is there to answer a question or to read what must not stay in a log. */
    ci: isOn(env.CI) || isOn(env.WORKERS_CI) || isOn(env.GITHUB_ACTIONS),
    /** Cloudflare's own builder, which a deploy button starts. */
    builder: isOn(env.WORKERS_CI),
  };
  for (let at = 0; at < args.length; at += 1) {
    const [name, given] = split(args[at]);
    if (name in SWITCHES && given === undefined) {
      options[SWITCHES[name]] = true;
    } else if (name in VALUES) {
      const value = given ?? args[(at += 1)];
      if (!value || value.startsWith('-')) fail(`${name} needs a value.\n\n${USAGE}`);
      options[VALUES[name]] = value;
    } else {
      fail(`${args[at]} means nothing here, so nothing was done.\n\n${USAGE}`);
    }
  }
  // `--name` without the `--` before it leaves npm with the value `true`.
  if (options.name === 'true' || options.database === 'true') {
    fail(`Put -- before the options: npm run deploy -- --name NAME\n\n${USAGE}`);
  }
  checkName('Worker', options.name, /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'lower case letters, digits and -, at most 63');
  checkName('database', options.database, /^[\w-]{1,64}$/, 'letters, digits, - and _, at most 64');
  return options;
}

function checkName(what, name, pattern, sentence) {
  if (name !== undefined && !pattern.test(name)) fail(`${name} cannot be the name of a ${what}: ${sentence}.`);
}

function split(arg) {
  const at = arg.startsWith('--') ? arg.indexOf('=') : -1;
  return at < 0 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)];
}

export const isOn = (text) => text !== undefined && !['', '0', 'false', 'no', 'off'].includes(text.toLowerCase());

/** A setting that is there, without blanks around it. */
export const blank = (text) => text?.trim() || undefined;
