// Which port the Worker listens on, and whether it is free.

import { createServer } from 'node:net';
import { fail } from './say.mjs';

export const HOST = '127.0.0.1';
const DEFAULT = 8787;

/** From `--port N`, `--port=N` or PORT. */
export function choosePort(args) {
  const at = args.findIndex((arg) => arg === '--port' || arg.startsWith('--port='));
  const text = at < 0 ? process.env.PORT : (args[at].split('=')[1] ?? args[at + 1]);
  const port = text === undefined || text === '' ? DEFAULT : Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  return fail(`${text} is not a port: choose a number from 1 to 65535, such as npm start -- --port ${DEFAULT}.`);
}

export async function requireFree(port) {
  const problem = await new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error.code));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
  if (problem === undefined) return;
  const why = problem === 'EADDRINUSE' ? 'is already in use' : `cannot be used (${problem})`;
  fail(`Port ${port} ${why}: choose another one with npm start -- --port ${port === DEFAULT ? DEFAULT + 1 : DEFAULT}.`);
}
