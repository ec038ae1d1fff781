// Questions to whoever sits at the terminal.

import { createInterface } from 'node:readline';
import { interrupt } from '../main.mjs';
import { Failure, clearStatus } from '../say.mjs';

/** Whether somebody is there to answer. */
export const canAsk = ({ ci }) => !ci && process.stdin.isTTY === true && process.stdout.isTTY === true;

export function ask(question) {
  clearStatus();
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => {
      lines.close();
      interrupt('SIGINT');
      reject(new Failure('Interrupted.'));
    });
    lines.question(question, (answer) => {
      lines.close();
      resolve(answer.trim());
    });
  });
}

/** Asks for a secret: what is typed or pasted is not shown. */
export function askHidden(question) {
  clearStatus();
  const { stdin } = process;
  stdin.setRawMode(true); // before the question: nothing that is typed is shown
  process.stdout.write(question);
  stdin.setEncoding('utf8');
  stdin.resume();
  return new Promise((resolve, reject) => {
    let text = '';
    const end = () => {
      stdin.off('data', take);
      stdin.setRawMode(false);
      stdin.pause();
      process.stdout.write('\n');
    };
    const take = (chunk) => {
      for (const character of chunk) {
        if (character === '\x03') {
          end();
          interrupt('SIGINT');
          reject(new Failure('Interrupted.'));
          return;
        }
        if (character === '\r' || character === '\n' || character === '\x04') {
          end();
          resolve(text.trim());
          return;
        }
        text = character === '\x7f' || character === '\b' ? text.slice(0, -1) : text + character;
      }
    };
    stdin.on('data', take);
  });
}
