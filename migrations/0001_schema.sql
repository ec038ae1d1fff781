-- The whole first schema. It also takes over a database of the TypeScript One Balance, whose only
-- table of interest is `keys`; a fresh database gets an empty one first, so that one script serves both.
-- All times are milliseconds since the Unix epoch; the original kept seconds.

CREATE TABLE provider_keys (
    -- AUTOINCREMENT: an id is never given to another key, so a late write of an isolate that still
    -- knows a removed key cannot hit a new one.
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    provider    TEXT    NOT NULL,              -- AI Gateway path segment
    secret      TEXT    NOT NULL,              -- the key itself
    digest      TEXT,                          -- SHA-256 of the key, hex; NULL until the Worker has seen a key that was taken over
    hint        TEXT    NOT NULL,              -- first and last four characters, all that a list shows
    state       TEXT    NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'blocked', 'disabled', 'deleted')),
    reason      TEXT,                          -- why it is blocked
    certain     INTEGER NOT NULL DEFAULT 1,    -- 0: blocked on a bare status; to be asked again soon
    remark      TEXT    NOT NULL DEFAULT '',
    project     TEXT    NOT NULL DEFAULT '',   -- keys that share one quota
    priority    INTEGER NOT NULL DEFAULT 0,    -- higher is used first
    slot        INTEGER NOT NULL,              -- random; where a working set begins
    probes      INTEGER NOT NULL DEFAULT 0,    -- how often the provider was asked since the block
    probe_at    INTEGER,                       -- when it is asked next
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
);
CREATE UNIQUE INDEX provider_keys_digest  ON provider_keys (provider, digest);
CREATE INDEX        provider_keys_window  ON provider_keys (provider, state, slot);
CREATE INDEX        provider_keys_changed ON provider_keys (provider, updated_at);
-- Partial, so that a healthy key costs no row in them.
CREATE INDEX        provider_keys_probe   ON provider_keys (probe_at) WHERE probe_at IS NOT NULL;
CREATE INDEX        provider_keys_adopted ON provider_keys (id) WHERE digest IS NULL;

CREATE TABLE coolings (
    key_id        INTEGER NOT NULL,
    model         TEXT    NOT NULL,            -- '*': every model; '*:free': OpenRouter's free models
    provider      TEXT    NOT NULL,            -- of the key, so that a refresh needs no join
    until         INTEGER NOT NULL,
    since         INTEGER NOT NULL,
    source        TEXT    NOT NULL CHECK (source IN ('stated', 'guessed')),
    reason        TEXT    NOT NULL,
    strikes       INTEGER NOT NULL DEFAULT 0,  -- guessed coolings in a row
    total_seconds INTEGER NOT NULL DEFAULT 0,  -- cooled in all its life
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (key_id, model)
) WITHOUT ROWID;
CREATE INDEX coolings_changed ON coolings (provider, updated_at);

CREATE TABLE events (
    id       INTEGER PRIMARY KEY,              -- grows with time; the only order they are read in
    at       INTEGER NOT NULL,
    key_id   INTEGER NOT NULL,
    provider TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    status   INTEGER NOT NULL,                 -- HTTP status of the answer, 0: not from an answer
    verdict  TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    message  TEXT    NOT NULL                  -- the provider's words, without any key
);

CREATE TABLE usage_hourly (
    hour         INTEGER NOT NULL,             -- start of the hour
    provider     TEXT    NOT NULL,
    model        TEXT    NOT NULL,
    requests     INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    successes    INTEGER NOT NULL DEFAULT 0,
    rate_limited INTEGER NOT NULL DEFAULT 0,
    errors       INTEGER NOT NULL DEFAULT 0,
    tokens_in    INTEGER NOT NULL DEFAULT 0,
    tokens_out   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, provider, model)
) WITHOUT ROWID;

CREATE TABLE usage_daily (
    day          INTEGER NOT NULL,             -- start of the UTC day
    key_id       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    successes    INTEGER NOT NULL DEFAULT 0,
    rate_limited INTEGER NOT NULL DEFAULT 0,
    errors       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, key_id)
) WITHOUT ROWID;

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    digest     TEXT    NOT NULL UNIQUE,        -- SHA-256 of the token, hex; the token itself is never stored
    scope      TEXT    NOT NULL DEFAULT '',    -- as in AUTH_KEY; empty: everything
    expires_at INTEGER,
    per_minute INTEGER,
    per_day    INTEGER,
    enabled    INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL
);

-- Taking over the original ---------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, provider TEXT NOT NULL, model_coolings TEXT,
    total_cooling_seconds INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL DEFAULT 'active',
    remark TEXT, created_at INTEGER NOT NULL DEFAULT 0, updated_at INTEGER NOT NULL DEFAULT 0
);

-- The original blocks on any 401 or 403, so its blocks are uncertain and are asked again at once.
INSERT INTO provider_keys
    (provider, secret, hint, state, reason, certain, remark, slot, probe_at, created_at, updated_at)
SELECT
    provider,
    key,
    CASE WHEN length(key) >= 16 THEN substr(key, 1, 4) || '…' || substr(key, -4) ELSE substr(key, 1, 2) || '…' END,
    CASE status WHEN 'active' THEN 'ready' ELSE 'blocked' END,
    CASE status WHEN 'active' THEN NULL ELSE 'unauthorized' END,
    CASE status WHEN 'active' THEN 1 ELSE 0 END,
    coalesce(remark, ''),
    abs(random() % 2147483648),
    CASE status WHEN 'active' THEN NULL ELSE CAST(strftime('%s', 'now') AS INTEGER) * 1000 END,
    CAST(created_at AS INTEGER) * 1000,
    CAST(strftime('%s', 'now') AS INTEGER) * 1000
FROM keys
ORDER BY created_at, rowid;

-- `model_coolings` is {"<model>": {"end_at": <seconds>, "total_seconds": <seconds>}}. The original's
-- midnight arithmetic can leave negative totals; its longest cooling is one day and one hour.
INSERT OR IGNORE INTO coolings
    (key_id, model, provider, until, since, source, reason, total_seconds, updated_at)
SELECT
    pk.id,
    c.key,
    pk.provider,
    min(CAST(json_extract(c.value, '$.end_at') AS INTEGER), CAST(strftime('%s', 'now') AS INTEGER) + 90000) * 1000,
    CAST(strftime('%s', 'now') AS INTEGER) * 1000,
    'guessed',
    'rate_limit',
    max(coalesce(CAST(json_extract(c.value, '$.total_seconds') AS INTEGER), 0), 0),
    CAST(strftime('%s', 'now') AS INTEGER) * 1000
FROM keys AS old
JOIN provider_keys AS pk ON pk.provider = old.provider AND pk.secret = old.key
JOIN json_each(CASE WHEN json_valid(old.model_coolings) AND json_type(old.model_coolings) = 'object' THEN old.model_coolings ELSE '{}' END) AS c
WHERE c.type = 'object' AND json_extract(c.value, '$.end_at') IS NOT NULL;

DROP TABLE keys;
