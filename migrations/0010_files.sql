-- Files that people bring for their jobs.
CREATE TABLE inputs (
    id                TEXT   NOT NULL PRIMARY KEY,
    workspace         TEXT   NOT NULL REFERENCES workspaces (id),
    account           TEXT   NOT NULL REFERENCES accounts (id),
    -- 'input' or 'script'
    kind              TEXT   NOT NULL,
    filename          TEXT   NOT NULL,
    content_type      TEXT   NOT NULL,
    -- 'pending', 'uploaded' once all bytes are there, 'ready' once that was confirmed
    status            TEXT   NOT NULL,
    -- hash of what is shown to upload it
    token             TEXT   NOT NULL,
    size_bytes        BIGINT,
    sha256            TEXT,
    created_at        BIGINT NOT NULL,
    uploaded_at       BIGINT,
    upload_expires_at BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    -- its file is still to be removed
    deleted_at        BIGINT
);
CREATE INDEX inputs_by_workspace ON inputs (workspace, id);
CREATE INDEX inputs_by_expiry ON inputs (expires_at);
CREATE INDEX inputs_pending ON inputs (upload_expires_at) WHERE status <> 'ready';
CREATE INDEX inputs_deleted ON inputs (deleted_at) WHERE deleted_at IS NOT NULL;

-- Which of them a job was given: they stay until it has ended.
CREATE TABLE job_inputs (
    job      TEXT NOT NULL REFERENCES jobs (id),
    -- 'input' or 'script': where it is put
    kind     TEXT NOT NULL,
    filename TEXT NOT NULL,
    input    TEXT NOT NULL,
    PRIMARY KEY (job, kind, filename)
);
CREATE INDEX job_inputs_by_input ON job_inputs (input);

-- Files that jobs have left behind.
CREATE TABLE artifacts (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace    TEXT   NOT NULL REFERENCES workspaces (id),
    job          TEXT   NOT NULL REFERENCES jobs (id),
    -- below /workspace/artifacts, with slashes
    filename     TEXT   NOT NULL,
    -- file name and name of the job in lower case, for searching
    haystack     TEXT   NOT NULL,
    content_type TEXT   NOT NULL,
    size_bytes   BIGINT NOT NULL,
    sha256       TEXT   NOT NULL,
    crc32        BIGINT NOT NULL,
    -- its file, below artifacts/ in the data directory
    place        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    -- its file is still to be removed
    deleted_at   BIGINT
);
CREATE INDEX artifacts_by_workspace ON artifacts (workspace, id);
CREATE INDEX artifacts_by_job ON artifacts (job, id);
CREATE INDEX artifacts_by_expiry ON artifacts (expires_at);
CREATE INDEX artifacts_deleted ON artifacts (deleted_at) WHERE deleted_at IS NOT NULL;

-- What came of looking through what a job left.
CREATE TABLE collections (
    job          TEXT   NOT NULL PRIMARY KEY REFERENCES jobs (id),
    files        BIGINT NOT NULL,
    bytes        BIGINT NOT NULL,
    left_out     BIGINT NOT NULL,
    -- why some were left out, in words; empty if none were
    why          TEXT   NOT NULL,
    -- paths that were declared and are not there, as JSON
    missing      TEXT   NOT NULL,
    collected_at BIGINT NOT NULL
);

-- Selections that can be fetched as one archive for a while.
CREATE TABLE artifact_zips (
    -- hash of the token in the address
    token      TEXT   NOT NULL PRIMARY KEY,
    workspace  TEXT   NOT NULL REFERENCES workspaces (id),
    -- ids, as JSON
    artifacts  TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX artifact_zips_by_expiry ON artifact_zips (expires_at);
