// All output of the scripts: one clear sentence for a failure, one line per step, and what is
// going on meanwhile (a line that updates on a terminal, a line now and then elsewhere).

const terminal = process.stdout.isTTY === true;
const HEARTBEAT_MS = 20_000;
const FRAME_MS = 120;

export const bold = (text) => paint(1, text);
export const dim = (text) => paint(2, text);
export const red = (text) => paint(31, text);
export const green = (text) => paint(32, text);

const paint = (code, text) =>
  terminal && !process.env.NO_COLOR ? `\x1b[${code}m${text}\x1b[0m` : text;

export const withoutColour = (text) => text.replace(/\x1b\[[\d;]*m/g, '');

/** What the reader can do something about: shown as it is, without a stack trace. */
export class Failure extends Error {}

export function fail(sentence) {
  throw new Failure(sentence);
}

export function say(text = '') {
  clearStatus();
  process.stdout.write(`${text}\n`);
}

const running = new Set();
let ticker;
let quiet = false;

/** From now on steps end without a word: something else has failed, or the reader wants to stop. */
export function hushSteps() {
  quiet = true;
  clearInterval(ticker);
  clearStatus();
}

/**
 * Runs `work(progress)` under a title. `usually` says how long it takes, for steps that are worth
 * waiting for. Steps may run side by side. A step that resolves to `false` could not be done, which
 * is no failure.
 */
export async function step(title, usually, work) {
  const state = { title, note: '', started: Date.now(), told: Date.now() };
  running.add(state);
  say(`${dim('·')} ${title}${usually ? dim(` (usually ${usually})`) : ''}`);
  ticker ??= setInterval(tick, terminal ? FRAME_MS : 1_000);
  try {
    const result = await work((note) => (state.note = note));
    say(`${result === false ? '-' : green('✓')} ${title}${result === false ? ': not possible' : ''} ${dim(elapsed(state.started))}`);
    return result;
  } catch (error) {
    if (!quiet) say(`${red('✗')} ${title} ${dim(elapsed(state.started))}`);
    throw error;
  } finally {
    running.delete(state);
    if (running.size === 0) {
      clearInterval(ticker);
      ticker = undefined;
    }
  }
}

export function elapsed(since) {
  const seconds = Math.round((Date.now() - since) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

let frame = 0;
let statusShown = false;

function tick() {
  if (terminal) return drawStatus();
  for (const state of running) {
    if (Date.now() - state.told < HEARTBEAT_MS) continue;
    state.told = Date.now();
    process.stdout.write(`  ${describe(state)}\n`);
  }
}

function drawStatus() {
  const spinner = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'[frame++ % 10];
  const text = [...running].map(describe).join(' | ');
  const width = (process.stdout.columns ?? 80) - 3;
  process.stdout.write(`\r\x1b[K${spinner} ${text.slice(0, width)}`);
  statusShown = true;
}

export function clearStatus() {
  if (statusShown) process.stdout.write('\r\x1b[K');
  statusShown = false;
}

const describe = ({ title, note, started }) =>
  `${title}: ${note ? `${note}, ` : ''}${elapsed(started)}`;
