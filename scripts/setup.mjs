// Installs what is missing to build and run the Worker: `npm run setup`. The other scripts do it
// themselves. It needs nothing but Node and Rust.

import { main } from './lib/main.mjs';
import { npmPackages } from './lib/npm.mjs';
import { bringRust, requireRust, wasmToolchain } from './lib/rust.mjs';
import { say } from './lib/say.mjs';
import { buildTools } from './lib/tools.mjs';

/** Side by side: the first mostly waits for the network, the others for the processor. */
export async function setup() {
  await bringRust();
  requireRust();
  const [, toolchain, tools] = await Promise.all([npmPackages(), wasmToolchain(), buildTools()]);
  return { toolchain, tools };
}

await main(import.meta.url, async () => {
  await setup();
  say('Everything is installed.');
});
