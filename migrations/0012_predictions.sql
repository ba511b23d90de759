-- What was predicted of a job when it was let in, and how it came out: written in
-- the transaction that queues it, and completed in the one that ends it.
CREATE TABLE predictions (
    job           TEXT     NOT NULL PRIMARY KEY REFERENCES jobs (id),
    workspace     TEXT     NOT NULL,
    -- jobs that are alike in everything that matters to how long they take
    likeness      TEXT     NOT NULL,
    -- jobs that are alike apart from their command
    kind          TEXT     NOT NULL,
    -- jobs that wait for the same machines
    pool          TEXT     NOT NULL,
    -- what the runtime was based on, and how many jobs that were
    basis         TEXT     NOT NULL,
    samples       BIGINT   NOT NULL,
    -- seconds, and micro-dollars
    runtime_low   BIGINT   NOT NULL,
    runtime_high  BIGINT   NOT NULL,
    wait_low      BIGINT   NOT NULL,
    wait_high     BIGINT   NOT NULL,
    cost_low      BIGINT   NOT NULL,
    cost_high     BIGINT   NOT NULL,
    rate          BIGINT   NOT NULL,
    created_at    BIGINT   NOT NULL,
    -- the outcome, once there is one: milliseconds and micro-dollars
    completed_at  BIGINT,
    runtime_ms    BIGINT,
    wait_ms       BIGINT,
    cost          BIGINT,
    started       SMALLINT NOT NULL DEFAULT 0,
    -- whether it ran to its own end, so that its runtime says something about others
    counts        SMALLINT NOT NULL DEFAULT 0,
    -- whether its ranges said something that could have been wrong
    judged        SMALLINT NOT NULL DEFAULT 0,
    runtime_held  SMALLINT NOT NULL DEFAULT 0,
    wait_held     SMALLINT NOT NULL DEFAULT 0,
    cost_held     SMALLINT NOT NULL DEFAULT 0
);
CREATE INDEX predictions_by_likeness ON predictions (workspace, likeness, counts, completed_at);
CREATE INDEX predictions_by_own_kind ON predictions (workspace, kind, counts, completed_at);
CREATE INDEX predictions_by_kind ON predictions (kind, counts, completed_at);
CREATE INDEX predictions_by_pool ON predictions (pool, started, completed_at);
CREATE INDEX predictions_judged ON predictions (workspace, judged, completed_at);
CREATE INDEX predictions_judged_all ON predictions (judged, completed_at);
