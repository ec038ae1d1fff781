// English. The words of every other language have the same shape: see `Words`.

import type { Values } from '../lib/api';
import { dateTime, number as n } from '../lib/format';

const rules = new Intl.PluralRules('en');
/** "1 key", "2 keys". */
const many = (count: number, one: string, other = `${one}s`) => `${n(count)} ${rules.select(count) === 'one' ? one : other}`;
const keys = (count: number) => many(count, 'key');
const text = (value: unknown) => String(value ?? '');
const num = (value: unknown) => n(Number(value));

export const en = {
  otherLanguage: '中文',
  language: 'Language', theme: 'Theme',
  themes: { system: 'As the system', light: 'Light', dark: 'Dark' },
  skip: 'Skip to content', main: 'Main', more: 'More',
  loading: 'Loading…', tryAgain: 'Try again', close: 'Close', cancel: 'Cancel', save: 'Save', copy: 'Copy', copied: 'Copied.',
  copyFailed: 'The browser does not let this page copy. Select the text and copy it by hand.',
  undo: 'Undo', undone: (count: number) => `Taken back for ${keys(count)}.`, saved: 'Saved.', refresh: 'Refresh', edit: 'Edit', all: 'All', search: 'Search', apply: 'Apply',
  any: 'Any', done: 'Done', clear: 'Clear', 
  updated: (when: string) => `Updated ${when}`,
  utc: 'Days are counted in UTC.',
  every: 'every model', free: 'free models', 

  nav: {
    overview: 'Overview', keys: 'Keys', tokens: 'Tokens', connect: 'Connect', activity: 'Activity', settings: 'Settings',
    signOut: 'Sign out',
  },

  time: { d: 'd', h: 'h', min: 'min', s: 's', ms: 'ms', gap: ' ', justNow: 'just now', over: 'over', until: (when: string) => `until ${when}` },

  states: { ready: 'ready', cooling: 'cooling', blocked: 'blocked', disabled: 'disabled', deleted: 'deleted', active: 'active', expired: 'expired', twice: 'twice in this text' },
  reasons: {
    rate_limit: 'rate limit', day_quota: 'daily quota used up', month_quota: 'monthly quota used up', capacity: 'too many at once',
    billing: 'no credit or billing', spend_limit: 'spend limit reached', model_access: 'no access to the model', permission: 'lacks a permission',
    invalid: 'invalid', expired: 'expired', leaked: 'leaked', suspended: 'suspended',
    restricted: 'restricted', service_disabled: 'API not enabled', unauthorized: 'refused (401)', forbidden: 'refused (403)',
    administrator: 'by an administrator', overloaded: 'overloaded', server_error: 'server error', unreachable: 'not reached', timeout: 'no answer in time', location: 'refused for the place',
  },
  uncertain: 'uncertain: the key may still be good',
  sources: { stated: 'said by the provider', guessed: 'estimated' },

  signIn: {
    title: 'Sign in', lead: 'Use a token of AUTH_KEY that has no scope.', token: 'Token', button: 'Sign in', missing: 'Enter a token.',
    kept: 'The token is not kept. You stay signed in for 12 hours, or until you sign out.',
    signedOut: 'You are signed out.', ended: 'Your session is over. Sign in again.', show: 'Show what is typed', hide: 'Hide what is typed',
  },

  overview: {
    title: 'Overview', success: 'Success', usable: 'Usable keys', 
    ofKeys: (count: number) => `of ${n(count)}`, requestsToday: 'Requests today', successToday: 'Success today',
    failedOf: (count: number) => (count === 0 ? 'none failed' : `${n(count)} failed`), noneYet: 'no request yet', rateLimited: (count: number) => `${n(count)} × 429 on the way`,
    exhaustedNow: 'Models without a key', exhaustedNone: 'every model has a key', nextRelief: 'next relief',
    providers: 'Providers', provider: 'Provider', keys: 'Keys', exhausted: 'Exhausted models', addKeys: 'Add keys',
    chart: 'Requests by outcome', range: 'Time range', day: '24 hours', month: '30 days', allProviders: 'All providers',
    chartOf: (what: string) => `Chart: ${what}`, chartSum: (total: number, ok: number, bad: number) => `${many(total, 'request')}: ${n(ok)} succeeded, ${n(bad)} failed.`, local: 'Hours are in your time zone.',
    succeeded: 'Succeeded', failed: 'Failed', limited: 'Rate-limited attempts',
    attention: 'Needs attention', allWell: 'All is well', allWellText: 'No warnings.', showAll: (count: number) => `Show ${n(count)} more`, showFewer: 'Show fewer',
    noRequests: 'No request in this time.', countedAt: (when: string) => `Keys counted ${when}`, keysOf: (name: string) => `Keys of ${name}`, moreModels: (count: number) => `${n(count)} more`,
    blockedBecause: (list: string) => `Blocked: ${list}`,
    first: {
      title: 'Welcome. Three steps to the first answer', lead: 'The pool is empty: it has no key that a request could use.',
      add: 'Add keys', addText: 'Paste the API keys of a provider: one line or thousands.',
      token: 'Make a token', tokenText: 'Give each client a token of its own, with its models and limits. Or use the one in AUTH_KEY.',
      connect: 'Connect a client', connectText: 'Copy ready settings for SDKs and apps, and try a request here.',
    },
  },

  warnings: {
    no_keys_at_all: () => 'There is no key in the pool yet.',
    no_usable_key: (v: Values) => `No key of ${text(v.provider)} can be used: all are blocked, disabled or cooling.`,
    exhausted: (v: Values) => `No usable key for ${v.model === '*' ? `any model of ${text(v.provider)}` : `${text(v.model)} (${text(v.provider)})`} until ${dateTime(Number(v.until))}.`,
    blocked_since_yesterday: (v: Values, reason: string) => `${keys(Number(v.count))} of ${text(v.provider)} blocked since yesterday: ${reason}.`,
    egress_refused: (v: Values) => `${text(v.provider)} refuses requests from where they leave (${many(Number(v.count), 'time')}). Its keys are not at fault.`,
    gateway_error: (v: Values) => `The AI Gateway refuses requests to ${text(v.provider)} with code ${text(v.gateway_code)} (${many(Number(v.count), 'time')}). Check its settings.`,
    store_trouble: (v: Values) => `D1 did not answer ${many(Number(v.count), 'time')} lately. Requests go on from memory.`,
    locked_keys: (v: Values) => `${keys(Number(v.count))} cannot be read: ENCRYPTION_KEY is missing or is another one.`,
  },

  problems: {
    not_a_number: (v: Values) => `${text(v.name)} is not a whole number; ${text(v.used)} is used instead.`,
    not_on_or_off: (v: Values) => `${text(v.name)} must be "on" or "off"; "off" is used.`,
    custom_header: (v: Values) => `Entry ${text(v.entry)} of CUSTOM_HEADERS is left out. One looks like custom-acme=x-api-key or custom-acme=authorization: Token.`,
    not_one_of_two: (v: Values) => `${text(v.name)} must be "${text(v.used)}" or "${text(v.other)}"; "${text(v.used)}" is used.`,
    not_an_affinity: () => 'AFFINITY must be "off", "explicit" or "auto"; "explicit" is used.',
    gateway: () => 'The address of the AI Gateway is not known. Set CLOUDFLARE_ACCOUNT_ID (and AI_GATEWAY, if the gateway is not called one-balance), or bind AI.',
    gateway_url: () => 'GATEWAY_URL must be an address that begins with https:// and has no query. (http:// is for this machine only.)',
    gateway_name: () => 'AI_GATEWAY must be the name of the gateway: letters, digits, - and _.',
    account_id: () => 'CLOUDFLARE_ACCOUNT_ID must be the id of the account: 32 hexadecimal digits, which stand in the address of the dashboard.',
    encryption_key: () => 'ENCRYPTION_KEY or ENCRYPTION_KEY_OLD is not 32 random bytes in base64. Until that is mended no keys are added, since they could not be encrypted.',
    webhook_url: () => 'WEBHOOK_URL must be an address that begins with https://. (http:// is for this machine only.)',
    webhook_kind: () => 'WEBHOOK_KIND must be json, telegram, discord or feishu.',
    webhook_chat: () => 'Messages to Telegram also need WEBHOOK_CHAT_ID.',
    webhook_telegram: () => 'For Telegram, WEBHOOK_URL must be https://api.telegram.org/bot<token>/sendMessage.',
    token_ignored: (v: Values) => `Entry ${text(v.entry)} of AUTH_KEY is ignored: it cannot be read.`,
    token_short: (v: Values) => `Entry ${text(v.entry)} of AUTH_KEY is short and can be guessed. Use a long random one.`,
    token_scope_unknown: (v: Values) => `The scope of entry ${text(v.entry)} of AUTH_KEY names a provider that is not known.`,
    token_scope_compat: (v: Values) => `The scope of entry ${text(v.entry)} of AUTH_KEY names compat, which has no keys. Name the providers.`,
    token_expiry_milliseconds: (v: Values) => `The expiry of entry ${text(v.entry)} of AUTH_KEY seems to be in milliseconds; seconds are meant.`,
    token_repeated: (v: Values) => `Entry ${text(v.entry)} of AUTH_KEY is there twice.`,
  },

  keys: {
    title: 'Keys', of: (name: string) => `Keys of ${name}`, allProviders: 'All providers', choose: 'Provider',
    add: 'Add keys', searchHint: 'Remark, first or last characters, or a whole key', filters: 'Filters', state: 'State', anyState: 'Any state', reason: 'Reason', anyReason: 'Any reason',
    model: 'Cooling for model', modelHint: 'such as gemini-2.5-pro', tag: 'Tag', project: 'Project', clearFilters: 'Clear filters', moreFilters: 'More filters',
    key: 'Key', provider: 'Provider', remark: 'Remark', stateColumn: 'State', coolings: 'Cooling for', today: 'Today', lastUsed: 'Last used', age: 'Added', tags: 'Tags', priority: 'Priority',
    sort: 'Sort', sortBy: (what: string) => `Sort by ${what}`, 
    sorts: { created: 'Added', updated: 'Changed', remark: 'Remark', state: 'State', cooled: 'Cooled in all', priority: 'Priority', requests_today: 'Requests today', last_used: 'Last used' },
    count: (total: number) => keys(total), range: (from: number, to: number, total: number) => `${n(from)}–${n(to)} of ${n(total)}`,
    perPage: 'Per page', pages: 'Pages', nextPage: 'Next page', previousPage: 'Previous page',
    pick: (hint: string) => `Select ${hint}`, pickPage: 'Select all on this page', selected: (count: number) => `${n(count)} selected`,
    selectAll: (count: number) => `Select all ${n(count)}`, unselect: 'Deselect', bulk: 'Selected keys',
    open: (hint: string) => `Details of ${hint}`, actionsOf: (hint: string) => `Actions for ${hint}`,
    emptyTitle: 'No keys here yet', emptyText: 'Add the first ones: paste them, or drop a file.', noMatch: 'No key matches', noMatchText: 'Change the search or the filters.',
    moreCoolings: (count: number) => `${n(count)} more`, usedToday: 'today',
    actions: {
      test: 'Test', restore: 'Restore', disable: 'Disable', enable: 'Enable', clear_coolings: 'Clear coolings', delete: 'Delete',
      set_remark: 'Set remark', set_priority: 'Set priority', set_project: 'Set project', add_tags: 'Add tags', remove_tags: 'Remove tags', export: 'Export',
    },
    will: {
      delete: (count: number, where: string) => `${keys(count)}${where} will be deleted: no request uses them any more. You can undo this for one minute; after that they are gone for good.`,
      disable: (count: number, where: string) => `${keys(count)}${where} will be disabled: no request uses them until you enable them again. You can undo this for one minute.`,
      restore: (count: number, where: string) => `${keys(count)}${where} will be made ready, and their coolings end: requests use them again at once, also those that their provider rejected. You can undo this for one minute.`,
      clear_coolings: (count: number, where: string) => `The coolings of ${keys(count)}${where} will end: requests use them again at once, even if their quota is still used up. You can undo this for one minute.`,
    },
    ofProvider: (name: string) => ` of ${name}`,
    ask: {
      delete: (count: number) => `Delete ${keys(count)}?`, disable: (count: number) => `Disable ${keys(count)}?`, restore: (count: number) => `Restore ${keys(count)}?`, clear_coolings: (count: number) => `Clear the coolings of ${keys(count)}?`,
    },
    did: {
      delete: (count: number) => `${keys(count)} deleted.`, disable: (count: number) => `${keys(count)} disabled.`, enable: (count: number) => `${keys(count)} enabled.`, restore: (count: number) => `${keys(count)} restored.`,
      clear_coolings: (count: number) => `Coolings of ${keys(count)} cleared.`, set_remark: (count: number) => `Remark of ${keys(count)} set.`, set_priority: (count: number) => `Priority of ${keys(count)} set.`,
      set_project: (count: number) => `Project of ${keys(count)} set.`, add_tags: (count: number) => `${keys(count)} tagged.`, remove_tags: (count: number) => `Tags of ${keys(count)} removed.`, set_tags: (count: number) => `Tags of ${keys(count)} set.`,
    },
    forKeys: (count: number) => `For ${keys(count)}.`, tagsHint: 'Separated by commas.', priorityHint: 'Keys with a higher one are used first: -1000 to 1000.', projectHint: 'Keys of one project share a quota: when one cools, all do. For Azure it is the name of the resource, for Vertex AI the id of the project: keys are used for requests to it alone.',
    helpText: '/ search, j and k or arrows to move, x to select, Enter to open, Esc to close',
    exportTitle: (count: number) => `Export ${keys(count)}`, exportText: 'The file holds the keys themselves, in the clear. Keep it safe. Each export is logged.', exportFormat: 'Format', exportJson: 'JSON, with remarks and tags', exportText2: 'Text, one key a line', exportNone: 'JSON without the keys themselves', exported: (count: number) => `${keys(count)} exported.`,
    testTitle: (count: number) => `Test ${keys(count)}`, testText: (count: number) => `The provider is asked about ${count === 1 ? 'it' : 'each'}, with a question that costs nothing. Keys that are certainly bad become blocked, blocked ones that work become ready.`, testStart: 'Start', testStop: 'Stop', testProgress: (done: number, all: number) => `${n(done)} of ${n(all)} tested`, testStopped: 'Stopped.',
  },

  drawer: {
    title: 'Key', reveal: 'Reveal', hide: 'Hide', revealTitle: 'Reveal this key?', revealText: 'The whole key is shown on the screen. That it was revealed is logged.', copyKey: 'Copy key', copiedKey: 'Key copied. That it was revealed is logged.',
    test: 'Test now', testing: 'Asking the provider…', id: 'Number', project: 'Project', priority: 'Priority', tags: 'Tags', remark: 'Remark', added: 'Added', changed: 'Changed', cooledFor: 'Cooled in all', lastUsed: 'Last used', requestsToday: 'Requests today',
    coolings: 'Coolings', noCoolings: 'It never had to cool.', model: 'Model', ends: 'Ends', source: 'Source', strikes: 'In a row', total: 'In all', past: 'Past', clearCoolings: 'Clear coolings',
    usage: 'Attempts of 30 days', noUsage: 'Not used in the last 30 days.', events: 'What happened', noEvents: 'Nothing yet.', succeeded: 'Succeeded', 
    gone: 'There is no such key. It may have been deleted.', noRemark: 'none', editTitle: 'Edit key', previousKey: 'Previous key', nextKey: 'Next key',
  },
  outcomes: { works: 'works', limited: 'known, but out of quota', rejected: 'rejected', unclear: 'unclear', untestable: 'cannot be tested for free', missing: 'gone' },
  outcomeChanged: { restored: 'It is ready again.', blocked: 'It is blocked now.' },
  tested: (word: string, ms: string) => `Test: ${word} (${ms})`,

  add: {
    title: 'Add keys', provider: 'Provider', custom: 'Custom provider…', customSlug: 'Name in the gateway', customHint: 'custom-<slug>, as in your AI Gateway.', text: 'Keys', textHint: 'One key a line or separated by commas; CSV, JSON, .env, exports of the original One Balance and of gpt-load.',
    file: 'Choose a file', drop: 'Drop the file here', dropHint: 'or drop one here', dropped: (name: string, size: string) => `${name} (${size})`, pasted: 'Pasted text', linesOf: (lines: number, size: string) => `${many(lines, 'line')}, ${size}`, takeOut: 'Take out', tooBig: (most: string) => `The text is longer than ${most}. Add it in parts.`, notText: 'This file is no text.',
    preview: 'Preview', previewing: (done: number, total: number) => `Reading: ${n(done)} of ${n(total)}`, again: 'Edit the text', details: 'For all of them', add: (count: number) => `Add ${keys(count)}`, nothingToAdd: 'Nothing to add',
    remark: 'Remark', tags: 'Tags', priority: 'Priority', project: 'Project', restore: (count: number) => `Restore ${keys(count)} that ${count === 1 ? 'is' : 'are'} there but blocked or disabled`, testAfter: 'Test each after adding', testHint: 'With a question that costs nothing.',
    empty: 'Paste some keys, or choose a file.', autoProvider: 'As the text says',
    status: { new: 'New', existing: 'Already there', repeated: 'Twice in this text', invalid: 'Cannot be read', warned: 'Look odd' }, statusAll: 'All',
    line: 'Line', key: 'Key', what: 'What about it', leaveOut: (hint: string) => `Include ${hint}`, include: 'Add', leftOut: (count: number) => `${n(count)} left out`,
    formats: { lines: 'lines', csv: 'CSV', json: 'JSON', env: '.env', sql: 'SQL', export: 'an export' }, readAs: (format: string, count: number) => `Read as ${format}: ${many(count, 'entry', 'entries')}.`,
    isThere: (state: string) => `already there, ${state}`, firstLine: (line: number) => `the same as in line ${n(line)}`, willAdd: 'new',
    problems: {
      blank_inside: () => 'There is a blank inside it.', odd_character: (v: Values) => `It has a character that no key has: ${text(v.character)}.`, too_short: (v: Values) => `It is shorter than ${num(v.least)} characters. Copy the whole key.`, too_long: (v: Values) => `It is longer than ${num(v.most)} characters.`,
      no_provider: () => 'It does not say whose key it is. Choose a provider.', unknown_provider: (v: Values) => `The provider ${text(v.provider)} is not known.`, sealed: () => 'It is encrypted with another ENCRYPTION_KEY.',
      broken_service_account: () => 'It looks like the file of a service account, but it is no JSON. Paste the whole file as it is, from { to }.',
    },
    oddities: {
      other_provider: (v: Values) => `It looks like a key of ${text(v.provider)}.`, unusual_prefix: (v: Values) => `Keys of this provider usually begin with ${Array.isArray(v.prefixes) ? v.prefixes.join(' or ') : text(v.prefixes)}.`, trimmed: () => 'Quotes or invisible characters around it were taken off.',
    },
    adding: (done: number, total: number) => `Adding: ${n(done)} of ${n(total)}`, result: 'Result', added: (count: number) => `${keys(count)} added`, restored: (count: number) => `${keys(count)} restored`, skipped: (count: number) => `${keys(count)} already there`, refused: (count: number) => `${many(count, 'entry', 'entries')} not added`,
    stopped: 'Stopped. What was added before stays.', testResult: 'Test', stop: 'Stop', show: 'Show the keys', more: 'Add more', moreRows: (count: number) => `${n(count)} more are not shown.`, leaveTitle: 'Leave without adding?', leaveText: 'What you have pasted is not kept.', leave: 'Leave',
  },

  tokens: {
    title: 'Tokens', lead: 'What clients present instead of a provider’s key. They open the API only, never this page.', make: 'New token', name: 'Name', nameHint: 'Who uses it: “Cherry Studio on my phone”.', scope: 'May use', everything: 'everything', scopeHint: 'Without a provider: all of them. A model may end in * to mean all that begin so.', provider: 'Provider', models: 'Models', modelsHint: 'all, or gemini-2.5-*, gpt-5', addRule: 'Add provider', removeRule: 'Remove provider', anyProvider: 'Every provider',
    expires: 'Expires', never: 'never', expiry: 'Expiry', inDays: (days: number) => `in ${many(days, 'day')}`, atDate: 'on a date…', perMinute: 'Requests per minute', perDay: 'Requests per day', noLimit: 'no limit', limits: 'Limits', perMinuteShort: (count: number) => `${n(count)}/min`, perDayShort: (count: number) => `${n(count)}/day`, enabled: 'Enabled', today: 'Today', month: '30 days', lastUsed: 'Last used', status: 'Status', token: 'Token',
    emptyTitle: 'No tokens yet', emptyText: 'Make one for each client: then you see who uses what, and can revoke one alone.',
    once: 'Copy it now: it is shown this once', onceText: 'Only its digest is kept. If it is lost, make a new one.', isCopied: 'I have copied it', connect: 'How to connect',
    edit: 'Edit token', revoke: 'Revoke', revokeTitle: (name: string) => `Revoke “${name}”?`, revokeText: 'Clients that use it are refused from now on, everywhere within half a minute. This cannot be undone.', revoked: (name: string) => `“${name}” revoked.`, disable: 'Disable', enable: 'Enable', actionsOf: (name: string) => `Actions for ${name}`,
    authKey: 'In AUTH_KEY', authKeyText: 'Read-only here: change the secret AUTH_KEY.', administrator: 'administrator', entry: (entry: number) => `Entry ${n(entry)}`, nameMissing: 'Give it a name.', badDate: 'Choose a time to come.',
  },

  connect: {
    title: 'Connect', lead: 'Everything that speaks to a provider’s API speaks to this address, with one of your tokens where it wants an API key.', provider: 'Provider', model: 'Model', format: 'App', yourToken: 'YOUR_TOKEN', tokenHint: 'Stands for one of your tokens. Make one under Tokens.', 
    fields: { provider: 'Provider type', name: 'Name', key: 'API key', host: 'API host', model: 'Model', address: 'API base URL', file: 'File', run: 'Run' },
    cherry: 'Settings → Model Provider → Add. Fill in exactly these:', cherryNote: 'The address ends without “/v1”: Cherry Studio adds the version by itself.', openwebui: 'Admin Panel → Settings → Connections → OpenAI API → Add:', shell: 'In the shell', python: 'Python', js: 'JavaScript',
    claudeNote: 'Claude Code speaks Anthropic’s format: it needs keys of anthropic.', geminiNote: 'Gemini CLI speaks Gemini’s format: it needs keys of google-ai-studio.', unsupported: 'This app speaks another format than this provider. Choose another provider above.',
    try: 'Try it', tryText: 'Sends one small streamed request with your session. It uses a key of the pool and counts.', prompt: 'Prompt', promptDefault: 'Say hello in five words.', send: 'Send', stop: 'Stop', answer: 'Answer', waiting: 'Waiting for the first words…', usedKey: 'Key', attempts: 'Attempts', first: 'First words', total: 'In all', status: 'Status', noText: 'The answer has no text.', stopped: 'Stopped.', failed: (status: number) => `HTTP ${status}`, needModel: 'Enter a model.',
    apps: { curl: 'curl', openai: 'OpenAI SDK', gemini: 'Gemini SDK', anthropic: 'Anthropic SDK', cherry: 'Cherry Studio', claude: 'Claude Code', geminicli: 'Gemini CLI', openwebui: 'Open WebUI' },
  },

  activity: {
    title: 'Activity', events: 'Events', requests: 'Failed requests', eventsLead: 'What changed the state of keys, and why.', requestsLead: 'Requests of clients that failed, with each attempt. A sample: not every one is kept.', auto: 'Refresh by itself', provider: 'Provider', anyProvider: 'Every provider', verdict: 'Event', anyVerdict: 'Every event', reason: 'Reason', anyReason: 'Every reason', status: 'Status', model: 'Model', anyStatus: 'Every status', 
    time: 'Time', key: 'Key', what: 'What', message: 'The provider’s words', noEvents: 'Nothing happened yet', noEventsText: 'When a key cools, is blocked, or is changed by hand, it is here.', noRequests: 'No failed requests', noRequestsText: 'Requests that failed lately would be here.', older: 'Older', newest: 'Newest', code: 'Why', attempts: 'Attempts', took: 'Took', token: 'Token', attempt: (count: number) => many(count, 'attempt'), trail: 'Attempts of this request', noAttempts: 'No key was asked.', goneKey: 'deleted key', paused: 'Paused while you look at older ones.', show: 'Details',
    verdicts: { cool: 'cooled', reject: 'blocked', restore: 'restored', delete: 'deleted', disable: 'disabled', undo: 'taken back', reveal: 'revealed', export: 'exported', egress: 'refused for the place', gateway: 'gateway error', success: 'succeeded', caller: 'request at fault', transient: 'provider trouble', add: 'added', enable: 'enabled', home: 'project found' },
    sentences: { put_back_for_a_try: 'Put back into the pool for one try.', cannot_be_sent: 'It has characters that cannot be sent in a header.' },
    codes: {
      keys_exhausted: 'every key exhausted', no_keys: 'no keys', bad_request: 'bad request', token_out_of_scope: 'outside the token’s scope', token_missing: 'no token', token_unknown: 'unknown token', token_expired: 'expired token', token_disabled: 'disabled token', token_limited: 'token’s limit reached',
      not_found: 'no such address', model_not_found: 'unknown model', method_not_allowed: 'wrong method', request_too_large: 'body too large', not_configured: 'AUTH_KEY not set', upstream_unreachable: 'provider not reached', gateway_misconfigured: 'gateway not set up', gateway_limited: 'gateway limit', store_unavailable: 'D1 did not answer', internal_error: 'internal error',
    },
  },

  settings: {
    title: 'Settings', problems: 'Problems', noProblems: 'No problems found in the settings.', gateway: 'AI Gateway', gatewayUnknown: 'Its address is not known. Set CLOUDFLARE_ACCOUNT_ID or GATEWAY_URL.', simulated: 'Simulated: no real provider is asked', version: 'Version', placement: 'Answered from', worker: 'This Worker', valuesText: 'Set in wrangler.toml, read-only here.', on: 'on', off: 'off', session: 'Your session', sessionEnds: 'Ends', tokenId: 'Token',
    direct: 'Requests go to the providers’ own addresses', directText: 'UPSTREAM=direct: what an AI Gateway adds is not there (custom providers, its log, its cache, its limits). Workers AI also needs CLOUDFLARE_ACCOUNT_ID.',
    webhook: {
      title: 'Messages', test: 'Send a test message', sent: 'Sent: it should be there now.',
      kinds: { json: 'your own address', telegram: 'Telegram', discord: 'Discord', feishu: 'Feishu' },
      goes: (to: string, least: number) => `One Balance writes to ${to} when keys are blocked${least > 0 ? `, and when a provider has fewer than ${many(least, 'usable key')}` : ''}.`,
      none: 'When keys run low or are blocked, One Balance can tell you: by Telegram, Discord, Feishu, or at an address of yours. Set its address:',
      problems: {
        webhook_not_set: () => 'WEBHOOK_URL is not set, or is not what it must be.', webhook_unreachable: () => 'Its address cannot be reached.', webhook_slow: (v: Values) => `It did not answer within ${many(Number(v.seconds), 'second')}.`,
        webhook_refused: (v: Values) => `It was refused with HTTP ${text(v.status)}${v.answer ? `: ${text(v.answer)}` : '.'}`,
      },
    },
    export: 'Export', exportText: 'A copy of the whole pool, to keep or to move. Adding keys reads it again.', exportAll: 'Export all keys', appearance: 'Appearance', api: 'Admin API', apiText: 'Everything that this page does can be scripted.',
    names: { max_attempts: 'Keys that one request may try', consecutive_429_threshold: 'Unexplained 429s in a row that use up the day', check_streams: 'Look into streams', retry_empty: 'Ask again after an empty answer' },
  },

  errors: {
    offline: 'One Balance does not answer: check the connection.', slow: 'One Balance did not answer in time.',
    strange: (status: number) => (status ? `One Balance answered HTTP ${status} and did not say why.` : 'Something went wrong in this page.'),
    crashed: 'This view has failed.', crashedText: 'Reload the page. If it happens again, please report it.', reload: 'Reload',
    codes: {
      token_missing: () => 'Enter a token.', token_unknown: () => 'This token is not known: it is not in AUTH_KEY.', token_expired: () => 'This token has expired.', session_expired: () => 'Your session is over. Sign in again.',
      not_administrator: () => 'This token is limited by a scope, so it cannot manage the pool. Use one without a scope.', not_configured: () => 'AUTH_KEY is not set, so every request is refused. Set it: npx wrangler secret put AUTH_KEY',
      too_many_wrong_tokens: (v: Values) => `Too many wrong tokens. Try again in ${many(Number(v.seconds), 'second')}.`, csrf: () => 'The browser did not say that this page asks. Reload it and try again.',
      required: () => 'This is needed.', out_of_range: (v: Values) => `It must be a number from ${num(v.least)} to ${num(v.most)}.`, too_long: (v: Values) => `It may have at most ${num(v.most)} characters.`, bad_tag: () => 'A tag has 1 to 40 characters and no comma.', too_many_tags: (v: Values) => `At most ${num(v.most)} tags.`, bad_scope: (v: Values) => `“${text(v.part)}” is no scope.`, in_the_past: () => 'Choose a time to come.', unknown_provider: (v: Values) => `There is no provider “${text(v.provider)}”.${v.meant ? ` Do you mean ${text(v.meant)}?` : ''}`,
      no_keys_in_paste: () => 'There is no key in this text.', no_such_key: () => 'There is no such key. It may have been deleted.', locked: () => 'This key is encrypted with another ENCRYPTION_KEY. Set that one as ENCRYPTION_KEY_OLD to read it.', no_such_token: () => 'There is no such token. It may have been revoked.', undo_expired: () => 'It is too late to take this back.', selection_changed: (v: Values) => `Meanwhile ${num(v.found)} instead of ${keys(Number(v.expected))} match. Nothing was done: look again.`, too_many: (v: Values) => `These are ${num(v.count)}; at most ${num(v.most)} at once.`, request_too_large: () => 'This is too much at once. Send it in parts.',
      not_sealed: () => 'Keys are not encrypted here: ENCRYPTION_KEY is not set.', gateway_misconfigured: () => 'The AI Gateway cannot be reached: its settings are wrong or missing. See Settings.',
      bad_body: () => 'One Balance could not read what this page sent. Reload the page and try again.', bad_request: () => 'One Balance does not understand this request. Reload the page and try again.', not_found: () => 'One Balance does not know this address. Reload the page: it may be of another version.', method_not_allowed: () => 'One Balance does not do this here. Reload the page: it may be of another version.',
      unknown_field: () => 'One Balance does not know one of these fields. Reload the page: it may be of another version.', wrong_type: () => 'This is of another kind than what is wanted here.', not_one_of: (v: Values) => `It must be one of: ${Array.isArray(v.allowed) ? v.allowed.join(', ') : text(v.allowed)}.`,
      store_unavailable: () => 'The database (D1) does not answer. Try again in a moment.', internal_error: () => 'One Balance has failed; the reason is in its log. Try again.',
    },
  },
};

export type Words = typeof en;
