-- What the roll-ups of usage need besides the first tables. In every row
-- attempts = successes + rate_limited + errors, and errors is the sum of the five behind it.

ALTER TABLE usage_hourly ADD COLUMN rejected  INTEGER NOT NULL DEFAULT 0; -- the provider does not accept the key
ALTER TABLE usage_hourly ADD COLUMN transient INTEGER NOT NULL DEFAULT 0; -- overloaded, broken or lost on the way
ALTER TABLE usage_hourly ADD COLUMN egress    INTEGER NOT NULL DEFAULT 0; -- refused for where the request left from
ALTER TABLE usage_hourly ADD COLUMN gateway   INTEGER NOT NULL DEFAULT 0; -- the AI Gateway itself refused
ALTER TABLE usage_hourly ADD COLUMN caller    INTEGER NOT NULL DEFAULT 0; -- the request is at fault
ALTER TABLE usage_hourly ADD COLUMN refused   INTEGER NOT NULL DEFAULT 0; -- requests that we answered ourselves: no key, none free, no upstream

ALTER TABLE usage_daily ADD COLUMN tokens_in  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN tokens_out INTEGER NOT NULL DEFAULT 0;

-- What a client token asked for. `token` is the first 8 hexadecimal digits of its SHA-256, or '*'.
CREATE TABLE usage_tokens (
    day        INTEGER NOT NULL,               -- start of the UTC day
    token      TEXT    NOT NULL,
    requests   INTEGER NOT NULL DEFAULT 0,
    successes  INTEGER NOT NULL DEFAULT 0,
    refused    INTEGER NOT NULL DEFAULT 0,
    tokens_in  INTEGER NOT NULL DEFAULT 0,
    tokens_out INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, token)
) WITHOUT ROWID;

-- Since the beginning, for /metrics: these only grow, though old hours are removed.
CREATE TABLE usage_totals (
    provider     TEXT    NOT NULL,
    model        TEXT    NOT NULL,
    requests     INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    successes    INTEGER NOT NULL DEFAULT 0,
    rate_limited INTEGER NOT NULL DEFAULT 0,
    errors       INTEGER NOT NULL DEFAULT 0,
    rejected     INTEGER NOT NULL DEFAULT 0,
    transient    INTEGER NOT NULL DEFAULT 0,
    egress       INTEGER NOT NULL DEFAULT 0,
    gateway      INTEGER NOT NULL DEFAULT 0,
    caller       INTEGER NOT NULL DEFAULT 0,
    refused      INTEGER NOT NULL DEFAULT 0,
    tokens_in    INTEGER NOT NULL DEFAULT 0,
    tokens_out   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (provider, model)
) WITHOUT ROWID;

-- Rows that all isolates together wrote for this on a UTC day, so that each can hold back.
CREATE TABLE usage_written (
    day   INTEGER PRIMARY KEY,
    count INTEGER NOT NULL
);
