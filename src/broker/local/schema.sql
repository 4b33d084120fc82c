-- Queues of the embedded broker. Requests for queues without a row are refused.
CREATE TABLE queue (
    name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Requests that wait or are held. The id is the order in the queue. AUTOINCREMENT: the id of a settled request must never come back.
CREATE TABLE request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL REFERENCES queue (name),
    body BLOB NOT NULL,
    uuid TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    -- Slot that holds the request, while that slot lives.
    holder TEXT,
    -- Number of times that it was passed on, and failures of earlier attempts as a JSON list; see ../history.rs.
    passes INTEGER NOT NULL DEFAULT 0,
    failures TEXT NOT NULL DEFAULT '[]',
    -- Begin and end of a delay, in milliseconds since 1970.
    delayed_since INTEGER,
    delayed_until INTEGER
) STRICT;
CREATE INDEX request_ready ON request (queue, id) WHERE holder IS NULL;
CREATE INDEX request_delayed ON request (queue) WHERE delayed_until IS NOT NULL;
CREATE INDEX request_held ON request (holder) WHERE holder IS NOT NULL;
CREATE INDEX request_uuid ON request (uuid) WHERE uuid IS NOT NULL;

-- Messages that can never be run, and the reasons.
CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL REFERENCES queue (name),
    body BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX dead_letter_queue ON dead_letter (queue, id);

-- Slots of workers, and the queues that they serve.
CREATE TABLE slot (
    id TEXT NOT NULL PRIMARY KEY,
    waiting INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE slot_queue (
    slot TEXT NOT NULL REFERENCES slot (id) ON DELETE CASCADE,
    queue TEXT NOT NULL,
    PRIMARY KEY (slot, queue)
) STRICT, WITHOUT ROWID;
