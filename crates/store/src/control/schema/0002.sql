-- Findings that are revised, alerts beyond a rule's limit, incidents, risk, exceptions.

ALTER TABLE alert ADD COLUMN rule_id       TEXT NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN signal        BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alert ADD COLUMN entity        TEXT NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN user_name     TEXT;
ALTER TABLE alert ADD COLUMN source_ip     TEXT;
ALTER TABLE alert ADD COLUMN finding_count BIGINT NOT NULL DEFAULT 0;
-- The finding whose summary the alert shows.
ALTER TABLE alert ADD COLUMN newest        BLOB;
-- The group it belongs to, which may not be an incident yet.
ALTER TABLE alert ADD COLUMN incident      BLOB;
-- What it added to its entity's risk score, in thousandths, and as of when.
ALTER TABLE alert ADD COLUMN risk          BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alert ADD COLUMN risk_at       BIGINT NOT NULL DEFAULT 0;
-- SQLite only: what older versions had stored
UPDATE alert SET
    rule_id       = COALESCE(json_extract(body, '$.rule.id'), ''),
    entity        = COALESCE(json_extract(body, '$.entity.kind') || ':' || json_extract(body, '$.entity.value'), ''),
    user_name     = json_extract(body, '$.user'),
    source_ip     = json_extract(body, '$.source_ip'),
    finding_count = COALESCE(json_extract(body, '$.finding_count'), 0);
-- both
CREATE INDEX alert_by_triage ON alert (state, signal);
CREATE INDEX alert_of_entity ON alert (entity);
CREATE INDEX alert_of_user ON alert (user_name);
CREATE INDEX alert_of_ip ON alert (source_ip);
CREATE INDEX alert_of_incident ON alert (incident);

ALTER TABLE finding ADD COLUMN signal BIGINT NOT NULL DEFAULT 0;
ALTER TABLE finding ADD COLUMN events BIGINT NOT NULL DEFAULT 1;
-- SQLite only: what older versions had stored
UPDATE finding SET events = COALESCE(json_extract(body, '$.event_count'), 1);
-- both

-- stage: four times the revision last taken over, plus 0 provisional, 1 final, 2 withdrawn. Only of findings
-- that may be told again: the alert that counts it and with how many events; no alert, if none counts it.
ALTER TABLE seen_finding ADD COLUMN stage  BIGINT NOT NULL DEFAULT 1;
ALTER TABLE seen_finding ADD COLUMN alert  BLOB;
ALTER TABLE seen_finding ADD COLUMN events BIGINT;

-- New alerts of a rule in an hour of event time.
CREATE TABLE alert_quota (
    rule_id TEXT NOT NULL,
    hour    BIGINT NOT NULL,
    alerts  BIGINT NOT NULL,
    touched BIGINT NOT NULL,
    PRIMARY KEY (rule_id, hour)
) WITHOUT ROWID;

-- Alerts that were not made because of that limit (by the id they would have), and the one that counts them.
CREATE TABLE further_entity (
    id      BLOB NOT NULL PRIMARY KEY,
    alert   BLOB NOT NULL,
    touched BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX further_entity_by_time ON further_entity (touched);

-- Groups of alerts; those with opened = 1 are incidents. body is the incident as JSON, work what it is made of.
CREATE TABLE incident (
    id         BLOB NOT NULL PRIMARY KEY,
    opened     BIGINT NOT NULL,
    state      TEXT NOT NULL,
    severity   BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    touched    BIGINT NOT NULL,
    search     TEXT NOT NULL,
    body       TEXT NOT NULL,
    work       TEXT NOT NULL
);
CREATE INDEX incident_by_time ON incident (opened, last_seen, id);
CREATE INDEX incident_by_state ON incident (opened, state);

-- Through which users, addresses and other entities alerts find a group. direct: an alert is about it.
CREATE TABLE incident_key (
    key      TEXT NOT NULL,
    incident BLOB NOT NULL,
    direct   BIGINT NOT NULL,
    PRIMARY KEY (key, incident)
) WITHOUT ROWID;
CREATE INDEX incident_key_of_incident ON incident_key (incident);

-- Risk scores. rank orders them as of any moment, see risk.rs.
CREATE TABLE entity (
    key  TEXT NOT NULL PRIMARY KEY,
    rank DOUBLE PRECISION NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX entity_by_rank ON entity (rank);

-- Which users alerts saw with an address, and which addresses with a user.
CREATE TABLE entity_link (
    key     TEXT NOT NULL PRIMARY KEY,
    touched BIGINT NOT NULL,
    body    TEXT NOT NULL
);
CREATE INDEX entity_link_by_time ON entity_link (touched);

CREATE TABLE exception (
    id         BLOB NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    hits       BIGINT NOT NULL,
    last_hit   BIGINT,
    body       TEXT NOT NULL
);
