// The Worker's entry point, and the platform calls of the hot path. `scripts/build.mjs` bundles it
// with what wasm-bindgen makes of the Rust half, which calls the functions below in turn.
//
// Every crossing between JavaScript and wasm costs, a string most of all, and so do classes, proxies
// and microtasks in front of a request. So this is a plain handler, and what the hot path wants from
// the platform comes in a few calls that do much each: `read`, `body`, `send`, `pass`. They decide
// nothing: which headers go on is asked of the Rust half, once for each name. All are `function`s, since
// they must be there before this module is run: wasm-bindgen's begins with the instance.

import * as worker from 'one-balance';

/** Kept by the `worker` crate: the number of this instance of the wasm module, and whether it broke. */
const module = globalThis.__worker_init_state;

/** The task that the Rust half is working on right now. */
let current;

/** Tasks that wait for something that only wakes by number: see `hold`. */
const held = new Map();

/**
 * A caller that hangs up takes its request's context with it: promises of it are never settled, and
 * nothing of it is ever called again. What Rust keeps for it goes when its task is collected.
 */
const dropped = new FinalizationRegistry(({ id, instance }) => {
  if (instance === module.instanceId && !module.criticalError) attempt(undefined, () => worker.forget(id));
});

export default {
  fetch: (request, env, ctx) => perform((resolve) => begin(resolve, worker.fetch, request, env, ctx)),
  scheduled: (event, env, ctx) => perform((resolve) => begin(resolve, worker.scheduled, event, env, ctx)),
};

const perform = (work) => new Promise(work);

/** How many tasks are under way, for the tests. */
module.tasks = () => (module.criticalError ? 0 : worker.tasks());

// === tasks: one for each request, each cron run, each piece of work behind an answer ===

/** Of the request, what only this half needs. */
function newTask(resolve) {
  return {
    id: 0,
    instance: module.instanceId,
    resolve,
    ended: false,
    request: undefined,
    headers: undefined,
    /** A browser asks for a page of another origin, perhaps. */
    origin: false,
    credential: undefined,
  };
}

function begin(resolve, handler, event, env, ctx) {
  if (module.criticalError) renew();
  const task = newTask(resolve);
  attempt(task, () => track(task, handler(event, env, ctx)));
}

/** Rust tells the number of a task that has to wait, 0 for one that is done. */
function track(task, id) {
  if (id === 0 || task.ended) return;
  task.id = id;
  dropped.register(task, { id, instance: task.instance }, task);
}

/** Goes on with a task because the promise of that number was settled. */
function resume(task, promise, outcome, value) {
  if (task.ended) return;
  if (module.criticalError || task.instance !== module.instanceId) return broken(task);
  attempt(task, () => worker.resume(task.id, promise, outcome, value));
}

/**
 * Calls into Rust. Whatever is thrown from there left frames behind that will never be completed, so
 * this instance cannot be trusted any more: the next call gets a new one.
 */
function attempt(task, work) {
  const before = current;
  current = task;
  try {
    work();
  } catch (error) {
    console.error('Critical', error);
    module.criticalError = true;
    if (task) broken(task);
  } finally {
    current = before;
  }
}

function renew() {
  worker.__wbg_reset_state();
  module.criticalError = false;
  held.clear();
}

/**
 * What a request gets whose instance broke: not its fault, and nothing is known of its outcome. Tasks
 * that are no requests do not look at it.
 */
const broken = (task) => end(task, mishap());

function mishap() {
  const message = 'Something went wrong inside One Balance. The request may or may not have reached the provider.';
  const error = { message, type: 'server_error', param: null, code: 'internal' };
  return Response.json({ error }, { status: 500, headers: { 'cache-control': 'no-store', 'access-control-allow-origin': '*' } });
}

function end(task, value) {
  if (task.ended) return;
  task.ended = true;
  if (task.id !== 0) {
    dropped.unregister(task);
    held.delete(task.id);
  }
  task.resolve(value);
}

// === what the Rust half calls: executor ===

let promises = 0;

/** Goes on with the current task when the promise is settled. Tells the number for it. */
export function settle(promise) {
  const task = current;
  const number = (promises = (promises + 1) >>> 0);
  promise.then(
    (value) => resume(task, number, 1, value),
    (reason) => resume(task, number, 0, reason),
  );
  return number;
}

/** The current task is done. */
export function finish(value) {
  end(current, value);
}

/** Work of its own, which `ctx` (if any) shall wait for. */
export function spawn(id, ctx) {
  const promise = perform((resolve) => {
    const task = newTask(resolve);
    track(task, id);
    Promise.resolve().then(() => resume(task, 0, 1, undefined));
  });
  ctx?.waitUntil(promise);
}

/**
 * The current task waits for a future that was not made here and knows the task by its number alone.
 * Nothing else may keep it alive.
 */
export function hold(id) {
  held.set(id, current);
}

export function release(id) {
  held.delete(id);
}

export function wake(id) {
  const task = held.get(id);
  // Not at once: some futures wake first and take note of it afterwards.
  if (task) Promise.resolve().then(() => resume(task, 0, 1, undefined));
}

/** Settled after so many milliseconds. */
export function later(milliseconds) {
  return settle(scheduler.wait(milliseconds));
}

// === what the Rust half calls: the hot path ===

/** What to do with a header of this name: see `kind_of_header` in glue.rs. Clients use few names. */
const kinds = new Map();
const MOST_KINDS = 1000;
const FORWARDED = 1;
const READ = 2;

function kindOf(name) {
  const known = kinds.get(name);
  if (known !== undefined) return known;
  const kind = worker.kind_of_header(name);
  if (kinds.size < MOST_KINDS) kinds.set(name, kind);
  return kind;
}

export function read(request) {
  const headers = {};
  let said = `${request.method}\n${request.url}`;
  request.headers.forEach((value, name) => {
    const kind = kindOf(name);
    if (kind & FORWARDED) headers[name] = value;
    if (kind & READ) said += `\n${name}\n${value}`;
    if (name === 'origin') current.origin = true;
  });
  current.request = request;
  current.headers = headers;
  return said;
}

export function body(request) {
  // To ask whether there is a body would make a stream of it, for nothing.
  return settle(request.arrayBuffer());
}

export function piece(body, at, into) {
  into.set(new Uint8Array(body, at, into.length));
}

export function send(method, lines, body) {
  const task = current;
  const [url, ...pairs] = lines.split('\n');
  const headers = method ? {} : task.headers;
  // The key of an earlier attempt may have been in another header.
  if (!method && task.credential && task.credential !== pairs[0]) delete headers[task.credential];
  if (!method) task.credential = pairs[0];
  for (let at = 0; at < pairs.length; at += 2) headers[pairs[at]] = pairs[at + 1];
  let answer;
  try {
    // Redirects are not followed: a key never follows a Location.
    answer = fetch(url, { method: method || task.request.method, headers, body, redirect: 'manual' });
  } catch (reason) {
    return settle(Promise.reject(reason)); // nothing may be thrown through Rust
  }
  const number = (promises = (promises + 1) >>> 0);
  answer.then(
    (response) => resume(task, number, response.status, response),
    (reason) => resume(task, number, 0, reason),
  );
  return number;
}

/** The names of each set of gauges: see `names_of_gauges` in glue.rs. */
const gauges = [];

export function low(response, set, most) {
  const names = (gauges[set] ??= worker.names_of_gauges(set).split('\n'));
  const headers = response.headers;
  return names.some((name) => {
    const value = headers.get(name);
    return value !== null && !(Number(value) > most);
  });
}

/** As in respond.rs. */
const EXPOSED =
  '*, retry-after, x-should-retry, one-balance-attempts, one-balance-incomplete, x-request-id, request-id, x-goog-upload-url, x-goog-upload-status, x-goog-upload-chunk-granularity';

/** What the provider's edge says of its own address: cookies, and how to reach it. */
const NOT_PASSED = ['set-cookie', 'strict-transport-security'];

export function pass(response, attempts, changed) {
  if (response.status === 101) return response; // a WebSocket cannot be rewrapped
  // Most answers can go on as they are. Making another one of each is a twentieth of all that a
  // request costs.
  if (attempts === 1 && !changed && !current.origin) {
    const headers = response.headers;
    if (!NOT_PASSED.some((name) => headers.has(name))) return response;
  }
  // A fetched answer's headers are read-only; an answer made from it has the same native body and
  // headers of its own.
  let passed;
  try {
    passed = new Response(response.body, response);
  } catch {
    return response; // a status that no Response can be made with
  }
  const headers = passed.headers;
  for (const name of NOT_PASSED) headers.delete(name);
  headers.set('one-balance-attempts', attempts);
  headers.set('access-control-allow-origin', '*');
  headers.set('access-control-expose-headers', EXPOSED);
  return passed;
}
