-- How many keys are in which state, for /metrics. Counting reads every key, so it is done now and then
-- and kept; one row, since all of it is read at once.
CREATE TABLE pool_counts (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    at     INTEGER NOT NULL,
    keys   INTEGER NOT NULL,                   -- in all; the more there are, the longer a count is kept
    counts TEXT    NOT NULL                    -- JSON: [[provider, state, keys, usable keys], ...]
);

-- What the webhook told already and what it has yet to tell: one row of JSON.
CREATE TABLE webhook (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    state TEXT NOT NULL
);
