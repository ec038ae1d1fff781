// Stands in front of the built Worker in the parts that count what it asks of D1. The Worker itself is
// the built one.
import Worker from './index.js';

const seen = { statements: 0, round_trips: 0, rows_read: 0, rows_written: 0 };

function count(results) {
  seen.round_trips += 1;
  for (const { meta } of results) {
    seen.statements += 1;
    seen.rows_read += meta.rows_read ?? 0;
    seen.rows_written += meta.rows_written ?? 0;
  }
}

class Statement {
  constructor(inner) { this.inner = inner; }
  bind(...values) { return new Statement(this.inner.bind(...values)); }
  async all() { const result = await this.inner.all(); count([result]); return result; }
  async run() { const result = await this.inner.run(); count([result]); return result; }
  async raw(...options) { count([await this.inner.all()]); return this.inner.raw(...options); }
  async first(...column) { count([await this.inner.all()]); return this.inner.first(...column); }
}

class Database {
  constructor(inner) { this.inner = inner; }
  prepare(sql) { return new Statement(this.inner.prepare(sql)); }
  async batch(list) {
    const results = await this.inner.batch(list.map((one) => one.inner));
    count(results);
    return results;
  }
}
Object.defineProperty(Database, 'name', { value: 'D1Database' });

export default {
  async fetch(request, env, ctx) {
    if (request.url.endsWith('/__seen')) {
      const answer = { ...seen };
      for (const name of Object.keys(seen)) seen[name] = 0;
      return Response.json(answer);
    }
    return Worker.fetch(request, { ...env, DB: new Database(env.DB) }, ctx);
  },
  scheduled: (event, env, ctx) => Worker.scheduled(event, env, ctx),
};
