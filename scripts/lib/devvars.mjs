// .dev.vars: the secrets of the local Worker, one NAME=value per line.

import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { inRoot } from './paths.mjs';

const FILE = inRoot('.dev.vars');

/** Adds a random AUTH_KEY, or fills in the blank one; touches nothing else. Resolves to whether it did. */
export function ensureAuthKey() {
  if (readVar('AUTH_KEY')) return false;
  const line = `AUTH_KEY=sk-ob-${randomBytes(32).toString('base64url')}\n`;
  const before = existsSync(FILE) ? readFileSync(FILE, 'utf8') : HEADER;
  const gap = before === '' || before.endsWith('\n') ? '' : '\n';
  const blank = /^[ \t]*(?:export[ \t]+)?AUTH_KEY[ \t]*=[ \t]*(?:\r?\n|(?![^]))/m;
  const filled = blank.test(before) ? before.replace(blank, line) : before + gap + line;
  writeFileSync(FILE, filled, { mode: 0o600 });
  return true;
}

const HEADER = `# The secrets of your local Worker. Never commit this file. See .dev.vars.example.
`;

/** A variable of .dev.vars, or undefined when it is absent or blank. */
export function readVar(name) {
  if (!existsSync(FILE)) return undefined;
  const line = new RegExp(`^\\s*(?:export\\s+)?${name}\\s*=(.*)$`, 'm').exec(readFileSync(FILE, 'utf8'));
  const value = line?.[1].trim() ?? '';
  const quoted = /^(["'`])(.*)\1/.exec(value);
  return (quoted ? quoted[2] : value.replace(/\s+#.*$/, '')) || undefined;
}

/** The first token of AUTH_KEY that has neither a scope nor an expiry, if there is one. */
export const firstFreeToken = () =>
  (readVar('AUTH_KEY') ?? '')
    .split(';')
    .map((entry) => entry.trim())
    .find((entry) => entry && !/\(\d+\)$/.test(entry) && !/=(\*|[a-z][\w-]*)([,&].*)?$/.test(entry));
