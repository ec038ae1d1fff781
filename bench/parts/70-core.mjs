// The core alone, natively: see tools/bench-core. divan prints a tree, which is read here.

import { forCargo } from '../../scripts/lib/cargo.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { mustRun } from '../../scripts/lib/run.mjs';
import { table } from '../world.mjs';

export const title = 'The core alone';

export async function run({ quick }) {
  const { output } = await mustRun(
    'cargo',
    ['bench', '--manifest-path', inRoot('tools', 'bench-core', 'Cargo.toml'), '--', '--max-time', quick ? '0.05' : '0.5', '--color', 'never'],
    forCargo({ env: { CARGO_TARGET_DIR: inRoot('tools', 'bench-core', 'target') } }),
    'The benches of the core failed: see above.',
  );
  return { text: table(['', 'median', 'throughput'], rowsOf(output)), goals: [] };
}

/** Name, median and, on the line below, the median throughput where bytes are counted. */
function rowsOf(lines) {
  const rows = [];
  const path = [];
  for (const line of lines) {
    const found = /^([\s│]*)[├╰]─ (\S+)\s*(.*)$/.exec(line);
    const columns = (found ? found[3] : line).split('│').map((cell) => cell.trim());
    if (found) {
      path[found[1].length / 3] = found[2];
      path.length = found[1].length / 3 + 1;
      if (/\d/.test(columns[2] ?? '')) rows.push([path.join(' ').replaceAll('_', ' '), columns[2], '']);
    } else if (rows.length > 0 && /B\/s/.test(line)) {
      rows.at(-1)[2] = columns.filter((cell) => cell.includes('B/s'))[2] ?? '';
    }
  }
  return rows;
}
