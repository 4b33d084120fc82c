-- Requests that users have asked for over the web: what their pages tell.
CREATE TABLE asked (
    uuid      TEXT PRIMARY KEY,
    queue     TEXT NOT NULL,
    package   TEXT NOT NULL,
    container TEXT NOT NULL,             -- of its result
    prefix    TEXT NOT NULL,             -- what the names of its result's files begin with
    created   INTEGER NOT NULL,          -- milliseconds since 1970
    checked   INTEGER NOT NULL DEFAULT 0, -- milliseconds since 1970: when its result was last looked for
    outcome   TEXT NOT NULL DEFAULT '',  -- in words, once there is a result
    link      TEXT NOT NULL DEFAULT ''   -- to its log
) WITHOUT ROWID;
CREATE INDEX asked_times ON asked (created);
