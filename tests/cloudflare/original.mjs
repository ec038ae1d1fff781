// What the TypeScript One Balance leaves behind: its database, with a few keys, and its Worker.

const hour = Math.floor(Date.now() / 1000) + 3600;
const key = (id, text, provider, coolings, status) =>
  `INSERT INTO keys (id, key, provider, model_coolings, status) VALUES ('${id}', '${text}', '${provider}', ${coolings ? `'${coolings}'` : 'NULL'}, '${status}');`;

export const KEYS = 4;
export const COOLINGS = 1;

export const ORIGINAL = `
CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL);
INSERT INTO d1_migrations (name) VALUES ('0000_init.sql');
CREATE TABLE \`keys\` (
  \`id\` text PRIMARY KEY NOT NULL, \`key\` text NOT NULL, \`provider\` text NOT NULL, \`model_coolings\` text,
  \`total_cooling_seconds\` integer DEFAULT 0 NOT NULL, \`status\` text DEFAULT 'active' NOT NULL, \`remark\` text,
  \`created_at\` integer DEFAULT (strftime('%s', 'now')) NOT NULL, \`updated_at\` integer DEFAULT (strftime('%s', 'now')) NOT NULL
);
CREATE UNIQUE INDEX \`provider_key_unq_idx\` ON \`keys\` (\`provider\`,\`key\`);
${key('1', 'AIzaSyA-of-the-original-1', 'google-ai-studio', null, 'active')}
${key('2', 'AIzaSyA-of-the-original-2', 'google-ai-studio', `{"gemini-2.5-pro":{"end_at":${hour},"total_seconds":60}}`, 'active')}
${key('3', 'AIzaSyA-of-the-original-3', 'google-ai-studio', null, 'blocked')}
${key('4', 'sk-of-the-original-4', 'openai', '{}', 'active')}
`;

/** Its Worker, as `wrangler deploy` left it: tokens as a plain variable. Returns its version. */
export function originalWorker(cloudflare, account, database, tokens) {
  const script = cloudflare.script(account, 'one-balance', [
    { type: 'ai', name: 'AI' },
    { type: 'd1', name: 'DB', id: database.id },
    { type: 'plain_text', name: 'AUTH_KEY', text: tokens },
    { type: 'plain_text', name: 'AI_GATEWAY', text: 'one-balance' },
    { type: 'plain_text', name: 'CONSECUTIVE_429_THRESHOLD', text: '2' },
    { type: 'plain_text', name: 'MAX_ATTEMPTS', text: '9' },
  ]);
  return script.versions[0].id;
}
