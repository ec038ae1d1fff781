-- Which key made a file, a batch, a stored response, ...: a request that names it goes to that key.
-- One row when it is made, nothing else: there is no index besides the key of the table.
CREATE TABLE objects (
    name       TEXT    NOT NULL,               -- SHA-256 of the object's name, the first 16 bytes in hex
    provider   TEXT    NOT NULL,
    key_id     INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (name, provider)
) WITHOUT ROWID;
