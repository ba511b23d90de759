-- Lists by type, by image, by cost and by runtime. A list that leaves a column open
-- is put together from one walk for each of its values.
CREATE INDEX jobs_by_kind ON jobs (workspace, workload_type, status, created_at, id);
CREATE INDEX jobs_by_image ON jobs (workspace, image, workload_type, status, created_at, id);
CREATE INDEX jobs_by_cost ON jobs (workspace, status, workload_type, (COALESCE(cost, -1)), id);
CREATE INDEX jobs_by_runtime ON jobs (workspace, status, workload_type, (COALESCE(completed_at - started_at, -1)), id);

-- What is searched of up to a hundred jobs that were submitted one after the other,
-- because looking into few long texts is many times faster than into many short ones.
CREATE TABLE job_texts (
    workspace TEXT   NOT NULL REFERENCES workspaces (id),
    -- counts from 1 in each workspace
    block     BIGINT NOT NULL,
    jobs      BIGINT NOT NULL,
    -- when the first and the last of them were made
    first_at  BIGINT NOT NULL,
    last_at   BIGINT NOT NULL,
    -- of each: when it was made, and its type; each with a record separator (U+001E) behind it
    keys      TEXT   NOT NULL,
    -- of each its haystack, likewise
    text      TEXT   NOT NULL,
    PRIMARY KEY (workspace, block)
);
-- Jobs that are there already get a full block each.
INSERT INTO job_texts (workspace, block, jobs, first_at, last_at, keys, text)
SELECT workspace, ROW_NUMBER() OVER (PARTITION BY workspace ORDER BY created_at, id), 100, created_at, created_at,
       CAST(created_at AS TEXT) || ' ' || workload_type || '', haystack || ''
FROM jobs;

-- How many jobs ended on a day (UTC, days since the epoch), how, and what they cost.
CREATE TABLE job_days (
    workspace TEXT   NOT NULL REFERENCES workspaces (id),
    day       BIGINT NOT NULL,
    status    TEXT   NOT NULL,
    jobs      BIGINT NOT NULL,
    cost      BIGINT NOT NULL,
    PRIMARY KEY (workspace, day, status)
);
INSERT INTO job_days (workspace, day, status, jobs, cost)
SELECT workspace, completed_at / 86400000000, status, COUNT(*), CAST(COALESCE(SUM(cost), 0) AS BIGINT)
FROM jobs WHERE ended = 1 AND completed_at IS NOT NULL
GROUP BY workspace, completed_at / 86400000000, status;
