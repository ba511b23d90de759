CREATE TABLE jobs (
    id             TEXT     NOT NULL PRIMARY KEY,
    workspace      TEXT     NOT NULL REFERENCES workspaces (id),
    account        TEXT     NOT NULL REFERENCES accounts (id),
    name           TEXT     NOT NULL,
    workload_type  TEXT     NOT NULL,
    image          TEXT     NOT NULL,
    -- the parsed job, as JSON
    spec           TEXT     NOT NULL,
    -- what jobs that take about as long have in common
    likeness       TEXT     NOT NULL,
    -- name, image and id in lower case, for searching
    haystack       TEXT     NOT NULL,
    status         TEXT     NOT NULL,
    phase          TEXT,
    phase_since    BIGINT   NOT NULL,
    -- counts up with every transition; compared before each
    version        BIGINT   NOT NULL DEFAULT 0,
    last_event     BIGINT   NOT NULL DEFAULT 0,
    last_log       BIGINT   NOT NULL DEFAULT 0,
    attempt        BIGINT   NOT NULL DEFAULT 1,
    engine         TEXT,
    node           TEXT,
    status_reason  TEXT,
    failure_code   TEXT,
    exit_code      BIGINT,
    signal         BIGINT,
    rate           BIGINT   NOT NULL,
    hold           BIGINT   NOT NULL,
    cost           BIGINT,
    -- the estimate's figures and relaxations at submission, as JSON
    quote          TEXT     NOT NULL,
    created_at     BIGINT   NOT NULL,
    updated_at     BIGINT   NOT NULL,
    queued_at      BIGINT,
    assigned_at    BIGINT,
    started_at     BIGINT,
    completed_at   BIGINT,
    ended          SMALLINT NOT NULL DEFAULT 0
);
CREATE INDEX jobs_by_workspace ON jobs (workspace, created_at, id);
CREATE INDEX jobs_by_workspace_status ON jobs (workspace, status, created_at, id);
CREATE INDEX jobs_by_status ON jobs (status, queued_at, id);
CREATE INDEX jobs_by_likeness ON jobs (workspace, likeness, status, completed_at);
CREATE INDEX jobs_by_type ON jobs (workload_type, status, completed_at);

CREATE TABLE job_events (
    job        TEXT   NOT NULL REFERENCES jobs (id),
    seq        BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    phase      TEXT,
    title      TEXT   NOT NULL,
    message    TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    level      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (job, seq)
);

-- One attempt at running a job. Written before the engine is asked.
CREATE TABLE runs (
    job        TEXT   NOT NULL REFERENCES jobs (id),
    attempt    BIGINT NOT NULL,
    engine     TEXT   NOT NULL,
    node       TEXT   NOT NULL,
    handle     TEXT,
    -- 'intent', 'submitted', 'ended' or 'forgotten'
    state      TEXT   NOT NULL,
    -- where reading the engine's output goes on
    log_cursor TEXT   NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    ended_at   BIGINT,
    PRIMARY KEY (job, attempt)
);
CREATE INDEX runs_by_state ON runs (state, created_at);

CREATE TABLE job_logs (
    job        TEXT     NOT NULL REFERENCES jobs (id),
    entry      BIGINT   NOT NULL,
    stream     TEXT     NOT NULL,
    message    TEXT     NOT NULL,
    truncated  SMALLINT NOT NULL DEFAULT 0,
    created_at BIGINT   NOT NULL,
    PRIMARY KEY (job, entry)
);

CREATE TABLE estimates (
    id            TEXT   NOT NULL PRIMARY KEY,
    workspace     TEXT   NOT NULL REFERENCES workspaces (id),
    draft         TEXT,
    draft_version BIGINT,
    -- 'pending', 'ready' or 'failed'
    state         TEXT   NOT NULL,
    -- the estimate as JSON, or why it failed
    body          TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX estimates_by_draft ON estimates (draft, created_at);
CREATE INDEX estimates_by_age ON estimates (expires_at);

CREATE TABLE job_drafts (
    id                    TEXT     NOT NULL PRIMARY KEY,
    workspace             TEXT     NOT NULL REFERENCES workspaces (id),
    account               TEXT     NOT NULL REFERENCES accounts (id),
    version               BIGINT   NOT NULL DEFAULT 1,
    content               TEXT     NOT NULL,
    acknowledged_estimate TEXT,
    acknowledged_version  BIGINT,
    without_estimate      SMALLINT NOT NULL DEFAULT 0,
    job                   TEXT     REFERENCES jobs (id),
    created_at            BIGINT   NOT NULL,
    updated_at            BIGINT   NOT NULL,
    expires_at            BIGINT   NOT NULL
);
CREATE INDEX job_drafts_by_workspace ON job_drafts (workspace, updated_at);

-- The first answer to a request that carried an Idempotency-Key.
CREATE TABLE idempotency (
    workspace  TEXT     NOT NULL,
    route      TEXT     NOT NULL,
    key        TEXT     NOT NULL,
    body_hash  TEXT     NOT NULL,
    status     SMALLINT NOT NULL,
    reply      TEXT     NOT NULL,
    created_at BIGINT   NOT NULL,
    PRIMARY KEY (workspace, route, key)
);
