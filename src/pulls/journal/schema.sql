-- What forges have delivered.
CREATE TABLE delivery (
    id       TEXT PRIMARY KEY,            -- FORGE, the delivery's id, and a digest of what its address asks for
    received INTEGER NOT NULL,            -- seconds since 1970
    queued   INTEGER NOT NULL DEFAULT 0   -- 1: the broker has confirmed all of its requests
) WITHOUT ROWID;

-- What was in them. Neither id nor address is signed: who sends the same body again repeats it, whatever these are.
CREATE TABLE content (
    digest   TEXT NOT NULL,               -- of the body
    subject  TEXT NOT NULL,               -- FORGE, the API, the project and the context
    delivery TEXT NOT NULL,
    PRIMARY KEY (digest, subject)
) WITHOUT ROWID;
CREATE INDEX delivered_content ON content (delivery);

-- Pull requests that were closed: what they asked for before that is not tested, also when it comes late.
CREATE TABLE closed (
    subject TEXT NOT NULL,                -- as in content
    number  INTEGER NOT NULL,
    changed INTEGER NOT NULL,             -- milliseconds since 1970
    PRIMARY KEY (subject, number)
) WITHOUT ROWID;

-- The tests of pull requests, and what is shown of them.
CREATE TABLE test (
    uuid        TEXT PRIMARY KEY,
    delivery    TEXT NOT NULL,            -- empty when it was found elsewhere
    forge       TEXT NOT NULL,
    api         TEXT NOT NULL,
    project     TEXT NOT NULL COLLATE NOCASE, -- forges do not tell capitals and small letters apart
    number      INTEGER NOT NULL,
    sha         TEXT NOT NULL,
    context     TEXT NOT NULL,
    queue       TEXT NOT NULL,
    request     TEXT NOT NULL,            -- the queue's message
    container   TEXT NOT NULL,            -- of its result
    prefix      TEXT NOT NULL,            -- what the names of its result's files begin with
    created     INTEGER NOT NULL,         -- milliseconds since 1970
    changed     INTEGER NOT NULL,         -- milliseconds since 1970: which commit is the newer one
    stage       INTEGER NOT NULL,         -- 0 received, 1 queued, 2 to be taken out of its queue, 3 ended
    reason      TEXT NOT NULL DEFAULT '', -- why it is to be taken out; 'gone' when it has ended because its request was nowhere
    tested      INTEGER NOT NULL DEFAULT 0, -- 1: it has a result
    state       TEXT NOT NULL DEFAULT 'pending',
    description TEXT NOT NULL DEFAULT '',
    link        TEXT NOT NULL DEFAULT '',
    shown       TEXT NOT NULL DEFAULT '', -- the state that the forge has taken
    tries       INTEGER NOT NULL DEFAULT 0,
    next        INTEGER NOT NULL DEFAULT 0, -- not shown before this second
    trouble     TEXT NOT NULL DEFAULT ''  -- why the forge did not take it
) WITHOUT ROWID;
CREATE INDEX open_tests ON test (stage) WHERE stage < 3;
CREATE INDEX gone_tests ON test (reason) WHERE reason = 'gone';
CREATE INDEX unshown_tests ON test (next) WHERE state <> shown;
CREATE INDEX pull_tests ON test (project, number);
CREATE INDEX commit_tests ON test (sha, context);
CREATE INDEX delivered_tests ON test (delivery);

-- When a project's pending statuses were last looked through.
CREATE TABLE looked (
    project TEXT PRIMARY KEY,             -- FORGE, the API and the project
    at      INTEGER NOT NULL              -- seconds since 1970
) WITHOUT ROWID;
