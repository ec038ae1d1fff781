// Quota efficiency: 50 keys of 10 requests a minute, asked at 50, 90, 100 and 130 % of what they can. In
// real minutes, since providers have no others; the four pools run side by side. The first minute is for
// learning and is not counted.

import { setTimeout as pause } from 'node:timers/promises';
import { Ours, Simulator, TOKEN, fixed, table } from '../world.mjs';

export const title = 'Quotas';

const KEYS = 50;
const PER_MINUTE = 10;
const LEVELS = [50, 90, 100, 130];
const MODEL = 'gemini-2.5-flash';
const MINUTE = 60_000;
const LEARNING = 1;
const COUNTED = 2;

export async function run({ quick, say }) {
  if (quick) return { text: 'Takes minutes, so it is left out of a quick run.', goals: [] };
  const worlds = [];
  const rows = [];
  const goals = [];
  try {
    for (const level of LEVELS) worlds.push(await start(level));
    // All windows of the simulators begin at full minutes.
    await pause(MINUTE - (Date.now() % MINUTE));
    say(`${LEARNING + COUNTED} minutes at ${LEVELS.join(', ')} % of capacity`);
    await Promise.all(worlds.map(play));
    for (const { level, counted } of worlds) {
      const capacity = KEYS * PER_MINUTE * COUNTED;
      const used = counted.served / capacity;
      const attempts = counted.attempts / counted.served;
      rows.push([`${level} %`, counted.sent, counted.served, fixed(100 * used, 1), fixed(attempts, 3), counted.failed, fixed((100 * counted.failed) / counted.sent, 1)]);
      if (level === 90) {
        goals.push({ what: '90 % of capacity: no failure seen', found: String(counted.failed), met: counted.failed === 0 });
        goals.push({ what: '90 % of capacity: at most 1.02 attempts per success', found: fixed(attempts, 3), met: attempts <= 1.02 });
      }
      if (level === 130) {
        goals.push({ what: '130 % of capacity: at least 98 % of it used', found: `${fixed(100 * used, 1)} %`, met: used >= 0.98 });
        goals.push({ what: '130 % of capacity: at most 1.05 attempts per success', found: fixed(attempts, 3), met: attempts <= 1.05 });
      }
    }
  } finally {
    for (const { ours, simulator } of worlds) {
      await ours.stop();
      await simulator.stop();
    }
  }
  const text = [
    table(['asked', 'requests', 'served', '% of capacity', 'attempts per success', 'failures seen', '% failed'], rows),
    '',
    `${KEYS} keys of ${PER_MINUTE} requests a minute; ${COUNTED} minutes after ${LEARNING} of learning; one isolate.`,
  ].join('\n');
  return { text, goals };
}

async function start(level) {
  const simulator = await new Simulator().start();
  const makeKey = "'AIza-quota-' || printf('%06d', n)";
  const ours = await new Ours('One Balance', { upstream: simulator.address, keys: KEYS, provider: 'google-ai-studio', makeKey }).start();
  await simulator.control('PATCH', 'config', { log: false });
  const keys = Array.from({ length: KEYS }, (_, n) => ({ provider: 'google-ai-studio', key: `AIza-quota-${String(n).padStart(6, '0')}`, rpm: PER_MINUTE }));
  await simulator.control('PUT', 'keys', keys);
  return { level, simulator, ours, counted: undefined };
}

/** Requests at an even rate, whether or not the answers come: callers do not wait for each other. */
async function play(world) {
  const { level, simulator, ours } = world;
  const rate = (KEYS * PER_MINUTE * level) / 100;
  const begun = Date.now();
  const count = { sent: 0, served: 0, failed: 0 };
  let before;
  const attempts = async () => (await simulator.control('GET', 'stats')).total;
  const open = [];
  const total = rate * (LEARNING + COUNTED);
  for (let number = 0; number < total; number += 1) {
    const due = begun + (number * MINUTE) / rate;
    if (due > Date.now()) await pause(due - Date.now());
    if (number === rate * LEARNING) {
      await Promise.all(open.splice(0));
      before = await attempts();
      Object.assign(count, { sent: 0, served: 0, failed: 0 });
    }
    count.sent += 1;
    open.push(ask(ours).then((served) => (served ? (count.served += 1) : (count.failed += 1))));
  }
  await Promise.all(open);
  world.counted = { ...count, attempts: (await attempts()) - before };
}

async function ask(ours) {
  const answer = await fetch(`${ours.base}/api/google-ai-studio/v1beta/models/${MODEL}:generateContent`, {
    method: 'POST',
    headers: { 'x-goog-api-key': TOKEN, 'content-type': 'application/json' },
    body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'Hello' }] }] }),
  });
  await answer.arrayBuffer();
  return answer.status === 200;
}
