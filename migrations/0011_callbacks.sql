-- Whom to tell of the end of a job.
CREATE TABLE callbacks (
    job        TEXT   NOT NULL PRIMARY KEY REFERENCES jobs (id),
    workspace  TEXT   NOT NULL REFERENCES workspaces (id),
    -- without user, query and fragment
    shown_url  TEXT   NOT NULL,
    -- host and port
    receiver   TEXT   NOT NULL,
    -- sealed (see orchestrator::seal); NULL after the last attempt
    url        TEXT,
    token      TEXT,
    -- a JSON object of texts
    metadata   TEXT,
    created_at BIGINT NOT NULL
);

-- What is to be told: one row for each end, written in the end's own transaction.
CREATE TABLE callback_outbox (
    job        TEXT   NOT NULL PRIMARY KEY REFERENCES callbacks (job),
    -- the same for every attempt
    id         TEXT   NOT NULL,
    workspace  TEXT   NOT NULL REFERENCES workspaces (id),
    receiver   TEXT   NOT NULL,
    -- empty after the last attempt
    body       TEXT   NOT NULL,
    -- 'waiting', 'delivered', 'failed' or 'gone'
    state      TEXT   NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX callback_outbox_due ON callback_outbox (next_at, job) WHERE state = 'waiting';

CREATE TABLE callback_attempts (
    job    TEXT   NOT NULL REFERENCES callback_outbox (job),
    -- counts from 1
    number BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    millis BIGINT NOT NULL,
    -- the HTTP status, if there was an answer
    status BIGINT,
    -- what went wrong, and the beginning of what the receiver said about it
    error  TEXT,
    answer TEXT,
    PRIMARY KEY (job, number)
);

-- The token of a draft's callback, sealed: the content of a draft is shown.
CREATE TABLE draft_callbacks (
    draft TEXT NOT NULL PRIMARY KEY REFERENCES job_drafts (id) ON DELETE CASCADE,
    token TEXT NOT NULL
);
