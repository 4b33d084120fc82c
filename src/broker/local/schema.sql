-- The embedded broker's file. A queue exists when it has a row here: requests for others are refused.
CREATE TABLE queue (
    name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What waits or is held. The id is the order in the queue; AUTOINCREMENT, because a settled request's id must never come back.
CREATE TABLE request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL REFERENCES queue (name),
    body BLOB NOT NULL,
    uuid TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    -- The slot that holds it, while that slot lives; see life.rs.
    holder TEXT,
    -- How often it was passed on, and a JSON list of why earlier attempts failed; see ../history.rs.
    passes INTEGER NOT NULL DEFAULT 0,
    failures TEXT NOT NULL DEFAULT '[]',
    -- A request that waits out a delay: since when and until when, in milliseconds since 1970.
    delayed_since INTEGER,
    delayed_until INTEGER
) STRICT;
CREATE INDEX request_ready ON request (queue, id) WHERE holder IS NULL;
CREATE INDEX request_delayed ON request (queue) WHERE delayed_until IS NOT NULL;
CREATE INDEX request_held ON request (holder) WHERE holder IS NOT NULL;
CREATE INDEX request_uuid ON request (uuid) WHERE uuid IS NOT NULL;

-- What can never be run, and why.
CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL REFERENCES queue (name),
    body BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX dead_letter_queue ON dead_letter (queue, id);

-- The workers' slots, and the queues that they serve.
CREATE TABLE slot (
    id TEXT NOT NULL PRIMARY KEY,
    waiting INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE slot_queue (
    slot TEXT NOT NULL REFERENCES slot (id) ON DELETE CASCADE,
    queue TEXT NOT NULL,
    PRIMARY KEY (slot, queue)
) STRICT, WITHOUT ROWID;
