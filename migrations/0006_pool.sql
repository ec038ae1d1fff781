-- What picks keys, and what decides between writes of several isolates.

-- When the key last became ready: added, restored, put back by a probe. A block names the one that it
-- was decided against, so that a late one does not undo what happened in the meantime.
ALTER TABLE provider_keys ADD COLUMN ready_since INTEGER NOT NULL DEFAULT 0;

-- When an administrator, an answer or a probe changed it; `updated_at` also grows with its coolings.
ALTER TABLE provider_keys ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;

-- Until when its coolings are worth reading. Whatever changes a cooling also changes the key's
-- `updated_at`: keys are read with their coolings, so one index of changes serves both.
ALTER TABLE provider_keys ADD COLUMN cooled_until INTEGER NOT NULL DEFAULT 0;
UPDATE provider_keys SET cooled_until = coalesce(
    (SELECT max(until) + 3600000 FROM coolings WHERE key_id = provider_keys.id), 0);
DROP INDEX coolings_changed;

-- A working set begins with the highest priority.
CREATE INDEX provider_keys_tier ON provider_keys (provider, state, priority, slot);
DROP INDEX provider_keys_window;
