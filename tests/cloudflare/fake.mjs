// Cloudflare's API, as far as `npm run deploy` and wrangler use it, on loopback. It is as particular
// as the real one: whoever is not signed in, may not, or asks for what does not exist is refused
// with Cloudflare's own codes, and a call that it does not know fails the test. D1 is real SQLite.
//
//   const cloudflare = await FakeCloudflare.start();
//   const account = cloudflare.account('A name');
//   const token = cloudflare.token({ lacks: ['d1:write'] });
//   account.after = (call) => {};      // when a call was carried out, before it is answered

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import http from 'node:http';
import { Miniflare, NoOpLog } from 'miniflare';
import { statements } from '../harness.mjs';

const DATABASES = 64;
export const RIGHTS = ['accounts:read', 'workers:read', 'workers:write', 'd1:read', 'd1:write', 'gateway:read', 'gateway:write'];

class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.errors = [{ code, message }];
  }
}

const refuse = (status, code, message) => {
  throw new Refused(status, code, message);
};

export class FakeCloudflare {
  static async start() {
    const fake = new FakeCloudflare();
    const names = Array.from({ length: DATABASES }, (_, index) => `d${index}`);
    fake.mf = new Miniflare({
      modules: true,
      script: 'export default { fetch() { return new Response() } }',
      d1Databases: Object.fromEntries(names.map((name) => [name, name])),
      log: new NoOpLog(),
      cf: false,
    });
    fake.free = names;
    fake.server = http.createServer((request, response) => fake.serve(request, response));
    await new Promise((resolve) => fake.server.listen(0, '127.0.0.1', resolve));
    fake.origin = `http://127.0.0.1:${fake.server.address().port}`;
    fake.url = `${fake.origin}/client/v4`;
    fake.reset();
    return fake;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await this.mf.dispose();
  }

  reset() {
    this.accounts = new Map();
    this.tokens = new Map();
    this.exports = new Map();
    this.calls = [];
    this.strange = [];
    this.stale = 0;
  }

  account(name, { subdomain = 'tester' } = {}) {
    const account = {
      id: randomBytes(16).toString('hex'),
      name,
      subdomain,
      databases: new Map(),
      gateways: new Map(),
      scripts: new Map(),
    };
    this.accounts.set(account.id, account);
    return account;
  }

  /** A token with all rights on these accounts (else on all), but for those it lacks. */
  token({ lacks = [], accounts, active = true, owned = false } = {}) {
    for (const right of lacks) assert.ok(RIGHTS.includes(right), right);
    const token = randomBytes(20).toString('hex');
    this.tokens.set(token, { rights: RIGHTS.filter((right) => !lacks.includes(right)), accounts, active, owned });
    return token;
  }

  /** What changed something, in order. */
  get changes() {
    return this.calls.filter(({ changes }) => changes);
  }

  // === HTTP ===

  async serve(request, response) {
    const url = new URL(request.url, this.origin);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const call = { method: request.method, path: url.pathname.replace('/client/v4', ''), query: url.searchParams, changes: false };
    const send = (status, value, type = 'application/json') => {
      response.writeHead(status, { 'content-type': type });
      response.end(type === 'application/json' ? JSON.stringify(value) : value);
    };
    if (call.path.startsWith('/__exports/')) {
      this.calls.push(call);
      const text = this.exports.get(call.path);
      return text === undefined ? send(404, {}) : send(200, text, 'application/sql');
    }
    if (call.path.startsWith('/__gateways/')) return this.knocked(call, request, send);
    if (call.path.startsWith('/__workers/')) return this.worker(call, send);
    this.calls.push(call);
    try {
      const account = this.accounts.get(call.path.split('/')[2]);
      await account?.before?.(call);
      const result = await this.answer(call, request.headers, body);
      await account?.after?.(call);
      const { result_info, ...rest } = result?.result_info ? result : { result };
      send(200, { success: true, errors: [], messages: [], ...rest, ...(result_info ? { result_info } : {}) });
    } catch (error) {
      if (!(error instanceof Refused)) {
        this.strange.push(`${call.method} ${call.path}: ${error.stack}`);
        return send(500, { success: false, errors: [{ code: 10002, message: 'internal error' }], messages: [], result: null });
      }
      call.refused = error.errors[0].code;
      send(error.status, { success: false, errors: error.errors, messages: [], result: null });
    }
  }

  /** What a deployed Worker answers to /healthz, from its own variables and database. */
  async worker(call, send) {
    const [, , accountId, name, rest] = call.path.split('/');
    const script = this.accounts.get(accountId)?.scripts.get(name);
    if (!script || rest !== 'healthz' || !script.subdomain?.enabled) return send(404, 'There is nothing here yet', 'text/plain');
    let version = active(script);
    if (this.stale > 0) {
      this.stale -= 1;
      version = script.versions.at(-2) ?? { bindings: [] };
    }
    const deployment = version.bindings.find((one) => one.name === 'DEPLOYMENT')?.text;
    if (deployment === undefined) return send(404, 'not One Balance', 'text/plain');
    const bound = version.bindings.find((one) => one.type === 'd1');
    const tables = await this.tables(this.accounts.get(accountId).databases.get(bound.id));
    const ok = tables.includes('provider_keys');
    send(ok ? 200 : 503, { ok, d1: ok, version: '0', deployment });
  }

  /** What gateway.ai.cloudflare.com answers to whoever comes without any key. */
  knocked(call, request, send) {
    const [, , accountId, name] = call.path.split('/');
    const account = this.accounts.get(accountId);
    const own = (status, code) => send(status, { success: false, result: [], messages: [], error: [{ code, message: 'x' }], name: 'AiGatewayError', internalCode: code });
    if (account.deaf) return request.destroy();
    const gateway = account.gateways.get(name);
    if (!gateway) return own(400, 2001);
    if (gateway.authentication) return own(401, 2009);
    return send(401, { error: { message: "You didn't provide an API key.", type: 'invalid_request_error', code: null } });
  }

  async answer(call, headers, body) {
    const token = this.signedIn(headers);
    const { path, method } = call;
    // A token that belongs to an account is unknown where users' tokens are.
    if (token.owned && path.startsWith('/user')) return refuse(401, 1000, 'Invalid API Token');
    if (path === '/user/tokens/verify') return { id: 'x', status: token.active ? 'active' : 'disabled' };
    const mine = [...this.accounts.values()].filter(({ id }) => !token.accounts || token.accounts.includes(id));
    if (path === '/user' && method === 'GET') return { id: 'u', email: 'someone@example.com' };
    if (path === '/accounts' && method === 'GET') {
      const all = token.rights.includes('accounts:read') ? mine : [];
      return paged(call, all.map(({ id, name }) => ({ id, name, type: 'standard' })));
    }
    if (path === '/memberships' && method === 'GET') return paged(call, mine.map(({ id, name }) => ({ id: `m-${id}`, account: { id, name } })));

    const [, accountId, rest] = /^\/accounts\/([0-9a-f]{32})(\/.*)$/.exec(path) ?? [];
    if (!accountId) return this.unknown(call);
    const account = mine.find(({ id }) => id === accountId);
    if (!account) return refuse(403, 10000, 'Authentication error');
    if (rest === '/tokens/verify') return token.owned ? { id: 'x', status: 'active' } : refuse(401, 1000, 'Invalid API Token');
    for (const [prefix, right, handle] of [
      ['/d1/database', 'd1', this.d1],
      ['/ai-gateway/gateways', 'gateway', this.gateway],
      ['/workers/', 'workers', this.workers],
    ]) {
      if (!rest.startsWith(prefix)) continue;
      const may = (verb) => {
        if (!token.rights.includes(`${right}:${verb}`)) refuse(403, 10000, 'Authentication error');
        if (verb === 'write') call.changes = true;
      };
      return handle.call(this, call, rest.slice(prefix.length), { account, may, body, headers });
    }
    return this.unknown(call);
  }

  signedIn(headers) {
    if (!headers.authorization) refuse(400, 9106, 'Missing X-Auth-Key, X-Auth-Email or Authorization headers');
    const text = /^Bearer ([\w-]+)$/.exec(headers.authorization)?.[1];
    if (!text) refuse(400, 6003, 'Invalid request headers');
    return this.tokens.get(text) ?? refuse(401, 1000, 'Invalid API Token');
  }

  unknown(call) {
    this.strange.push(`${call.method} ${call.path}`);
    return refuse(404, 7003, `Could not route to ${call.path}, perhaps your object identifier is invalid?`);
  }

  // === D1 ===

  async database(account, name, script) {
    const id = randomUUID();
    const slot = this.free.pop() ?? assert.fail('no database is left: raise DATABASES');
    const database = { id, name, d1: await this.mf.getD1Database(slot), bookmarks: new Map() };
    account.databases.set(id, database);
    if (script) await this.run(database, script);
    return database;
  }

  async run(database, sql, params = []) {
    const list = statements(sql);
    if (list.length === 0) refuse(400, 7500, 'No SQL statements detected.');
    try {
      return await database.d1.batch(list.map((one) => database.d1.prepare(one).bind(...params)));
    } catch (error) {
      return refuse(400, 7500, String(error.message));
    }
  }

  async rows(database, sql) {
    return (await database.d1.prepare(sql).all()).results;
  }

  async tables(database) {
    return (await this.rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")).map(({ name }) => name);
  }

  async dump(database) {
    const schema = await this.rows(database, "SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY type = 'index'");
    let text = 'PRAGMA defer_foreign_keys=TRUE;\n';
    for (const { name, type, sql } of schema) {
      text += `${sql};\n`;
      if (type !== 'table') continue;
      for (const row of await this.rows(database, `SELECT * FROM "${name}"`)) {
        const columns = Object.keys(row).map((column) => `"${column}"`).join(',');
        text += `INSERT INTO "${name}" (${columns}) VALUES(${Object.values(row).map(quote).join(',')});\n`;
      }
    }
    return text;
  }

  async restore(database, dump) {
    const drop = (await this.tables(database)).filter((name) => !/^(sqlite|_cf_)/.test(name)).map((name) => `DROP TABLE "${name}"`);
    await this.run(database, [...drop, ...statements(dump).filter((one) => !one.startsWith('PRAGMA'))].join(';\n'));
  }

  async d1(call, rest, { account, may, body }) {
    const { method, query } = call;
    if (rest === '' && method === 'GET') {
      may('read');
      const name = query.get('name') ?? '';
      return paged(call, [...account.databases.values()].filter((one) => one.name.includes(name)).map(described));
    }
    if (rest === '' && method === 'POST') {
      may('write');
      const { name } = JSON.parse(body);
      if (!/^[\w-]{1,64}$/.test(name ?? '')) refuse(400, 7400, 'Invalid database name');
      if ([...account.databases.values()].some((one) => one.name === name)) refuse(400, 7502, `A database with that name already exists`);
      return described(await this.database(account, name));
    }
    const [, id, action] = /^\/([0-9a-f-]{36})(\/.*)?$/.exec(rest) ?? [];
    const database = account.databases.get(id) ?? refuse(404, 7404, `The database ${id} could not be found`);
    switch (`${method} ${action ?? ''}`) {
      case 'GET ':
        may('read');
        return described(database);
      case 'POST /query': {
        const { sql, params } = JSON.parse(body);
        call.sql = sql;
        const reads = statements(sql).every((one) => /^SELECT\b/i.test(one));
        may(reads ? 'read' : 'write');
        return (await this.run(database, sql, params)).map(({ results, success, meta }) => ({ results, success, meta }));
      }
      case 'POST /export': {
        may('write');
        call.changes = false;
        const { output_format: format, current_bookmark: bookmark } = JSON.parse(body);
        if (format !== 'polling') refuse(400, 7400, 'output_format must be polling');
        const polled = { success: true, type: 'export', at_bookmark: 'b1', messages: [] };
        if (!bookmark) return { ...polled, status: 'active' };
        const path = `/__exports/${randomUUID()}`;
        this.exports.set(path, await this.dump(database));
        return { ...polled, status: 'complete', result: { filename: 'export.sql', signed_url: this.origin + path } };
      }
      case 'GET /time_travel/bookmark': {
        may('read');
        const name = `00000000-${randomBytes(4).toString('hex')}-0000-${randomBytes(8).toString('hex')}`;
        database.bookmarks.set(name, await this.dump(database));
        return { bookmark: name };
      }
      case 'POST /time_travel/restore': {
        may('write');
        const dump = database.bookmarks.get(query.get('bookmark')) ?? refuse(400, 7400, 'Invalid bookmark');
        await this.restore(database, dump);
        return { bookmark: query.get('bookmark'), previous_bookmark: 'b0', message: 'restored' };
      }
      default:
        return this.unknown(call);
    }
  }

  // === AI Gateway ===

  gateway(call, rest, { account, may, body }) {
    if (rest === '' && call.method === 'POST') {
      may('write');
      const wanted = JSON.parse(body);
      for (const name of ['cache_invalidate_on_update', 'cache_ttl', 'collect_logs', 'id', 'rate_limiting_interval', 'rate_limiting_limit']) {
        if (wanted[name] === undefined) refuse(400, 7001, `Required: ${name}`);
      }
      if (!/^[a-z0-9_-]{1,64}$/.test(wanted.id)) refuse(400, 7001, 'Invalid id');
      if (account.gateways.has(wanted.id)) refuse(409, 7003, 'Gateway already exists');
      account.gateways.set(wanted.id, { authentication: false, ...wanted });
      return account.gateways.get(wanted.id);
    }
    if (call.method === 'GET' && rest.startsWith('/')) {
      may('read');
      return account.gateways.get(decodeURIComponent(rest.slice(1))) ?? refuse(404, 7002, 'Gateway not found');
    }
    return this.unknown(call);
  }

  // === Workers ===

  async workers(call, rest, { account, may, body, headers }) {
    const { method, query } = call;
    if (rest === 'subdomain' && method === 'GET') {
      may('read');
      if (!account.subdomain) refuse(404, 10007, 'This account does not have a workers.dev subdomain');
      return { subdomain: account.subdomain };
    }
    if (rest === 'subdomain' && method === 'PUT') {
      may('write');
      const { subdomain } = JSON.parse(body);
      if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(subdomain ?? '')) refuse(400, 10033, 'invalid subdomain');
      if (subdomain === 'taken') refuse(409, 10031, 'Subdomain is unavailable');
      account.subdomain = subdomain;
      return { subdomain };
    }
    const service = /^services\/([\w-]+)$/.exec(rest)?.[1];
    if (service && method === 'GET') {
      may('read');
      const script = account.scripts.get(service) ?? refuse(404, 10090, 'workers.api.error.service_not_found');
      return { id: service, default_environment: { environment: 'production', script: { id: service, tag: script.tag, tags: script.tags, last_deployed_from: script.from } } };
    }
    const [, name, action] = /^scripts\/([\w-]+)(\/.*)?$/.exec(rest) ?? [];
    if (!name) return this.unknown(call);
    const script = account.scripts.get(name);
    const there = () => script ?? refuse(404, 10007, 'This Worker does not exist on your account.');
    const what = `${method} ${action ?? ''}`;
    const version = /^GET \/versions\/([0-9a-f-]{36})$/.exec(what)?.[1];
    if (version) {
      may('read');
      const found = there().versions.find(({ id }) => id === version) ?? refuse(404, 10087, 'version not found');
      return described2(found);
    }
    switch (what) {
      case 'GET /settings':
        may('read');
        return { bindings: active(there()).bindings.map(visible), compatibility_date: '2026-01-01', tags: there().tags };
      case 'GET /deployments':
        may('read');
        return { deployments: there().deployments };
      case 'GET /versions':
        may('read');
        return { items: there().versions.map(described2) };
      case 'GET /secrets':
        may('read');
        return active(there()).bindings.filter(({ type }) => type === 'secret_text').map(visible);
      case 'PUT ': {
        may('write');
        const made = await this.upload(account, script, query, headers, body);
        const now = script ?? this.script(account, name);
        now.versions.push(made);
        deployTo(now, made.id);
        return { id: name, etag: 'e', deployment_id: made.id.replaceAll('-', ''), startup_time_ms: 1 };
      }
      case 'POST /versions': {
        may('write');
        const made = await this.upload(account, there(), query, headers, body);
        script.versions.push(made);
        return { id: made.id, startup_time_ms: 1, resources: { script: { etag: 'e' } } };
      }
      case 'POST /deployments': {
        may('write');
        const { strategy, versions } = JSON.parse(body);
        if (strategy !== 'percentage' || versions.length !== 1 || versions[0].percentage !== 100) refuse(400, 10021, 'percentages must add up to 100');
        if (!there().versions.some(({ id }) => id === versions[0].version_id)) refuse(404, 10087, 'version not found');
        return deployTo(script, versions[0].version_id);
      }
      case 'PATCH /script-settings':
        may('write');
        there();
        return JSON.parse(body);
      case 'GET /subdomain':
        may('read');
        return there().subdomain;
      case 'POST /subdomain':
        may('write');
        there().subdomain = { previews_enabled: false, ...JSON.parse(body) };
        return script.subdomain;
      case 'PUT /schedules': {
        may('write');
        const crons = JSON.parse(body);
        if (crons.length > 5) refuse(400, 10072, 'too many cron triggers');
        there().schedules = crons.map(({ cron }) => cron);
        return { schedules: crons };
      }
      default:
        return this.unknown(call);
    }
  }

  /** Somebody else's Worker, the original, or what an upload makes. */
  script(account, name, bindings) {
    const script = { tag: randomUUID(), tags: null, from: 'wrangler', versions: [], deployments: [], subdomain: { enabled: false, previews_enabled: false }, schedules: [] };
    account.scripts.set(name, script);
    if (bindings) {
      const id = randomUUID();
      script.versions.push({ id, bindings, created: new Date().toISOString() });
      deployTo(script, id);
    }
    return script;
  }

  /** A new version: what is uploaded, checked, with what it keeps of the one before. */
  async upload(account, script, query, headers, body) {
    if (query.get('bindings_inherit') !== 'strict') refuse(400, 10021, 'bindings_inherit');
    const form = await new Response(body, { headers: { 'content-type': headers['content-type'] } }).formData();
    const metadata = JSON.parse(await textOf(form.get('metadata')));
    const main = form.get(metadata.main_module) ?? refuse(400, 10021, 'No such module as main_module');
    if (main.type !== 'application/javascript+module') refuse(400, 10021, `main_module is ${main.type}`);
    if (!/^\d{4}-\d\d-\d\d$/.test(metadata.compatibility_date ?? '')) refuse(400, 10021, 'compatibility_date');
    const modules = [...form.entries()].filter(([name]) => name !== 'metadata').map(([name, file]) => ({ name, type: file.type, size: file.size }));
    const names = new Set();
    for (const one of metadata.bindings) {
      if (names.has(one.name)) refuse(400, 10021, `binding ${one.name} is there twice`);
      names.add(one.name);
      if (one.type === 'd1' && !account.databases.has(one.id)) refuse(400, 10021, `binding ${one.name} of type d1 must have a valid \`id\` specified`);
      if (one.type === 'secret_text' && !one.text) refuse(400, 10021, `binding ${one.name} has no text`);
      if (one.type === 'plain_text' && (typeof one.text !== 'string' || one.text.length > 5_120)) refuse(400, 10021, `binding ${one.name} of type plain_text`);
      if (!['d1', 'secret_text', 'plain_text', 'ai'].includes(one.type)) refuse(400, 10021, `binding of type ${one.type}`);
    }
    const before = script ? script.versions.at(-1).bindings : [];
    const kept = before.filter((one) => (metadata.keep_bindings ?? []).includes(one.type) && !names.has(one.name));
    return { id: randomUUID(), bindings: [...metadata.bindings, ...kept], metadata, modules, created: new Date().toISOString() };
  }
}

const quote = (value) => (value === null ? 'NULL' : typeof value === 'number' ? String(value) : `'${String(value).replaceAll("'", "''")}'`);
const textOf = (part) => (typeof part === 'string' ? part : part.text());
const described = ({ id, name }) => ({ uuid: id, name, version: 'production', num_tables: 0, file_size: 1, created_at: '2026-01-01T00:00:00Z' });
const described2 = ({ id, created, bindings }) => ({ id, number: 1, metadata: { created_on: created, author_email: 'a@example.com', source: 'wrangler' }, annotations: {}, resources: { bindings: bindings.map(visible), script: { etag: 'e' } } });

/** The value of a secret is never told. */
const visible = ({ type, name, text, ...rest }) => (type === 'secret_text' ? { type, name } : { type, name, ...(text === undefined ? {} : { text }), ...rest });

function deployTo(script, versionId) {
  const deployment = { id: randomUUID(), created_on: new Date().toISOString(), source: 'wrangler', strategy: 'percentage', author_email: 'a@example.com', annotations: {}, versions: [{ version_id: versionId, percentage: 100 }] };
  script.deployments.unshift(deployment);
  return deployment;
}

/** The version that serves. */
export const active = (script) => {
  const id = script.deployments[0]?.versions[0].version_id;
  return script.versions.find((one) => one.id === id) ?? { bindings: [] };
};

function paged({ query }, all) {
  const page = Number(query.get('page') ?? 1);
  const per = Math.min(Number(query.get('per_page') ?? 20), 100);
  return { result: all.slice((page - 1) * per, page * per), result_info: { page, per_page: per, count: Math.min(per, all.length), total_count: all.length } };
}
