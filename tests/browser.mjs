// What the tests of the page stand on: a real browser on the built Worker. Whatever the browser
// complains of fails the test that it happened in, unless that test expects it.
//
//   const world = await startWorld();
//   const it = browserFor(world);              // hooks: one browser a file, one profile a test
//   const page = await it.signIn({ hash: '#/keys' });
//   await it.axe();                            // no violation of accessibility in what is shown

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before, beforeEach } from 'node:test';
import { chromium } from 'playwright-core';
import { TOKEN, eventually } from './harness.mjs';

/** Longer than anything takes, however busy the machine is. */
export const PATIENCE = 60_000;
export const DESK = { viewport: { width: 1360, height: 900 } };
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const ARGS = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--force-color-profile=srgb'];

/** `PAGE=fresh`: the page as static/ has it now, without building the Worker. For trying things. */
const fresh = process.env.PAGE === 'fresh' ? (await (await import('../scripts/page.mjs')).document()).html : undefined;

export const hintOf = (key) => `${key.slice(0, 4)}…${key.slice(-4)}`;

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROME_PATH || '/usr/bin/chromium',
    args: [...ARGS, ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
  });

/** Watches in the page itself: violations of its policy, what moves without being asked to, and what is said for a moment only. */
function watch() {
  window.__said = [];
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) if (node instanceof Element) for (const toast of node.matches('.toast') ? [node] : node.querySelectorAll('.toast')) window.__said.push(toast.textContent);
  }).observe(document, { childList: true, subtree: true });
  window.__violations = [];
  document.addEventListener('securitypolicyviolation', (event) => window.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  window.__shifts = [];
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) {
      if (shift.hadRecentInput) continue;
      const from = shift.sources.map(({ node, previousRect: a, currentRect: b }) => `${node?.nodeName}.${node?.className ?? ''} ${a.x},${a.y} ${a.width}x${a.height} -> ${b.x},${b.y} ${b.width}x${b.height}`);
      window.__shifts.push({ value: shift.value, from });
    }
  }).observe({ type: 'layout-shift', buffered: true });
}

export class Browser {
  constructor(world, isolate) {
    this.world = world;
    this.isolate = isolate;
    this.complaints = [];
  }

  get url() {
    return this.world[this.isolate].url;
  }

  /** A new profile on the page, signed out. */
  async open({ hash = '', ...options } = {}) {
    await this.page?.context().close();
    const context = await this.browser.newContext({ locale: 'en-US', timezoneId: 'Europe/Berlin', ...DESK, ...options });
    context.setDefaultTimeout(PATIENCE);
    await context.addInitScript(watch);
    if (fresh) await context.route(`${this.url}/`, (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body: fresh }));
    const page = (this.page = await context.newPage());
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error.stack ?? error)));
    page.on('request', (request) => {
      const { origin, href } = new URL(request.url());
      if (origin !== 'null' && origin !== new URL(this.url).origin) this.complaints.push(`a request to ${origin}`);
      for (const secret of this.world.secrets) if (href.includes(secret)) this.complaints.push('a secret in an address');
    });
    await page.goto(`${this.url}/${hash}`);
    return page;
  }

  async signIn(options = {}) {
    const page = await this.open(options);
    await page.locator('input[type=password]').fill(TOKEN);
    await page.locator('form button[type=submit]').click();
    await page.locator('.frame').waitFor();
    return page;
  }

  /** Goes to another place in the page, and waits until it is there. */
  async go(hash) {
    await this.page.evaluate((to) => { location.hash = to; }, hash);
    await this.settled();
  }

  /** Until nothing is being loaded. */
  settled() {
    return this.page.waitForFunction(() => document.querySelector('h1') && !document.querySelector('[aria-busy=true], .bone'));
  }

  /** Waits for a complaint that the test has provoked, and takes it. */
  async expect(pattern) {
    const index = () => this.complaints.findIndex((text) => pattern.test(text));
    await eventually(() => assert.ok(index() >= 0, `the browser says ${pattern}: ${JSON.stringify(this.complaints)}`));
    this.complaints.splice(index(), 1);
  }

  /** Until this was said in a toast. It may be gone again: they stay for some seconds only. */
  async said(words) {
    await this.page.waitForFunction((wanted) => window.__said.some((text) => text.includes(wanted)), words);
  }

  /** No violation of accessibility in what is shown. */
  async axe(what = '') {
    // Not as a script of the page: its policy would refuse that.
    const found = await this.page.evaluate(`(() => { ${AXE}; return axe.run(document, { resultTypes: ['violations'] }); })()`);
    const words = found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)} (${node.any.map((one) => one.message).join('; ').slice(0, 200)})`).join(' | ')}`);
    assert.deepEqual(words, [], `axe: ${what}`);
  }

  /** Nothing of what was there has moved by itself. */
  async still(what = '') {
    const shifts = await this.page.evaluate(() => window.__shifts);
    const sum = shifts.reduce((all, one) => all + one.value, 0);
    assert.ok(sum < 0.02, `${what} moves by ${sum}: ${JSON.stringify(shifts, null, 1)}`);
  }

  /** Nothing is wider than the screen, nor than the dialog that it is in. */
  async fits(what = '') {
    const over = await this.page.evaluate(() => [document.documentElement, ...document.querySelectorAll('dialog[open], dialog[open] .inside')].map((node) => node.scrollWidth - node.clientWidth));
    assert.deepEqual(over.filter((by) => by !== 0), [], `${what} is wider than its place`);
  }

  async end() {
    const seen = this.complaints;
    this.complaints = [];
    const violations = this.page ? await this.page.evaluate(() => window.__violations).catch(() => []) : [];
    await this.page?.context().close();
    this.page = undefined;
    assert.deepEqual(seen, [], 'what the browser complained of');
    assert.deepEqual(violations, [], 'what the policy of the page refused');
  }
}

/** One browser for the tests of a file; each test begins with an empty world unless `keep`. */
export function browserFor(world, { isolate = 'main', keep = false } = {}) {
  const it = new Browser(world, isolate);
  before(async () => { it.browser = await launch(); });
  after(() => it.browser?.close());
  if (!keep) beforeEach(() => world.fresh());
  afterEach(async () => {
    await it.end();
    await world.assertClean();
  });
  return it;
}

/**
 * Puts keys straight into D1: adding thousands of them through the API is another test's business.
 * `make(index)` tells what is particular to one: `secret`, `remark`, `state`, `reason`, `tags`, `priority`, `cooling`.
 */
export async function seedKeys(world, provider, count, make = () => ({})) {
  const now = Date.now();
  const rows = Array.from({ length: count }, (_, index) => {
    const one = make(index);
    const secret = one.secret ?? `AIza${createHash('sha256').update(`${provider} ${index}`).digest('base64url').slice(0, 35)}`;
    return {
      secret, digest: createHash('sha256').update(secret).digest('hex'), hint: hintOf(secret), state: one.state ?? 'ready', reason: one.reason ?? null, certain: one.certain ?? 1,
      remark: one.remark ?? '', tags: one.tags?.length ? `,${one.tags.join(',')},` : '', project: one.project ?? '', priority: one.priority ?? 0,
      created: one.created ?? now - index * 60_000, cooling: one.cooling ?? null,
    };
  });
  for (let at = 0; at < rows.length; at += 1_000) {
    const piece = JSON.stringify(rows.slice(at, at + 1_000));
    await world.query(
      `INSERT INTO provider_keys (provider, secret, digest, hint, state, reason, certain, remark, tags, project, priority, slot, created_at, updated_at)
       SELECT ?1, value ->> 'secret', value ->> 'digest', value ->> 'hint', value ->> 'state', value ->> 'reason', value ->> 'certain', value ->> 'remark', value ->> 'tags',
       value ->> 'project', value ->> 'priority', abs(random() % 2147483648), value ->> 'created', value ->> 'created' FROM json_each(?2)`,
      provider, piece,
    );
    const coolings = rows.slice(at, at + 1_000).flatMap((row) => (row.cooling ?? []).map((one) => ({ digest: row.digest, ...one })));
    if (coolings.length === 0) continue;
    // CROSS JOIN: in this order, with the index on digests.
    await world.query(
      `INSERT INTO coolings (key_id, model, provider, until, since, source, reason, strikes, total_seconds, updated_at)
       SELECT k.id, c.value ->> 'model', ?1, c.value ->> 'until', ?3, coalesce(c.value ->> 'source', 'stated'), coalesce(c.value ->> 'reason', 'day_quota'), coalesce(c.value ->> 'strikes', 0), 3600, ?3
       FROM json_each(?2) AS c CROSS JOIN provider_keys AS k WHERE k.provider = ?1 AND k.digest = c.value ->> 'digest'`,
      provider, JSON.stringify(coolings), now,
    );
  }
  return rows.map((row) => row.secret);
}
