-- The queue's message, as long as it is not certain that the request is queued.
ALTER TABLE asked ADD COLUMN request TEXT NOT NULL DEFAULT '';
CREATE INDEX asked_in_doubt ON asked (created) WHERE request <> '';
