-- Who is kept out, and who never is. body is the ban or trust as JSON; the columns are what is asked by.
CREATE TABLE ban (
    id        BLOB NOT NULL PRIMARY KEY,
    cidr      TEXT NOT NULL,
    source    TEXT NOT NULL,
    created   BIGINT NOT NULL,
    -- Exclusive; none: for good.
    until_at  BIGINT,
    -- Taken back, and whether by a person.
    ended     BIGINT,
    by_person BIGINT NOT NULL,
    -- 1: it would have been a ban.
    dry       BIGINT NOT NULL,
    finding   BLOB,
    search    TEXT NOT NULL,
    body      TEXT NOT NULL
);
CREATE INDEX ban_by_time ON ban (created, id);
CREATE INDEX ban_by_cidr ON ban (cidr, created);
CREATE INDEX ban_by_finding ON ban (finding);
CREATE INDEX ban_standing ON ban (ended, until_at);

CREATE TABLE trust (
    id        BLOB NOT NULL PRIMARY KEY,
    cidr      TEXT NOT NULL,
    created   BIGINT NOT NULL,
    body      TEXT NOT NULL
);
CREATE UNIQUE INDEX trust_by_cidr ON trust (cidr);

-- Where admins, and those who banned, came from.
CREATE TABLE admin_address (
    address   TEXT NOT NULL PRIMARY KEY,
    person    TEXT NOT NULL,
    seen      BIGINT NOT NULL
);
