-- Output older than what is in job_logs, in blocks of many lines: a row per line
-- would take several times the room and hold the writer for ever.
CREATE TABLE log_blocks (
    job         TEXT   NOT NULL REFERENCES jobs (id),
    -- the number of its last line
    last_entry  BIGINT NOT NULL,
    -- its first line follows this one, dropped lines aside
    after_entry BIGINT NOT NULL,
    -- where it begins in the text of all that was ever printed, and its length, in bytes
    text_at     BIGINT NOT NULL,
    text_bytes  BIGINT NOT NULL,
    weight      BIGINT NOT NULL,
    -- how many lines of each kind it has
    stdout      BIGINT NOT NULL,
    stderr      BIGINT NOT NULL,
    system      BIGINT NOT NULL,
    warnings    BIGINT NOT NULL,
    errors      BIGINT NOT NULL,
    -- the time of its first line
    began_at    BIGINT NOT NULL,
    plain_bytes BIGINT NOT NULL,
    -- see store::jobs::logs::block
    data        BYTEA  NOT NULL,
    PRIMARY KEY (job, last_entry)
);
CREATE INDEX log_blocks_by_text ON log_blocks (job, text_at);

-- Output of one job as a whole.
CREATE TABLE log_totals (
    job          TEXT     NOT NULL PRIMARY KEY REFERENCES jobs (id),
    stdout       BIGINT   NOT NULL DEFAULT 0,
    stderr       BIGINT   NOT NULL DEFAULT 0,
    system       BIGINT   NOT NULL DEFAULT 0,
    warnings     BIGINT   NOT NULL DEFAULT 0,
    errors       BIGINT   NOT NULL DEFAULT 0,
    -- of the lines in job_logs
    loose_lines  BIGINT   NOT NULL DEFAULT 0,
    loose_weight BIGINT   NOT NULL DEFAULT 0,
    loose_text   BIGINT   NOT NULL DEFAULT 0,
    -- of what was ever put into blocks
    block_text   BIGINT   NOT NULL DEFAULT 0,
    head_weight  BIGINT   NOT NULL DEFAULT 0,
    tail_weight  BIGINT   NOT NULL DEFAULT 0,
    -- the last line of the head, and where its text ends, once the head is full
    head_entry   BIGINT,
    head_text    BIGINT   NOT NULL DEFAULT 0,
    -- the last line that was dropped after it, and where its text ended
    cut_entry    BIGINT,
    cut_text     BIGINT   NOT NULL DEFAULT 0,
    -- 1 when all of it was deleted because of its age
    expired      SMALLINT NOT NULL DEFAULT 0
);

CREATE INDEX log_totals_kept ON log_totals (job) WHERE expired = 0;

ALTER TABLE job_logs ADD COLUMN level SMALLINT NOT NULL DEFAULT -1;
-- this line says that so many were dropped
ALTER TABLE job_logs ADD COLUMN dropped BIGINT NOT NULL DEFAULT 0;

INSERT INTO log_totals (job, stdout, stderr, system, errors, loose_lines, loose_weight, loose_text)
SELECT job,
       CAST(SUM(CASE WHEN stream = 'stdout' THEN 1 ELSE 0 END) AS BIGINT),
       CAST(SUM(CASE WHEN stream = 'stderr' THEN 1 ELSE 0 END) AS BIGINT),
       CAST(SUM(CASE WHEN stream = 'system' THEN 1 ELSE 0 END) AS BIGINT),
       CAST(SUM(CASE WHEN stream = 'stderr' THEN 1 ELSE 0 END) AS BIGINT),
       COUNT(*),
       CAST(SUM(CASE WHEN OCTET_LENGTH(message) < 63 THEN 64 ELSE OCTET_LENGTH(message) + 1 END) AS BIGINT),
       CAST(SUM(OCTET_LENGTH(message) + 1 - truncated) AS BIGINT)
FROM job_logs GROUP BY job;

-- Failures, newest first.
CREATE INDEX jobs_by_failure ON jobs (workspace, completed_at, id) WHERE status = 'failed';
