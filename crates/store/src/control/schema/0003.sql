-- Searches that people keep, and those that run by themselves. body is the search as JSON.
CREATE TABLE saved_search (
    id         BLOB NOT NULL PRIMARY KEY,
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    shared     BIGINT NOT NULL,
    -- 1: its schedule is enabled.
    scheduled  BIGINT NOT NULL,
    -- Edits of what it finds: query, window, threshold, group, level.
    revision   BIGINT NOT NULL,
    -- The end of the newest window that was looked at; none before the first one.
    done_until BIGINT,
    -- How that went, as JSON, and the findings it told, which an edit may take back.
    last_run   TEXT,
    told       TEXT,
    body       TEXT NOT NULL
);
CREATE UNIQUE INDEX saved_search_of_owner ON saved_search (owner, name);
CREATE INDEX saved_search_by_schedule ON saved_search (scheduled);
