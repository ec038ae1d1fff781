// Keys that belong to a place: an Azure key to one resource, a service account to one project.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { attemptsOf, eventually, startWorld } from './harness.mjs';

const world = await startWorld({
  isolates: { main: {}, second: {} },
  others: {
    small: { WORKING_SET: '5' },
    direct: { UPSTREAM: 'direct', GATEWAY_URL: undefined, CLOUDFLARE_ACCOUNT_ID: '0123abcd' },
  },
});
beforeEach(() => world.fresh());
afterEach(() => world.assertClean());

const messages = [{ role: 'user', content: 'hi' }];
const contents = [{ role: 'user', parts: [{ text: 'hi' }] }];

/** A chat with a deployment of a resource. */
const azure = (resource, { isolate = 'main', deployment = 'gpt', query = '?api-version=2024-10-21' } = {}) =>
  world[isolate].api(`azure-openai/${resource}/${deployment}/chat/completions${query}`, { json: { messages } });

const vertexPath = (project, region = 'europe-west4') =>
  `google-vertex-ai/v1/projects/${project}/locations/${region}/publishers/google/models/gemini-2.5-flash:generateContent`;
const vertex = (project, { isolate = 'main', region } = {}) => world[isolate].api(vertexPath(project, region), { json: { contents } });

/** Keys that the simulator knows as `settings` say, in the pool with their project. */
async function pool(provider, ...settings) {
  const keys = settings.map(({ project, key, ...one }) => ({ project, sim: { provider, key: key ?? world.makeKey(provider), ...one } }));
  await world.sim.keys(keys.map(({ sim }) => sim));
  const added = await world.main.addKeys(provider, keys.map(({ project, sim }) => ({ key: sim.key, ...(project ? { project } : {}) })));
  assert.equal(added.added_count, keys.length, JSON.stringify(added));
  return keys.map(({ sim }) => sim.key);
}

const stored = () => world.query('SELECT id, state, project FROM provider_keys ORDER BY id');
const coolings = () => world.query('SELECT key_id, model, reason FROM coolings ORDER BY key_id, model');

describe('keys of several Azure resources in one pool', () => {
  test('a request is sent with a key of the resource that its path names, and no other', async () => {
    const [a1, b1, a2, b2] = await pool('azure-openai', { home: 'a', project: 'a' }, { home: 'b', project: 'B' }, { home: 'a', project: 'a' }, { home: 'b', project: 'b' });
    for (const [resource, expected] of [['a', [a1, a2]], ['B', [b1, b2]], ['b', [b1, b2]]]) {
      for (const isolate of ['main', 'second', 'main', 'second']) {
        const answer = await azure(resource, { isolate });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(attemptsOf(answer), 1);
        assert.ok(expected.includes((await world.sim.last()).key), resource);
      }
    }
    assert.deepEqual([...new Set((await stored()).map(({ state }) => state))], ['ready']);
  });

  test('where a key is at home is found out by trying, once, and costs no key', async () => {
    const homes = ['a', 'b', 'c', 'a', 'b', 'c'];
    await pool('azure-openai', ...homes.map((home) => ({ home })));
    for (const resource of ['a', 'b', 'c']) {
      const answer = await azure(resource);
      assert.equal(answer.status, 200, answer.text);
      assert.ok(attemptsOf(answer) <= 5, attemptsOf(answer));
    }
    await eventually(async () => (await stored()).filter(({ project }) => project).length >= 3);
    for (const [at, { state, project }] of (await stored()).entries()) {
      assert.equal(state, 'ready');
      assert.ok(project === '' || project === homes[at], `${at}: ${project}`);
    }
    // From now on the right one comes first, in every isolate.
    await world.restart();
    for (const isolate of ['main', 'second']) {
      for (const resource of homes) assert.equal(attemptsOf(await azure(resource, { isolate })), 1, resource);
    }
    const events = (await world.main.manage('GET', 'events?verdict=home')).events;
    assert.ok(events.length >= 3 && homes.includes(events[0].message), JSON.stringify(events[0]));
  });

  test('an answer from the cache does not show where a key is at home', async () => {
    await pool('azure-openai', { home: 'a' });
    await world.sim.faults({ status: 200, headers: { 'cf-aig-cache-status': 'HIT', 'content-type': 'application/json' }, body: '{}' });
    assert.equal((await azure('b')).status, 200);
    assert.equal((await azure('a')).status, 200);
    await eventually(async () => (await stored())[0].project === 'a');
  });

  test('a key that is not of the resource keeps its name and its state, and cools there alone', async () => {
    await pool('azure-openai', { home: 'a' });
    const refused = await azure('b');
    assert.equal(refused.status, 503, refused.text);
    assert.equal(await world.sim.count(), 1);
    await eventually(async () => (await coolings()).length === 1);
    assert.deepEqual((await coolings()).map(({ model, reason }) => [model, reason]), [['b/*', 'invalid']]);
    assert.equal((await azure('b', { isolate: 'second' })).status, 503);
    assert.equal(await world.sim.count(), 1, 'it is not asked again, for any deployment');
    assert.equal((await azure('b', { deployment: 'other' })).status, 503);
    assert.equal(await world.sim.count(), 1);
    assert.equal((await azure('a')).status, 200);
    await eventually(async () => (await stored())[0].project === 'a');
    assert.equal((await stored())[0].state, 'ready');
  });

  test('a key that is refused where it is at home is blocked, and the next one serves', async () => {
    await pool('azure-openai', { home: 'a', project: 'a', state: 'invalid' }, { home: 'a', project: 'a' });
    for (let n = 0; n < 3; n += 1) assert.equal((await azure('a')).status, 200);
    await eventually(async () => (await stored()).filter(({ state }) => state === 'blocked').length === 1);
    const of = (await stored()).find(({ state }) => state === 'blocked');
    assert.equal(of.project, 'a');
  });

  test('no key of the resource: the caller is told so, and nothing is sent', async () => {
    await pool('azure-openai', { home: 'a', project: 'a' }, { home: 'b', project: 'b' });
    const answer = await azure('Elsewhere');
    assert.equal(answer.status, 503);
    assert.equal(answer.json.error.code, 'no_keys');
    assert.match(answer.json.error.message, /no usable one of the resource `elsewhere`.*project/);
    assert.equal(await world.sim.count(), 0);
    await pool('google-vertex-ai', { project: 'p', home: 'p' });
    const google = await vertex('q');
    assert.equal(google.status, 503);
    assert.equal(google.json.error.details[0].reason, 'NO_KEYS');
    assert.match(google.json.error.message, /of the project `q`/);
    assert.equal(await world.sim.count(), 0);
  });

  test('a key that gets its project on the page is used', async () => {
    await pool('azure-openai', { home: 'a', project: 'wrong' });
    assert.equal((await azure('a')).status, 503);
    const [{ id }] = await world.main.list();
    await world.main.manage('PATCH', `keys/${id}`, { project: 'A' });
    assert.equal((await azure('a')).status, 200);
  });

  test('when the keys of a resource cool, the caller hears until when, whatever other resources have', async () => {
    await pool('azure-openai', { home: 'a', project: 'a', rpm: 1 }, { home: 'b', project: 'b' });
    assert.equal((await azure('a')).status, 200);
    assert.equal((await azure('a')).status, 429);
    const answer = await azure('a');
    assert.equal(answer.status, 429);
    assert.equal(answer.json.error.code, 'rate_limit_exceeded');
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
    assert.equal((await azure('b')).status, 200);
  });

  test('600 keys of three resources, of which an isolate holds five', async () => {
    await world.use('small');
    const homes = Array.from({ length: 600 }, (_, n) => (n < 3 ? 'rare' : n % 2 ? 'a' : 'b'));
    await pool('azure-openai', ...homes.map((home) => ({ home, project: home })));
    for (const resource of ['a', 'b', 'rare', 'a', 'nowhere', 'rare', 'b']) {
      const answer = await azure(resource, { isolate: 'small' });
      assert.equal(answer.status, resource === 'nowhere' ? 503 : 200, `${resource}: ${answer.text}`);
      if (resource !== 'nowhere') assert.equal(attemptsOf(answer), 1);
    }
    // One that has no keys does not keep others from being looked for.
    await world.restart();
    for (const resource of ['nowhere', 'nothing', 'rare', 'a', 'b']) {
      assert.equal((await azure(resource, { isolate: 'small' })).status, resource.startsWith('no') ? 503 : 200, resource);
    }
  });

  test('600 keys of which nobody knows the resource', async () => {
    await world.use('small');
    await pool('azure-openai', ...Array.from({ length: 600 }, (_, n) => ({ home: 'abc'[n % 3] })));
    const served = [];
    for (let n = 0; n < 30; n += 1) {
      const answer = await azure('abc'[n % 3], { isolate: 'small' });
      assert.ok(answer.status === 200 || answer.status === 401, answer.text);
      served.push(answer.status === 200);
    }
    // With twelve attempts one in a hundred and thirty requests finds none at first.
    assert.ok(served.filter(Boolean).length >= 27, served.join());
    assert.deepEqual([...new Set((await stored()).map(({ state }) => state))], ['ready']);
  });

  test('what is wrong with the request is the caller’s business, not a key’s', async () => {
    await pool('azure-openai', { home: 'a', project: 'a', deployments: ['gpt'] });
    const old = await azure('a', { query: '' });
    assert.deepEqual([old.status, old.json.error.message], [404, 'Resource not found']);
    const missing = await azure('a', { deployment: 'gpt-9' });
    assert.deepEqual([missing.status, missing.json.error.code], [404, 'DeploymentNotFound']);
    assert.equal((await azure('a')).status, 200);
    assert.deepEqual(await coolings(), []);
  });

  test('a batch of one resource, named at another', async () => {
    const [a, b] = await pool('azure-openai', { home: 'a', project: 'a' }, { home: 'b', project: 'b' });
    const batches = (resource, id = '') => world.main.api(`azure-openai/${resource}/dep/batches${id && `/${id}`}?api-version=1`, id ? {} : { json: {} });
    const { json } = await batches('a');
    await eventually(async () => (await world.query('SELECT count(*) AS n FROM objects'))[0].n === 1);
    assert.equal((await batches('a', json.id)).status, 200);
    assert.equal((await world.sim.last()).key, a);
    assert.equal((await batches('b', json.id)).status, 404);
    assert.equal((await world.sim.last()).key, b);
    assert.deepEqual((await stored()).map(({ state }) => state), ['ready', 'ready']);
  });
});

describe('Vertex AI', () => {
  const SECRET = `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC'.repeat(8)}\n-----END PRIVATE KEY-----\n`;
  const file = (project) => ({
    type: 'service_account',
    project_id: project,
    private_key_id: '0123456789abcdef',
    private_key: SECRET,
    client_email: `pool@${project}.iam.gserviceaccount.com`,
    token_uri: 'https://oauth2.googleapis.com/token',
  });
  /** As the simulator knows it: its members by name, as the Worker writes them. */
  const known = (account) => JSON.stringify(Object.fromEntries(Object.entries(account).sort(([a], [b]) => (a < b ? -1 : 1))));

  async function paste(project) {
    const account = file(project);
    await world.sim.keys([{ provider: 'google-vertex-ai', key: known(account), home: project }]);
    world.secrets.add(SECRET.slice(40, 80)).add(Buffer.from(known(account)).toString('base64').slice(200, 260));
    const { added } = await world.main.manage('POST', 'keys', { keys: JSON.stringify(account, null, 2) });
    assert.equal(added.length, 1);
    return added[0];
  }

  test('the file of a service account becomes a key of its project, and goes to the gateway with the region of the request', async () => {
    const account = file('my-project');
    const added = await paste('my-project');
    assert.equal(added.provider, 'google-vertex-ai');
    const [{ secret }] = await world.query('SELECT secret FROM provider_keys');
    assert.deepEqual(JSON.parse(Buffer.from(secret, 'base64').toString()), account);
    const key = (await world.main.manage('GET', `keys/${added.id}`)).key;
    assert.deepEqual([key.project, key.remark], ['my-project', account.client_email]);
    assert.match(key.hint, /^eyJ.….{4}$/);
    const shown = Buffer.from(key.hint.slice(-4), 'base64').toString();
    assert.ok(!SECRET.includes(shown), shown);
    for (const region of ['europe-west4', 'global']) {
      const answer = await vertex('my-project', { region });
      assert.equal(answer.status, 200, answer.text);
      const { headers } = await world.sim.last();
      const sent = JSON.parse(Buffer.from(headers.authorization.replace('Bearer ', ''), 'base64').toString());
      assert.deepEqual(sent, { ...account, region });
    }
    assert.equal((await vertex('other-project')).status, 503);
    assert.equal(await world.sim.count(), 2);
    // A project has a number, too, and nobody here knows whose that is: it is tried.
    assert.equal((await vertex('510607')).status, 503);
    assert.equal(await world.sim.count(), 3);
    assert.equal((await vertex('my-project')).status, 200);
  });

  test('each project with its own account, wherever it was pasted', async () => {
    for (const project of ['p-one', 'p-two']) await paste(project);
    for (const isolate of ['main', 'second']) {
      for (const project of ['p-two', 'p-one', 'p-two']) {
        const answer = await vertex(project, { isolate });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(attemptsOf(answer), 1);
      }
    }
  });

  test('a file that is no JSON is refused in a sentence, and nothing of it is repeated', async () => {
    for (const text of [JSON.stringify(file('p')).slice(0, -2), `{"private_key": "${SECRET}"}`]) {
      const preview = await world.main.manage('POST', 'keys/preview', { provider: 'google-vertex-ai', keys: text });
      assert.equal(preview.counts.invalid, 1);
      const answer = await world.main.manage('POST', 'keys', { provider: 'google-vertex-ai', keys: text });
      assert.deepEqual([answer.added_count, answer.invalid_count], [0, 1]);
      assert.equal(answer.invalid[0].code, 'broken_service_account');
      assert.match(answer.invalid[0].why, /no JSON.*whole file/);
      assert.ok(![preview, answer].some((it) => JSON.stringify(it).includes('MIIE')));
    }
    assert.deepEqual(await stored(), []);
  });

  test('an access token that lacks a project’s permission rests for that project, not for others', async () => {
    await pool('google-vertex-ai', { home: 'q' });
    assert.equal((await vertex('p')).status, 503);
    await eventually(async () => (await coolings()).length === 1);
    assert.deepEqual((await coolings()).map(({ model }) => model), ['p/*']);
    assert.equal((await vertex('q')).status, 200);
    assert.deepEqual((await stored()).map(({ state, project }) => [state, project]), [['ready', '']], 'it may be good for several');
  });

  test('without a gateway a service account is not sent, and other keys are', async () => {
    await world.use('direct');
    const { id } = await paste('p');
    const refused = await vertex('p', { isolate: 'direct' });
    assert.equal(refused.status, 503, refused.text);
    assert.match(refused.json.error.message, /service accounts.*UPSTREAM=direct.*Nothing was sent/);
    const asked = await world.direct.manage('POST', 'keys/test', { ids: [id] });
    assert.equal(asked.results[0].outcome, 'untestable');
    await world.direct.cron();
    assert.equal(await world.sim.count(), 0);
    const [token] = await pool('google-vertex-ai', { key: 'ya29.of-the-tests-0123456789' });
    await eventually(async () => (await vertex('p', { isolate: 'direct' })).status === 200); // it was added elsewhere
    for (let n = 0; n < 3; n += 1) {
      const answer = await vertex('p', { isolate: 'direct' });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(attemptsOf(answer), 1);
      assert.equal((await world.sim.last()).key, token);
    }
    assert.deepEqual((await stored()).map(({ state }) => state), ['ready', 'ready']);
    assert.deepEqual(await coolings(), []);
    // Through the gateway it goes on being used.
    assert.equal((await vertex('p')).status, 200);
  });

  test('without a gateway an API key serves, where its header is', async () => {
    await world.use('direct');
    await paste('p');
    await pool('google-vertex-ai', { key: 'AIzaSy-of-the-tests-0123456789' });
    const answer = await world.direct.api('google-vertex-ai/v1/publishers/google/models/gemini-2.5-flash:generateContent', { json: { contents } });
    assert.equal(answer.status, 200, answer.text);
    const { path, headers, model } = await world.sim.last();
    assert.equal(path, '/__host/aiplatform.googleapis.com/v1/publishers/google/models/gemini-2.5-flash:generateContent');
    assert.equal(headers['x-goog-api-key'], 'AIzaSy-of-the-tests-0123456789');
    assert.equal(model, 'gemini-2.5-flash');
  });
});

test('a token of Workers AI is of one account: one of another than the gateway’s is a wrong key', async () => {
  await pool('workers-ai', { home: 'another' }, { home: 'account' });
  for (let n = 0; n < 3; n += 1) {
    const answer = await world.main.api('workers-ai/v1/chat/completions', { json: { model: '@cf/meta/llama-3.1-8b-instruct', messages } });
    assert.equal(answer.status, 200, answer.text);
  }
  await eventually(async () => (await stored()).filter(({ state }) => state === 'blocked').length === 1);
});
