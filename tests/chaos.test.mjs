// Chaos: 200 keys of every kind, 5,000 requests of every kind, two isolates that share one D1, and at
// the end the truth, which the simulator knows. What happens is drawn from a seed that is printed;
// CHAOS_SEED=<number> draws it again (which request meets which key still depends on the clock).
//
// So that it can be told for each request what must become of it:
// - A fault that is nobody's hits one request only: that request asks for a model of its own, and the
//   fault is ordered for that model. Such a model has no quota, and no key drops its connections.
// - A key that drops connections does so for the usual models, and each provider has only one: such a
//   request may have been executed, so it is tried on one other key and no more, and a second one that
//   drops it would be the end of it, by design.
// - Quotas are of some models only, and some keys of each provider have none, so that every request
//   can be answered by some key; but for Cerebras, which has fewer keys than a request has attempts
//   and a known number of answers to give. There the truth is how many were given.
// - A region is refused for where a request left from: in a phase of its own every key does.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TOKEN, eventually, midnightPacific, question, root, startWorld } from './harness.mjs';

const REQUESTS = 5_000;
const CONCURRENCY = 32;
/** Quota windows of a minute last this long here, so that they end several times. */
const MINUTE = 2_000;
const ISOLATES = ['main', 'second'];

// === chance ===

const SEED = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 1e9));
let state = SEED;

/** 0 up to but not including 1 (mulberry32). */
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let n = Math.imul(state ^ (state >>> 15), 1 | state);
  n = (n + Math.imul(n ^ (n >>> 7), 61 | n)) ^ n;
  return ((n ^ (n >>> 14)) >>> 0) / 2 ** 32;
}
const below = (limit) => Math.floor(random() * limit);
const pick = (list) => list[below(list.length)];
const chance = (share) => random() < share;

// === the keys ===

/** Usual models. The `limited` ones have quotas for some keys, `closed` is not open to some. */
const PROVIDERS = {
  'google-ai-studio': { limited: ['gemini-2.5-pro', 'gemini-2.5-flash'], open: ['gemini-2.5-flash-lite'], size: 45 },
  openai: { limited: ['gpt-5', 'gpt-5-mini'], open: ['gpt-4.1'], closed: 'o3', size: 38 },
  anthropic: { limited: ['claude-opus-4-5', 'claude-sonnet-4-5'], open: ['claude-haiku-4-5'], size: 35 },
  groq: { limited: ['llama-3.3-70b-versatile', 'openai/gpt-oss-20b'], open: ['qwen/qwen3-32b'], closed: 'moonshotai/kimi-k2', size: 35 },
  // Its free models share one quota, so only one of them is asked for.
  openrouter: { limited: ['qwen/qwen3-coder:free'], open: ['deepseek/deepseek-chat', 'x-ai/grok-4'], size: 35 },
};
const modelsOf = ({ limited, open, closed }) => [...limited, ...open, ...(closed ? [closed] : [])];

/** How a key is bad, and what is right to do about it. */
const BAD = { invalid: 'block', expired: 'block', suspended: 'block', leaked: 'block', bare_401: 'block', bare_403: 'block', no_credit: 'cool' };

/** Kinds of keys of one provider; what is left of its size is good without a limit. */
function kindsOf({ size, closed }) {
  const kinds = ['invalid', 'invalid', 'expired', 'suspended', 'suspended', 'leaked', 'bare_401', 'bare_401', 'bare_403', 'no_credit', 'no_credit'];
  kinds.push('minute', 'minute', 'minute', 'minute', 'minute', 'day', 'day', 'day', 'day', 'day', 'slow', 'drop');
  if (closed) kinds.push('closed', 'closed');
  return [...kinds, ...Array(size - kinds.length).fill('good')];
}

/** What the simulator is told about a key of that kind. */
function settingsOf(kind, row) {
  const of = (models, what) => ({ models: Object.fromEntries(models.map((model) => [model, what()])) });
  switch (kind) {
    case 'good':
      return {};
    case 'minute':
      return of(row.limited, () => ({ rpm: 2 + below(4) }));
    case 'day':
      return of(row.limited, () => ({ rpd: 2 + below(8) }));
    case 'slow':
      return { state: 'slow', delay_ms: 200 + below(600) };
    case 'drop':
      return of(modelsOf(row), () => ({ state: 'drop' }));
    case 'closed':
      return of([row.closed], () => ({ state: 'disabled_api' }));
    default:
      return { state: kind };
  }
}

/** Cerebras: every good key answers so often, for each of its models, and no more. */
const SCARCE = { provider: 'cerebras', models: ['gpt-oss-120b', 'llama-4-scout'], good: 9, each: 5, bad: ['invalid', 'suspended', 'bare_401'] };
const ANSWERS = SCARCE.good * SCARCE.each;

// === the requests ===

const CASES = JSON.parse(readFileSync(join(root, 'src/balance/classify/cases.json'), 'utf8')).filter(({ status }) => status >= 400);
const casesOf = (verdicts, ...providers) =>
  CASES.filter((one) => verdicts.includes(one.expected_verdict) && providers.includes(one.provider));

/** What comes back when a caller makes this mistake: the status, and words of the provider's error. */
const BAD_JSON = {
  'google-ai-studio': [400, /Invalid JSON payload received/],
  openai: [400, /could not parse the JSON body/],
  anthropic: [400, /not valid JSON/],
  groq: [400, /could not parse the JSON body/],
  openrouter: [400, /Invalid JSON in request body/],
};
const BLOCKED = {
  openai: [400, /content_policy_violation/],
  anthropic: [400, /Output blocked by content filtering policy/],
  groq: [400, /content_policy_violation/],
  openrouter: [403, /moderation/],
};

/** Requests, each with what must become of it, and the faults that some of them meet. */
function draw(total) {
  const requests = [];
  const faults = [];
  const slugs = Object.keys(PROVIDERS);
  const scarce = Array.from({ length: SCARCE.models.length * Math.ceil(ANSWERS * 1.4) }, (_, n) => SCARCE.models[n % SCARCE.models.length]);
  for (let n = 0; n < total; n += 1) {
    const provider = pick(slugs);
    const row = PROVIDERS[provider];
    const request = {
      n,
      isolate: pick(ISOLATES),
      provider,
      model: pick(modelsOf(row)),
      compat: chance(0.2),
      stream: chance(0.3),
      text: `chaos ${n}`,
      expected: 'answered',
    };
    if (chance(scarce.length / (total - n))) {
      Object.assign(request, { provider: SCARCE.provider, model: scarce.pop(), expected: 'scarce' });
    } else if (chance(0.09)) {
      makeFault(request, faults);
    } else if (chance(0.09)) {
      makeMistake(request);
    }
    requests.push(request);
  }
  return { requests, faults };
}

/** Something goes wrong with this request that is nobody's fault. */
function makeFault(request, faults) {
  const { provider, n } = request;
  request.model = `${pick(PROVIDERS[provider].open)}-${n}`;
  request.faulted = 1;
  const order = (effect) => faults.push({ match: { provider, model: request.model }, times: request.faulted, ...effect });
  const captured = (verdicts, ...from) => {
    const found = pick(casesOf(verdicts, ...from));
    order({ case: found.id });
    return found;
  };
  switch (below(10)) {
    case 0:
      return order({ reset: true });
    case 1:
      return order({ status: pick([500, 502, 503, 504, 520, 524, 529]), body: pick(['', 'upstream connect error', { error: { message: 'Internal error' } }]) });
    case 2:
    case 3:
      return captured(['retry_elsewhere', 'retry_same'], provider, 'ai-gateway');
    case 4:
      // Refused before any work began: two more attempts.
      request.faulted = 2;
      return order({ status: 503, body: { error: { message: 'The model is overloaded.' } } });
    case 5:
      // And if it goes on like that, the provider's own answer.
      request.faulted = 3;
      request.expected = 'passed';
      request.answer = { status: 503, words: /The model is overloaded/ };
      return order({ status: 503, body: { error: { message: 'The model is overloaded.' } } });
    case 6:
    case 7: {
      const found = captured(['client_error', 'egress_error'], provider);
      request.expected = 'passed';
      request.answer = { status: found.status, body: found.body };
      return undefined;
    }
    case 8: {
      captured(['gateway_config'], 'ai-gateway');
      request.expected = 'refused';
      return undefined;
    }
    default:
      request.faulted = 0;
      return order({ delay_ms: 100 + below(400) });
  }
}

/** The caller does something wrong. */
function makeMistake(request) {
  const { provider, n } = request;
  request.expected = 'passed';
  switch (below(8)) {
    case 0:
    case 1:
      request.broken = true;
      // Not on `compat`, where nobody can say whose key belongs to what cannot be read.
      Object.assign(request, { stream: false, compat: false });
      [request.status, request.words] = BAD_JSON[provider];
      break;
    case 2:
      request.model = `does-not-exist-${n}`;
      [request.status, request.words] = [404, new RegExp(request.model)];
      break;
    case 3:
    case 4:
      request.text = `BLOCK_ME ${n}`;
      if (provider === 'google-ai-studio' && !request.compat) [request.status, request.words] = [200, /"blockReason"/];
      else [request.status, request.words] = BLOCKED[provider] ?? [400, /content_policy_violation/];
      break;
    case 5:
      request.path = ['google-ai-studio/v1beta/files/of-another-key', { method: 'GET' }];
      [request.provider, request.status, request.words] = ['google-ai-studio', 403, /permission to access the File/];
      break;
    case 6:
      request.path = [`${provider}/v1/no/such/thing`, { json: { model: request.model, input: n }, headers: { 'anthropic-version': '2023-06-01' } }];
      [request.status, request.words] = [404, /no\/such\/thing|Not Found/];
      break;
    default:
      if (chance(0.5)) {
        request.path = ['nobody/v1/chat/completions', { json: { model: 'm' } }];
        [request.expected, request.status, request.words] = ['ours', 404, /nobody/];
      } else {
        // More than is taken: refused by what it announces, so nothing of it is sent.
        request.announced = 60 * 1024 * 1024;
        [request.expected, request.status, request.words] = ['ours', 413, /./];
      }
  }
  request.answer = { status: request.status, words: request.words };
}

// === one request ===

/** A whole key; providers repeat the ends of one. */
const A_KEY = /k\d{5}-[a-z-]+-[a-z0-9]{10}/;

async function send(world, request) {
  const isolate = world[request.isolate];
  const headers = { 'x-chaos': String(request.n) };
  const started = performance.now();
  let result;
  if (request.announced) {
    const answer = await isolate.raw({
      method: 'POST',
      path: '/api/openai/chat/completions',
      headers: { ...headers, authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', 'content-length': String(request.announced) },
    });
    result = { status: answer.status, headers: new Headers(answer.headers), text: answer.text };
  } else {
    const [path, init] = addressOf(request);
    const response = await isolate.send(`/api/${path}`, { ...init, headers: { ...headers, ...init.headers } }).catch((error) => error);
    if (response instanceof Error) return { ...request, sent: request.text, status: 0, headers: new Headers(), text: '', broke: String(response.cause), started, ended: performance.now(), attempts: 0 };
    result = { status: response.status, headers: response.headers, text: '' };
    try {
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) result.text += decoder.decode(chunk, { stream: true });
    } catch (error) {
      result.broke = String(error);
    }
  }
  // A success of the first attempt does not tell of it; a failure that does not tell is our own.
  const attempts = Number(result.headers.get('one-balance-attempts') ?? (result.status < 400 ? 1 : 0));
  return { ...request, sent: request.text, ...result, started, ended: performance.now(), attempts };
}

function addressOf({ path, provider, model, text, stream, compat, broken }) {
  if (path) return path;
  const [address, init] = question(compat ? 'compat' : provider, compat ? `${provider}/${model}` : model, text, stream);
  if (!broken) return [address, init];
  // Cut off in the middle of the text, behind the model.
  const whole = JSON.stringify({ model: init.json.model, ...init.json });
  return [address, { ...init, json: undefined, body: whole.slice(0, -9), headers: { ...init.headers, 'content-type': 'application/json' } }];
}

/** What the model said, in whichever way it was told. */
function saidIn({ text, stream, compat, provider }) {
  const said = (answer) => {
    if (!compat && provider === 'anthropic') return answer.delta?.text ?? answer.content?.map((part) => part.text).join('') ?? '';
    if (!compat && provider === 'google-ai-studio') return answer.candidates?.[0]?.content?.parts?.map((part) => part.text).join('') ?? '';
    return answer.choices?.[0]?.delta?.content ?? answer.choices?.[0]?.message?.content ?? '';
  };
  if (!stream) return said(JSON.parse(text));
  const events = text.split('\n').filter((line) => line.startsWith('data: {'));
  return events.map((line) => said(JSON.parse(line.slice(6)))).join('');
}

/** What is wrong with the result, if anything. */
function complaint(result) {
  const { expected, status, answer, text, attempts } = result;
  if (A_KEY.test(text)) return 'a key in the answer';
  switch (expected) {
    case 'answered':
      if (status !== 200 || result.broke) return 'not answered, although a key could';
      return saidIn(result) === `You said: ${result.sent}` ? undefined : 'the answer to another question';
    case 'scarce':
      if (status === 200) return saidIn(result) === `You said: ${result.sent}` ? undefined : 'the answer to another question';
      if (status !== 429) return 'neither answered nor refused as exhausted';
      return Number(result.headers.get('retry-after')) > 0 ? undefined : 'exhausted without a Retry-After';
    case 'passed':
      if (status !== answer.status || attempts === 0) return `not the provider's own ${answer.status}`;
      if (answer.body !== undefined && text !== answer.body) return "not the provider's own words";
      return answer.words === undefined || answer.words.test(text) ? undefined : "not the provider's own error";
    case 'ours':
      return status === answer.status && attempts === 0 && answer.words.test(text) ? undefined : `not our own ${answer.status}`;
    case 'refused':
      return status >= 400 && attempts === 0 ? undefined : 'not our own error about the gateway';
    default:
      return `unknown: ${expected}`;
  }
}

async function inParallel(list, work) {
  const results = [];
  const rest = list[Symbol.iterator]();
  const worker = async () => {
    for (const item of rest) results.push(await work(item));
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return results;
}

// === the scenario ===

const world = await startWorld({ isolates: Object.fromEntries(ISOLATES.map((name) => [name, {}])) });

test(`200 keys, ${REQUESTS} requests, two isolates, CHAOS_SEED=${SEED}`, { timeout: 300_000 }, async (t) => {
  await world.use('second');
  // A window that ends in the middle would make the truth of a day's quota two truths.
  await world.sim.config({ minute_ms: MINUTE, day_ms: 86_400_000 });
  const keys = await makeKeys();
  const { requests, faults } = draw(REQUESTS);
  await world.sim.faults(...faults);

  const began = performance.now();
  const results = await inParallel(requests, (request) => send(world, request));
  const seconds = (performance.now() - began) / 1000;

  const log = await upstreamLog(results);
  const d1 = await settled(keys, log);
  const figures = { seed: SEED, seconds: Number(seconds.toFixed(1)), requests: results.length, ...judge(keys, results, log, d1) };
  await refusedRegion(keys);
  await refusedAlike(keys);
  await brokenStreams();
  await unchanged(d1);
  await world.assertClean();
  t.diagnostic(JSON.stringify(figures));
});

/** Makes the keys, in the simulator and in the pool. */
async function makeKeys() {
  const keys = new Map();
  const add = async (provider, kinds, settings) => {
    const texts = await world.keys(provider, settings, pick(ISOLATES));
    texts.forEach((text, at) => keys.set(text, { provider, kind: kinds[at], ...settings[at] }));
  };
  for (const [provider, row] of Object.entries(PROVIDERS)) {
    const kinds = kindsOf(row).sort(() => random() - 0.5);
    await add(provider, kinds, kinds.map((kind) => settingsOf(kind, row)));
  }
  const scarce = [...Array(SCARCE.good).fill('day'), ...SCARCE.bad];
  const each = { models: Object.fromEntries(SCARCE.models.map((model) => [model, { rpd: SCARCE.each }])) };
  await add(SCARCE.provider, scarce, scarce.map((kind) => (kind === 'day' ? each : { state: kind })));
  assert.equal(keys.size, 200);
  return keys;
}

/** What arrived at the simulator, each with the client's request that it was for. */
async function upstreamLog(results) {
  const byNumber = new Map(results.map((result) => [String(result.n), result]));
  const log = await world.sim.requests();
  const seen = new Map();
  return log.map(({ n, key, provider, method, model, status, headers }) => {
    const request = byNumber.get(headers['x-chaos']);
    const turn = (seen.get(request?.n) ?? 0) + 1;
    seen.set(request?.n, turn);
    // The first attempts of such a request met the fault and not the key.
    const faulted = turn <= (request?.faulted ?? 0);
    return { n, key, provider, method, model, status, request, faulted };
  });
}

/** D1 when all that the isolates learnt is in it. */
async function settled(keys, log) {
  const used = usedBadKeys(keys, log);
  const read = async () => ({
    keys: await world.query('SELECT id, provider, secret, state, reason FROM provider_keys'),
    coolings: await world.query('SELECT key_id, model, until, since, source, reason FROM coolings'),
    events: await world.query('SELECT at, key_id, model, status, verdict, reason, message FROM events WHERE key_id > 0 ORDER BY id'),
  });
  await eventually(async () => {
    const { keys: rows, events } = await read();
    const blocked = rows.filter((row) => row.state === 'blocked').map((row) => row.secret);
    const cooled = new Set(events.filter((event) => event.verdict === 'cool').map((event) => event.key_id));
    const missing = [...used].filter((key) => {
      const row = rows.find(({ secret }) => secret === key);
      return BAD[keys.get(key).kind] === 'block' ? !blocked.includes(key) : !cooled.has(row.id);
    });
    assert.deepEqual(missing.map((key) => keys.get(key)), [], 'bad keys that were used and are not out in D1');
  });
  return read();
}

/** Bad keys that told so. */
function usedBadKeys(keys, log) {
  return new Set(log.filter(({ key, faulted }) => !faulted && BAD[keys.get(key)?.kind]).map(({ key }) => key));
}

/** Everything that must hold, against the simulator's truth. Returns the figures. */
function judge(keys, results, log, d1) {
  const show = (list) => JSON.stringify(list.slice(0, 5), null, 1);

  // Every request became what it had to become.
  const complaints = results
    .map((result) => ({ why: complaint(result), ...result }))
    .filter(({ why }) => why)
    .map(({ why, n, isolate, provider, model, compat, stream, expected, status, broke, text, attempts }) => {
      const tried = log.filter(({ request }) => request?.n === n).map(({ key, status: got, faulted }) => `${keys.get(key)?.kind ?? key} ${got}${faulted ? ' (fault)' : ''}`);
      return { why, n, isolate, provider, model, compat, stream, expected, status, broke, attempts, tried, text: text.slice(0, 300) };
    });
  assert.equal(complaints.length, 0, `${complaints.length} requests:\n${show(complaints)}`);

  // What the caller is told of attempts is what arrived.
  const attempts = new Map();
  for (const { request } of log) attempts.set(request?.n, (attempts.get(request?.n) ?? 0) + 1);
  assert.ok(!attempts.has(undefined), 'every attempt is for a request of the client');
  const miscounted = results.filter((result) => result.attempts > 0 && result.attempts !== attempts.get(result.n));
  assert.deepEqual(miscounted.map(({ n, attempts: told }) => [n, told, attempts.get(n)]), []);

  // Every change of a key is one that the simulator's truth calls for.
  const byId = new Map(d1.keys.map((row) => [row.id, row.secret]));
  const answersOf = new Map();
  for (const { key, model, status, faulted, method } of log) {
    if (faulted || method !== 'POST') continue;
    const name = `${key} ${model}`;
    const count = answersOf.get(name) ?? { used: 0, refused: 0 };
    if (status === 429) count.refused += 1;
    else count.used += 1;
    answersOf.set(name, count);
  }
  const ranOut = (key, model) => {
    const limit = keys.get(key).models?.[model];
    const count = answersOf.get(`${key} ${model}`) ?? { used: 0, refused: 0 };
    return limit !== undefined && (count.refused > 0 || count.used >= (limit.rpm ?? limit.rpd));
  };
  const isRight = ({ key_id: id, model, status, verdict }) => {
    const text = byId.get(id);
    const key = keys.get(text);
    if (verdict === 'reject') return BAD[key.kind] === 'block';
    if (key.kind === 'no_credit') return true;
    if (key.kind === 'closed') return model === PROVIDERS[key.provider].closed && status === 403;
    return ['minute', 'day'].includes(key.kind) && ranOut(text, model);
  };
  const wrong = d1.events.filter((event) => !isRight(event)).map((event) => ({ ...event, key: keys.get(byId.get(event.key_id)) }));
  assert.deepEqual(wrong, [], 'wrong verdicts');
  const told = d1.events.filter(({ message }) => A_KEY.test(message));
  assert.deepEqual(told, [], 'keys in the list of events');

  // D1 at the end is the truth.
  const used = usedBadKeys(keys, log);
  const states = (state) => d1.keys.filter((row) => row.state === state).map((row) => row.secret).sort();
  assert.deepEqual(states('blocked'), [...used].filter((key) => BAD[keys.get(key).kind] === 'block').sort(), 'blocked in D1 are the bad keys that were used');
  assert.equal(states('ready').length + states('blocked').length, keys.size, 'and the rest is ready');
  for (const cooling of d1.coolings) {
    const key = keys.get(byId.get(cooling.key_id));
    const lasts = cooling.until - cooling.since;
    const shown = JSON.stringify({ ...cooling, lasts, key });
    if (key.kind === 'minute') {
      // Whole seconds, rounded up here and by some providers too, and the way of the answer.
      assert.ok(lasts <= MINUTE + 2_500, `longer than the minute: ${shown}`);
      assert.equal(cooling.source, 'stated', shown);
    } else if (key.kind === 'day' && key.provider === 'google-ai-studio') {
      // In whole seconds, so up to one later.
      const late = cooling.until - midnightPacific(cooling.since);
      assert.ok(late >= 0 && late < 1_000, shown);
    } else {
      assert.ok(lasts > MINUTE && lasts <= 86_402_000, shown);
    }
    const whole = key.kind === 'no_credit' ? '*' : key.provider === 'openrouter' ? '*:free' : undefined;
    if (whole) assert.equal(cooling.model, whole, shown);
    else assert.ok(!cooling.model.startsWith('*'), shown);
  }

  // Every bad key is out after its first use: whoever used it again had begun before the first one's
  // request was over. A bare 401 is only believed then, when another key has shown that it is not all.
  const firsts = new Map();
  const late = [];
  let badUses = 0;
  for (const { key, model, status, request, faulted, provider } of log) {
    const kind = keys.get(key)?.kind;
    const closed = kind === 'closed' && model === PROVIDERS[provider].closed;
    if (faulted || !(BAD[kind] || closed)) continue;
    badUses += 1;
    const name = `${key} ${closed ? model : ''} ${request.isolate}`;
    const first = firsts.get(name);
    if (!first) firsts.set(name, request);
    else if (request.started > first.ended) late.push({ kind, provider, model, status, isolate: request.isolate, after: request.started - first.ended });
  }
  assert.deepEqual(late, [], 'bad keys used again');

  // Refused as exhausted is only what is: all that Cerebras had to give was given, and not after that.
  const scarce = results.filter(({ expected }) => expected === 'scarce');
  for (const model of SCARCE.models) {
    const of = scarce.filter((result) => result.model === model);
    const given = of.filter(({ status }) => status === 200);
    assert.equal(given.length, ANSWERS, `${model}: answers given`);
    for (const refused of of.filter(({ status }) => status === 429)) {
      const before = given.filter((result) => result.started < refused.ended).length;
      assert.equal(before, ANSWERS, `${model}: refused when only ${before} of ${ANSWERS} answers were given`);
    }
  }
  // Other 429s were ordered: an answer of a provider or of the gateway itself.
  const exhausted = results.filter(({ status, faulted }) => status === 429 && !faulted);
  assert.ok(exhausted.every(({ expected }) => expected === 'scarce'));

  const answered = results.filter(({ status }) => status === 200);
  const sum = (list) => list.reduce((total, { attempts: count }) => total + count, 0);
  const wasted = log.filter(({ status, faulted, request }) => status === 429 && !faulted && request.expected !== 'passed').length;
  return {
    answered: answered.length,
    attempts_per_answer: Number((sum(answered) / answered.length).toFixed(3)),
    most_attempts: Math.max(...results.map((result) => result.attempts)),
    wrong_verdicts: wrong.length,
    verdicts: d1.events.length,
    bad_keys: { known: [...keys.values()].filter(({ kind }) => BAD[kind]).length, used: used.size, blocked: states('blocked').length, uses: badUses },
    attempts_that_met_a_spent_quota: wasted,
    refused_as_exhausted: { all: exhausted.length, without_an_attempt: exhausted.filter((result) => result.attempts === 0).length },
    faults_met: log.filter(({ faulted }) => faulted).length,
    mistakes: results.filter(({ words }) => words).length,
  };
}

/**
 * An answer that breaks off is nobody's fault, and comes too late for another key. All at once and at
 * the end: the connections that such answers came over are closed, and must not be asked again.
 */
async function brokenStreams() {
  const requests = later(Object.keys(PROVIDERS), CONCURRENCY).map((request) => ({ ...request, stream: true, model: `${request.model}-${request.n}` }));
  await world.sim.faults(...requests.map(({ provider, model }) => ({ match: { provider, model }, cut_after_chunks: 1 })));
  for (const result of await inParallel(requests, (request) => send(world, request))) {
    const shown = `${result.provider}: ${result.status} ${result.text} ${result.broke}`;
    assert.ok(result.status === 200 && result.attempts === 1, shown);
    // Whether the client notices by the connection depends on the runtime; the end is missing.
    assert.doesNotMatch(result.text, /\[DONE\]|message_stop|"finishReason"/, shown);
  }
}

/** A place is refused: whoever asks is told so, and no key suffers for it. */
async function refusedRegion(keys) {
  const providers = ['openai', 'anthropic', 'google-ai-studio'];
  await allAre(keys, providers, { state: 'region', models: {} });
  for (const result of await inParallel(later(providers, 60), (request) => send(world, request))) {
    const shown = `${result.provider}: ${result.status} ${result.text}`;
    assert.ok([400, 403].includes(result.status) && result.attempts === 1, `${shown}, ${result.attempts} attempts`);
    assert.match(result.text, /location is not supported|Country, region, or territory not supported|Request not allowed/, shown);
  }
  await servedAgain(keys, providers);
}

/** All keys are rejected alike and without a word: it is not the keys. */
async function refusedAlike(keys) {
  const providers = ['groq', 'openrouter'];
  await allAre(keys, providers, { state: 'bare_401', models: {} });
  for (const result of await inParallel(later(providers, 30), (request) => send(world, request))) {
    assert.ok(result.status === 401 && result.attempts >= 3, `${result.provider}: ${result.status} after ${result.attempts}`);
  }
  await servedAgain(keys, providers);
}

/** Changes how the usable keys of the providers behave. */
function allAre(keys, providers, change) {
  const usable = [...keys].filter(([, key]) => providers.includes(key.provider) && !BAD[key.kind]);
  return world.sim.keys(usable.map(([key, { provider, kind, ...settings }]) => ({ provider, key, ...settings, ...change })));
}

async function servedAgain(keys, providers) {
  await allAre(keys, providers, {});
  for (const result of await inParallel(later(providers, 60), (request) => send(world, request))) {
    assert.equal(result.status, 200, `${result.provider}, afterwards: ${result.text}`);
  }
}

/** Requests for models without a quota, after all bad keys are out. */
function later(providers, count) {
  return Array.from({ length: count }, (_, n) => {
    const provider = providers[n % providers.length];
    return { n: REQUESTS + n, isolate: pick(ISOLATES), provider, model: PROVIDERS[provider].open[0], text: 'later' };
  });
}

/** No key changed since. */
async function unchanged({ keys, events }) {
  const now = await world.query('SELECT at, key_id, model, status, verdict, reason, message FROM events WHERE key_id > 0 ORDER BY id');
  assert.deepEqual(now.slice(events.length), [], 'changes of keys by answers that say nothing about them');
  assert.deepEqual(await world.query('SELECT id, provider, secret, state, reason FROM provider_keys'), keys);
}
