-- A copy of what a store's listings tell, made to be asked. It can be made anew from the store at any time.

CREATE TABLE container (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- public, ppa or private
    access TEXT NOT NULL,
    -- The number of the pass through the listing that goes on, or has come to its end.
    pass INTEGER NOT NULL DEFAULT 0,
    -- How far it has come: the last object of the last package that was taken over. NULL: to its end.
    marker TEXT,
    -- Whether it takes over what is known already, too.
    anew INTEGER NOT NULL DEFAULT 0,
    -- How much it has seen so far.
    objects INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    -- When it began, and when the index was last known to tell all; seconds since 1970.
    begun INTEGER NOT NULL DEFAULT 0,
    checked INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE test (
    id INTEGER PRIMARY KEY,
    container INTEGER NOT NULL REFERENCES container,
    package TEXT NOT NULL,
    release TEXT NOT NULL,
    architecture TEXT NOT NULL,
    -- The pass that has seen it last.
    pass INTEGER NOT NULL,
    UNIQUE (package, release, architecture, container)
) STRICT;

-- What causes runs: one trigger causes hundreds of them.
CREATE TABLE cause (
    id INTEGER PRIMARY KEY,
    -- SRC/VERSION, with blanks between several
    triggers TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE run (
    test INTEGER NOT NULL,
    id TEXT NOT NULL,
    exitcode INTEGER NOT NULL,
    version TEXT NOT NULL,
    duration INTEGER NOT NULL,
    -- NULL: its result does not tell.
    cause INTEGER,
    requester TEXT,
    -- The 16 bytes of a UUID, or the text if it is none.
    uuid ANY,
    -- What was tested beside the archive's package, in JSON. NULL: its result does not tell.
    options TEXT,
    damaged INTEGER NOT NULL,
    -- proven, refuted or none
    proof TEXT NOT NULL,
    fallback INTEGER NOT NULL,
    PRIMARY KEY (test, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_by_time ON run (id);
CREATE INDEX run_by_cause ON run (cause);
