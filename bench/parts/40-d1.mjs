// What is asked of D1: a cold start while so many keys cool, a refresh, and 1,000 requests of which none,
// 1 %, 10 % or 30 % meet a 429 upstream.

import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { Ours, Simulator, TOKEN, table } from '../world.mjs';

export const title = 'D1';

const KEYS = 1000;
const SHARES = [0, 1, 10, 30];
/** Coolings that run while an isolate starts. */
const COOLING = [0, 10, 300];
/** The answer that they are earned with: it lasts until midnight. */
const DAY_QUOTA = 'gai-429-rpd-paidtier2';
const MODEL = 'gemini-2.5-flash';
const CONNECTIONS = 8;
/** The snapshot is refreshed behind a request when it is older than 15 s. */
const STALE_MS = 16_000;

export const before = () => [{ type: 'ESModule', path: 'probe.js', contents: readFileSync(inRoot('bench', 'probe.js')) }];

export async function run({ quick, say }) {
  const simulator = await new Simulator().start();
  const rows = [];
  const goals = [];
  try {
    await simulator.control('PATCH', 'config', { open: true, log: false });
    const colds = await coldStarts(simulator, quick ? COOLING.slice(0, 2) : COOLING, say);
    for (const { cools, cold } of colds) rows.push([`cold start, ${cools} coolings`, ...cells(cold)]);
    const most = Math.max(...colds.map(({ cold }) => cold.rows_read));
    const trips = Math.max(...colds.map(({ cold }) => cold.round_trips));
    goals.push({ what: 'a cold start, however many keys cool: at most 510 rows, one round trip', found: `${most} rows, ${trips}`, met: most <= 510 && trips === 1 });
    for (const share of quick ? [0, 10] : SHARES) {
      say(`${share} % of 429`);
      // New each time: the coolings of one must not be the other's.
      const ours = pool(simulator);
      try {
        await ours.start();
        await asked(ours, () => ask(ours, 1));
        const requests = quick ? 100 : 1000;
        await refuse(simulator, share, requests);
        const seen = await asked(ours, () => ask(ours, requests));
        for (const name of Object.keys(seen)) seen[name] = Math.round((seen[name] * 1000) / requests);
        rows.push([`1,000 requests, ${share} % of 429`, ...cells(seen)]);
        if (share === 0) goals.push({ what: '0 statements per success', found: String(seen.statements), met: seen.statements === 0 });
        if (share === 1) goals.push({ what: '1 % of 429: at most 60 rows read and 40 written per 1,000 requests', found: `${seen.rows_read} and ${seen.rows_written}`, met: seen.rows_read <= 60 && seen.rows_written <= 40 });
        if (!quick && (share === 0 || share === 10)) {
          await pause(STALE_MS);
          rows.push([`refresh after that`, ...cells(await asked(ours, () => ask(ours, 1)))]);
        }
      } finally {
        await ours.stop();
        await simulator.control('DELETE', 'faults');
      }
    }
  } finally {
    await simulator.stop();
  }
  const text = [
    table(['', 'statements', 'round trips', 'rows read', 'rows written'], rows),
    '',
    `A pool of ${KEYS.toLocaleString('en-US')} keys; rows as D1 bills them, indexes included. The sums of usage, one batch a minute and isolate at most, are not in it.`,
  ].join('\n');
  return { text, goals };
}

const pool = (simulator) =>
  new Ours('One Balance', { upstream: simulator.address, keys: KEYS, provider: 'google-ai-studio', before: before(), vars: { USAGE_FLUSH_SECONDS: '86400' } });

/** What an isolate asks that starts while so many coolings run, which an earlier one has earned. */
async function coldStarts(simulator, counts, say) {
  const found = [];
  const ours = pool(simulator);
  try {
    await ours.start();
    for (const cools of counts) {
      say(`a cold start while ${cools} keys cool`);
      // Every second attempt of these requests, one after the other: at once, one of them could meet all of it.
      const more = cools - (found.at(-1)?.cools ?? 0);
      if (more > 0) {
        await refuse(simulator, 50, 2 * more, DAY_QUOTA);
        await ask(ours, more, 1);
      }
      // What is behind an answer writes twenty at a time.
      while ((await ours.d1.prepare('SELECT count(*) AS n FROM coolings').first()).n < cools) {
        await ask(ours, 1);
        await pause(150);
      }
      await ours.restart();
      found.push({ cools, cold: await asked(ours, () => ask(ours, 1)) });
    }
  } finally {
    await ours.stop();
    await simulator.control('DELETE', 'faults');
  }
  return found;
}

const cells = ({ statements, round_trips: trips, rows_read: read, rows_written: written }) => [statements, trips, read, written];

/** What D1 was asked by the work and by what it left to be done behind it. */
async function asked(ours, work) {
  await (await fetch(`${ours.base}/__seen`)).json();
  await work();
  const total = {};
  // What is behind an answer is over when nothing has come for a while.
  for (let quiet = 0; quiet < 3; ) {
    await pause(150);
    const more = await (await fetch(`${ours.base}/__seen`)).json();
    quiet = more.round_trips === 0 ? quiet + 1 : 0;
    for (const [name, count] of Object.entries(more)) total[name] = (total[name] ?? 0) + count;
  }
  return total;
}

/** So many percent of the attempts meet a 429 that says how long to wait. */
async function refuse(simulator, percent, requests, name = 'gai-429-rpm-free') {
  if (percent === 0) return;
  const count = Math.round((requests * percent) / 100);
  const faults = Array.from({ length: count }, (_, index) => ({
    match: { provider: 'google-ai-studio' },
    times: 1,
    // Those in front of it in the list take what they match, so it sees the rest only.
    skip: Math.floor((index + 1) * (100 / percent - 1)),
    case: name,
  }));
  await simulator.control('POST', 'faults', faults);
}

async function ask(ours, requests, connections = CONNECTIONS) {
  let left = requests;
  const connection = async () => {
    while (left-- > 0) {
      const answer = await fetch(`${ours.base}/api/google-ai-studio/v1beta/models/${MODEL}:generateContent`, {
        method: 'POST',
        headers: { 'x-goog-api-key': TOKEN, 'content-type': 'application/json' },
        body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'Hello' }] }] }),
      });
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(`${answer.status}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(connections, requests) }, connection));
}
