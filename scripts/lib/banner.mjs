// What `npm start` says when everything runs: where, with which token, against what, and three
// lines to copy.

import { windows } from './paths.mjs';
import { bold, dim } from './say.mjs';

const TOKEN_UNKNOWN = 'YOUR_TOKEN';

export function banner({ url, token, gateway }) {
  const shownToken = token ?? TOKEN_UNKNOWN;
  return [
    '',
    `  ${bold('One Balance is running.')}`,
    '',
    `  Page    ${bold(`${url}/`)}`,
    `  Token   ${token ? bold(token) : 'every token in .dev.vars has a scope or expires; choose one there'}`,
    ...(gateway ? real(gateway) : SIMULATED),
    '',
    '  Add a key:',
    command(url, '/admin/api/keys', `authorization: Bearer ${shownToken}`, {
      provider: 'google-ai-studio',
      keys: gateway ? 'YOUR_GEMINI_KEY' : 'AIza-demo-key-1',
    }),
    '',
    '  Ask Gemini:',
    command(url, '/api/google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent', `x-goog-api-key: ${shownToken}`, {
      contents: [{ parts: [{ text: 'Say hello.' }] }],
    }),
    '',
    "  Ask in OpenAI's format, streamed:",
    command(url, '/api/compat/chat/completions', `authorization: Bearer ${shownToken}`, {
      model: 'google-ai-studio/gemini-2.5-flash',
      stream: true,
      messages: [{ role: 'user', content: 'Say hello.' }],
    }),
    '',
    dim('  Ctrl-C stops everything. Logs: .wrangler/dev.log'),
    '',
  ].join('\n');
}

const SIMULATED = [
  '  Gateway SIMULATED on this machine: answers are made up and nothing leaves it. Any provider key',
  '          works, unless it contains invalid, expired, suspended, leaked, nocredit or slow: then it',
  '          behaves like that. Set CLOUDFLARE_ACCOUNT_ID or GATEWAY_URL in .dev.vars for a real one.',
];

const real = ({ name, value }) => [`  Gateway REAL: ${name}=${value}`];

/** One line, for bash or zsh; on Windows for any PowerShell, which mangles quotes in arguments. */
export function command(url, path, header, body) {
  const json = JSON.stringify(body);
  const stream = body.stream ? '-N ' : "-w '\\n' ";
  if (windows) {
    return `  '${json}' | curl.exe -s ${stream}"${url}${path}" -H "${header}" -H "content-type: application/json" --data-binary "@-"`;
  }
  return `  curl -s ${stream}'${url}${path}' -H '${header}' -H 'content-type: application/json' -d '${json}'`;
}
