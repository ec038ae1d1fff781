-- What the admin API needs: tags, undoing, a list in order of age, tokens' usage, failed requests.

ALTER TABLE provider_keys ADD COLUMN tags TEXT NOT NULL DEFAULT ''; -- ',a,b,': each between two commas
CREATE INDEX provider_keys_created ON provider_keys (provider, created_at);

-- What a change of many keys changed, so that it can be taken back for a minute. A row holds a piece
-- of the keys as JSON, not one row each: rows written are what a day has few of.
CREATE TABLE undos (
    id      TEXT    NOT NULL,
    piece   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    action  TEXT    NOT NULL,
    keys    TEXT    NOT NULL,
    PRIMARY KEY (id, piece)
) WITHOUT ROWID;

ALTER TABLE tokens ADD COLUMN hint TEXT NOT NULL DEFAULT '';

-- A sample of clients' requests that failed. The id is 1,000 times the number of the day and up, so
-- that a day has at most 1,000 rows, whoever writes them.
CREATE TABLE requests (
    id       INTEGER PRIMARY KEY,
    tag      TEXT    NOT NULL,             -- random: tells it from the same one in an isolate's memory
    at       INTEGER NOT NULL,
    provider TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    method   TEXT    NOT NULL,
    status   INTEGER NOT NULL,
    code     TEXT,                         -- ours, when we refused
    ms       INTEGER NOT NULL,
    token    TEXT    NOT NULL,
    attempts TEXT    NOT NULL              -- JSON
);
