-- What a workspace's callbacks are signed with once it has been rotated. The first
-- secret is derived from the master key, and has no row.
CREATE TABLE callback_secrets (
    workspace    TEXT   NOT NULL REFERENCES workspaces (id),
    -- counts from 1
    number       BIGINT NOT NULL,
    -- sealed (see orchestrator::seal)
    secret       TEXT   NOT NULL,
    created_by   TEXT   NOT NULL REFERENCES accounts (id),
    created_at   BIGINT NOT NULL,
    -- until when those before it sign beside it
    before_until BIGINT NOT NULL,
    PRIMARY KEY (workspace, number)
);

-- Callbacks that were given up are kept for a while, so that they can be sent again.
CREATE INDEX callback_outbox_kept ON callback_outbox (ended_at)
    WHERE ended_at IS NOT NULL AND body <> '';
