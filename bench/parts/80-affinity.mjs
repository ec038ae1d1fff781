// Prompt caches: 500 conversations of eight turns over 50 keys, in any order, several at a time. A request
// repeats all that was said before it in its conversation. The simulator's log tells which key got it, and so
// how much of its beginning that key had seen before: what a provider has in its cache.

import { Ours, Simulator, TOKEN, fixed, table } from '../world.mjs';

export const title = 'Prompt caches';

const KEYS = 50;
const TURNS = 8;
const IN_FLIGHT = 16;
const KEPT = 20_000; // by the simulator's log
const WHERE = 'x-conversation';
const SYSTEM = { role: 'system', content: 'You are the assistant of a shop that sells paint. '.repeat(20) };

/** What `AFFINITY` is, and whether the client names the conversation. */
const WAYS = [
  { affinity: 'off', named: true },
  { affinity: 'explicit', named: true },
  { affinity: 'auto', named: false },
];

export async function run({ quick, say }) {
  const conversations = quick ? 20 : 500;
  const rows = [];
  const goals = [];
  for (const way of WAYS) {
    say(`AFFINITY=${way.affinity}: ${conversations} conversations of ${TURNS} turns`);
    const { failed, sent } = await play(way, conversations);
    const hits = hitsOf(sent);
    const busiest = (Math.max(...countsOf(sent).values()) * KEYS) / sent.length;
    rows.push([way.affinity, sent.length, failed, `${fixed(100 * hits, 1)} %`, fixed(busiest)]);
    goals.push({ what: `affinity ${way.affinity}: no failure`, found: String(failed), met: failed === 0 });
    if (way.affinity === 'off') continue;
    goals.push({ what: `affinity ${way.affinity}: at least 80 % of what could be cached is`, found: `${fixed(100 * hits, 1)} %`, met: hits >= 0.8 });
    goals.push({ what: `affinity ${way.affinity}: the busiest key does at most 2 times the mean`, found: fixed(busiest), met: busiest <= 2 });
  }
  const text = [
    table(['`AFFINITY`', 'requests', 'failures seen', 'of what could be cached, is', 'the busiest key, of the mean'], rows),
    '',
    `${KEYS} keys without limits, ${IN_FLIGHT} requests at a time; one isolate. With \`auto\` the client does not name the conversation.`,
  ].join('\n');
  // A few conversations are not spread evenly, whoever spreads them.
  return { text, goals: quick ? [] : goals };
}

async function play({ affinity, named }, conversations) {
  const simulator = await new Simulator().start();
  const ours = await new Ours('One Balance', { upstream: simulator.address, keys: KEYS, vars: { AFFINITY: affinity } }).start();
  try {
    const keys = Array.from({ length: KEYS }, (_, n) => ({ provider: 'openai', key: `sk-of-the-benchmark-${String(n).padStart(20, '0')}` }));
    await simulator.control('PUT', 'keys', keys);
    const random = numbers(1);
    const open = Array.from({ length: conversations }, (_, number) => ({ number, turn: 0, messages: [SYSTEM] }));
    let failed = 0;
    const work = async () => {
      while (open.length > 0) {
        const [conversation] = open.splice(Math.floor(random() * open.length), 1);
        if (!(await ask(ours, conversation, named))) failed += 1;
        conversation.turn += 1;
        if (conversation.turn < TURNS) open.push(conversation);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
    const log = await simulator.control('GET', `requests?last=${KEPT}`);
    const sent = log.map(({ key, headers }) => {
      const [conversation, prompt] = headers[WHERE].split(' ').map(Number);
      return { key, conversation, prompt };
    });
    return { failed, sent };
  } finally {
    await ours.stop();
    await simulator.stop();
  }
}

async function ask(ours, { number, turn, messages }, named) {
  messages.push({ role: 'user', content: `Conversation ${number}, question ${turn}: which colour goes with which? `.repeat(4) });
  const prompt = JSON.stringify(messages).length;
  const answer = await fetch(ours.url, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', [WHERE]: `${number} ${prompt}` },
    body: JSON.stringify({ model: 'gpt-5-mini', messages, ...(named && { prompt_cache_key: `conversation-${number}` }) }),
  });
  messages.push({ role: 'assistant', content: await answer.text() });
  return answer.status === 200;
}

/** Of the bytes that any key had seen at the beginning of a request, those that the request's own key had. */
function hitsOf(sent) {
  const common = JSON.stringify([SYSTEM]).length;
  const anyone = new Map();
  const each = new Map();
  const known = (seen, { conversation }) => seen.get(conversation) ?? (seen.size > 0 ? common : 0);
  let [hit, possible] = [0, 0];
  for (const request of sent) {
    if (!each.has(request.key)) each.set(request.key, new Map());
    const own = each.get(request.key);
    hit += known(own, request);
    possible += known(anyone, request);
    for (const seen of [own, anyone]) seen.set(request.conversation, request.prompt);
  }
  return hit / possible;
}

function countsOf(sent) {
  const counts = new Map();
  for (const { key } of sent) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** The same numbers between 0 and 1 in each run (mulberry32). */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let number = Math.imul(state ^ (state >>> 15), state | 1);
    number ^= number + Math.imul(number ^ (number >>> 7), number | 61);
    return ((number ^ (number >>> 14)) >>> 0) / 2 ** 32;
  };
}
