// Makes the admin page: one document of static/, with its style and script inside, compressed, and
// the policy that lets exactly these run. build.rs embeds what is in the folder that `page` resolves to.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { main } from './lib/main.mjs';
import { npmPackages } from './lib/npm.mjs';
import { inRoot } from './lib/paths.mjs';
import { fail, say } from './lib/say.mjs';

const OUT = inRoot('dist', 'page');

/** The page may not be longer over the wire. */
const MOST_BYTES = 150_000;

/** Builds the page; resolves to the folder that it is in. */
export async function page() {
  await npmPackages();
  const { html, script, style } = await document();
  const compressed = gzipSync(html, { level: constants.Z_BEST_COMPRESSION, memLevel: 9 });
  if (compressed.length > MOST_BYTES) {
    fail(`The admin page has ${compressed.length} bytes compressed; at most ${MOST_BYTES} are wanted.`);
  }
  mkdirSync(OUT, { recursive: true });
  writeFileSync(join(OUT, 'page.html.gz'), compressed);
  writeFileSync(join(OUT, 'page.csp'), policy(script, style));
  writeFileSync(join(OUT, 'page.etag'), `"${createHash('sha256').update(compressed).digest('base64url').slice(0, 20)}"`);
  return OUT;
}

/** The document, and the script and style in it. */
export async function document() {
  const { build } = await import('esbuild');
  const result = await build({
    entryPoints: [inRoot('static', 'main.tsx')],
    tsconfig: inRoot('static', 'tsconfig.json'),
    bundle: true,
    minify: true,
    write: false,
    outdir: OUT,
    // Not a module: it runs before the first paint.
    format: 'iife',
    target: ['chrome123', 'firefox128', 'safari17.5'],
    charset: 'utf8',
    legalComments: 'none',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const output = (extension) => result.outputFiles.find(({ path }) => path.endsWith(extension))?.text.trim() ?? '';
  // Inside the document, its end must not be read as the element's.
  const script = output('.js').replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
  const style = output('.css').replaceAll('</style', '<\\/style');
  const html = readFileSync(inRoot('static', 'index.html'), 'utf8')
    .replace('/* style */', () => style)
    .replace('/* script */', () => script);
  return { html, script, style };
}

function policy(script, style) {
  const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

await main(import.meta.url, async () => {
  const folder = await page();
  const { length } = readFileSync(join(folder, 'page.html.gz'));
  say(`The page has ${(length / 1000).toFixed(1)} KB over the wire.`);
});
