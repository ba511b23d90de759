-- Types are the ones that SQLite and Postgres read alike through sqlx::Any:
-- TEXT, BIGINT, SMALLINT (0/1), DOUBLE PRECISION. Times are unix microseconds,
-- amounts micro-dollars. Hashes are SHA-256 in lower-case hex.
CREATE TABLE accounts (
    id            TEXT   NOT NULL PRIMARY KEY,
    email         TEXT   NOT NULL,
    name          TEXT,
    password_hash TEXT   NOT NULL,
    -- 'unverified' or 'active'
    status        TEXT   NOT NULL,
    -- comma-separated: 'user', 'provider'
    roles         TEXT   NOT NULL,
    operator      SMALLINT NOT NULL DEFAULT 0,
    verified_at   BIGINT,
    created_at    BIGINT NOT NULL
);
-- Several people may claim an address; only one can prove it.
CREATE UNIQUE INDEX accounts_by_proven_email ON accounts (email) WHERE status = 'active';
CREATE INDEX accounts_by_email ON accounts (email, created_at);

CREATE TABLE workspaces (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    owner      TEXT   NOT NULL REFERENCES accounts (id),
    created_at BIGINT NOT NULL
);

CREATE TABLE memberships (
    workspace  TEXT   NOT NULL REFERENCES workspaces (id),
    account    TEXT   NOT NULL REFERENCES accounts (id),
    role       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, account)
);
CREATE INDEX memberships_by_account ON memberships (account);

CREATE TABLE sessions (
    id         TEXT   NOT NULL PRIMARY KEY,
    token_hash TEXT   NOT NULL UNIQUE,
    account    TEXT   NOT NULL REFERENCES accounts (id),
    workspace  TEXT   NOT NULL REFERENCES workspaces (id),
    role       TEXT   NOT NULL,
    ip         TEXT   NOT NULL,
    agent      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account);

-- One code sent by mail. Codes are stored as HMAC-SHA256 under the master key.
CREATE TABLE challenges (
    id         TEXT     NOT NULL PRIMARY KEY,
    account    TEXT     NOT NULL REFERENCES accounts (id),
    -- 'verify' or 'reset'
    purpose    TEXT     NOT NULL,
    code_mac   TEXT     NOT NULL,
    attempts   SMALLINT NOT NULL DEFAULT 0,
    created_at BIGINT   NOT NULL,
    expires_at BIGINT   NOT NULL,
    -- when it was used, or replaced by a newer one
    closed_at  BIGINT
);
CREATE INDEX challenges_by_account ON challenges (account, purpose, created_at);

-- Counters that survive a restart: mails per address, attempts per account or IP.
CREATE TABLE throttles (
    name         TEXT   NOT NULL PRIMARY KEY,
    count        BIGINT NOT NULL,
    window_start BIGINT NOT NULL
);

CREATE TABLE mails (
    id         TEXT     NOT NULL PRIMARY KEY,
    recipient  TEXT     NOT NULL,
    subject    TEXT     NOT NULL,
    -- emptied once sent or given up
    body       TEXT     NOT NULL,
    attempts   SMALLINT NOT NULL DEFAULT 0,
    created_at BIGINT   NOT NULL,
    next_at    BIGINT   NOT NULL,
    -- not sent after this
    expires_at BIGINT   NOT NULL,
    -- 'waiting', 'sent' or 'failed'
    state      TEXT     NOT NULL,
    error      TEXT
);
CREATE INDEX mails_by_state ON mails (state, next_at);
