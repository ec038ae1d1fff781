-- The running coolings of a key, in its own row: an isolate that starts reads keys and nothing else,
-- however many of them cool. It is what `coolings` said at the version `running_at` of the key. Whatever
-- changes a cooling gives its key a new version, so at any other version the table is asked.

ALTER TABLE provider_keys ADD COLUMN running TEXT NOT NULL DEFAULT '';      -- JSON: [[model, until, since, source, reason, strikes], ...]
ALTER TABLE provider_keys ADD COLUMN running_at INTEGER NOT NULL DEFAULT -1;

UPDATE provider_keys SET running_at = updated_at, running = (
    SELECT json_group_array(json_array(model, until, since, source, reason, strikes)) FROM coolings
    WHERE key_id = provider_keys.id AND (until > unixepoch() * 1000 OR strikes > 0))
WHERE cooled_until > unixepoch() * 1000;
