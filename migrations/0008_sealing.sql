-- How far the keys of the table are sealed with the sealing keys that are set: one row.
CREATE TABLE sealing (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    ring   TEXT    NOT NULL,                   -- ids of the sealing keys; others mean that all is looked through anew
    cursor INTEGER NOT NULL,                   -- keys up to this id were looked at
    locked INTEGER NOT NULL,                   -- of those, how many no sealing key opens
    before INTEGER NOT NULL,                   -- the same of the whole table, the last time
    done   INTEGER                             -- when all of it was looked through
);
