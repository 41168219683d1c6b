-- Times are microseconds since 1970, ids 16 bytes. BLOB and WITHOUT ROWID are SQLite's words; the queries
-- themselves are written to run on PostgreSQL too.

CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE counter (
    name  TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE person (
    name          TEXT NOT NULL PRIMARY KEY,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created       BIGINT NOT NULL
);

CREATE TABLE session (
    token_hash TEXT NOT NULL PRIMARY KEY,
    person     TEXT NOT NULL REFERENCES person (name) ON DELETE CASCADE,
    csrf       TEXT NOT NULL,
    expires    BIGINT NOT NULL
);
CREATE INDEX session_of_person ON session (person, expires);

CREATE TABLE api_key (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    hash       TEXT NOT NULL UNIQUE,
    created    BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    last_used  BIGINT
);

-- body is the alert as JSON; the other columns repeat what is searched and sorted by.
CREATE TABLE alert (
    id              BLOB NOT NULL PRIMARY KEY,
    state           TEXT NOT NULL,
    severity        BIGINT NOT NULL,
    first_seen      BIGINT NOT NULL,
    last_seen       BIGINT NOT NULL,
    search          TEXT NOT NULL,
    stored_findings BIGINT NOT NULL,
    body            TEXT NOT NULL
);
CREATE INDEX alert_by_time ON alert (last_seen, id);
CREATE INDEX alert_by_state ON alert (state, last_seen, id);

CREATE TABLE finding (
    id        BLOB NOT NULL PRIMARY KEY,
    alert     BLOB NOT NULL,
    time      BIGINT NOT NULL,
    severity  BIGINT NOT NULL,
    rule_id   TEXT NOT NULL,
    rule_name TEXT NOT NULL,
    user_name TEXT,
    source_ip TEXT,
    body      TEXT NOT NULL
);
CREATE INDEX finding_by_time ON finding (time, id);
CREATE INDEX finding_of_alert ON finding (alert, time, id);

-- Every finding ever taken over, also those that are only counted.
CREATE TABLE seen_finding (
    id      BLOB NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX seen_finding_by_time ON seen_finding (seen_at);

CREATE TABLE audit (
    seq    BIGINT NOT NULL PRIMARY KEY,
    time   BIGINT NOT NULL,
    actor  TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash   BLOB NOT NULL
);

-- `head` is the newest entry ever written, `anchor` the newest one that retention removed.
CREATE TABLE audit_mark (
    name TEXT NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash BLOB NOT NULL
);
