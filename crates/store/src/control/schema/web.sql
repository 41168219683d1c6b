-- Web agents, what is known of their instances, and the profiles that tell them what to do.
CREATE TABLE web_agent (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    application TEXT NOT NULL,
    -- Its own secret, in clear: a signature cannot be verified with a hash of it.
    secret      TEXT NOT NULL,
    enabled     BIGINT NOT NULL,
    -- None: that of its application.
    profile     TEXT,
    -- The revision at which profile, application or enabled last changed.
    assigned    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT NOT NULL
);
CREATE UNIQUE INDEX web_agent_by_name ON web_agent (name);
CREATE TABLE web_instance (
    agent       TEXT NOT NULL,
    instance    TEXT NOT NULL,
    application TEXT NOT NULL,
    first_seen  BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    -- What it said of itself, as JSON.
    body        TEXT NOT NULL,
    PRIMARY KEY (agent, instance)
) WITHOUT ROWID;
CREATE INDEX web_instance_by_time ON web_instance (last_seen);
CREATE TABLE web_application (
    name     TEXT NOT NULL PRIMARY KEY,
    -- None: the profile "default".
    profile  TEXT,
    assigned BIGINT NOT NULL
) WITHOUT ROWID;
CREATE TABLE web_profile (
    id      TEXT NOT NULL PRIMARY KEY,
    name    TEXT NOT NULL,
    version BIGINT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX web_profile_by_name ON web_profile (name);
CREATE TABLE web_profile_version (
    profile TEXT NOT NULL,
    -- Versions are revisions: no two profiles share one.
    version BIGINT NOT NULL,
    time    BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    note    TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (profile, version)
) WITHOUT ROWID;
-- One row. revision grows with every change of what agents are told; bans stands for the bans at bans_revision.
CREATE TABLE web_revision (
    id            BIGINT NOT NULL PRIMARY KEY,
    revision      BIGINT NOT NULL,
    bans          TEXT NOT NULL,
    bans_revision BIGINT NOT NULL
);
INSERT INTO web_revision (id, revision, bans, bans_revision) VALUES (1, 1, '', 0);
INSERT INTO web_profile (id, name, version) VALUES ('default', 'default', 1);
INSERT INTO web_profile_version (profile, version, time, actor, note, body) VALUES ('default', 1, 0, 'erne', 'first start', '{}');
