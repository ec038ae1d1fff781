// Questions to whoever sits at the terminal.

import { createInterface } from 'node:readline/promises';
import { clearStatus } from '../say.mjs';

/** Whether somebody is there to answer. */
export const canAsk = ({ ci }) => !ci && process.stdin.isTTY === true && process.stdout.isTTY === true;

export async function ask(question) {
  clearStatus();
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await lines.question(question)).trim();
  } finally {
    lines.close();
  }
}

/** Asks for a secret: what is typed or pasted is not shown. */
export function askHidden(question) {
  clearStatus();
  process.stdout.write(question);
  const { stdin } = process;
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  stdin.resume();
  return new Promise((resolve) => {
    let text = '';
    const end = (result) => {
      stdin.off('data', take);
      stdin.setRawMode(false);
      stdin.pause();
      process.stdout.write('\n');
      resolve(result);
    };
    const take = (chunk) => {
      for (const character of chunk) {
        if (character === '\r' || character === '\n' || character === '\x04') return end(text.trim());
        if (character === '\x03') {
          end('');
          process.kill(process.pid, 'SIGINT');
          return;
        }
        text = character === '\x7f' || character === '\b' ? text.slice(0, -1) : text + character;
      }
    };
    stdin.on('data', take);
  });
}
