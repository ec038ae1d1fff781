// How cargo is run: its progress bar read, its chatter left out.

const CHATTER =
  /^\s*(Building \[|Updating|Downloading|Downloaded|Locking|Compiling|Checking|Adding|Installing|Installed|Replacing|Finished|Running|Blocking|Fresh|Dirty|Fetch|warning: (be sure to add|package `.* in Cargo\.lock is yanked))/;

// Cargo draws its progress bar into a pipe too, when asked.
const PROGRESS_BAR = { CARGO_TERM_PROGRESS_WHEN: 'always', CARGO_TERM_PROGRESS_WIDTH: '80' };

/**
 * The options of `run` for a program that is cargo or runs it; `progress` gets "12 of 210". Lines
 * that match `quiet` are left out as well.
 */
export const forCargo = ({ env, progress = () => {}, quiet, ...options }) => ({
  ...options,
  env: { ...PROGRESS_BAR, ...env },
  quiet: quiet ? new RegExp(`${CHATTER.source}|${quiet.source}`) : CHATTER,
  onLine: (line) => {
    const bar = /Building \[.*\] (\d+)\/(\d+)/.exec(line);
    if (bar) progress(`${bar[1]} of ${bar[2]}`);
  },
});
