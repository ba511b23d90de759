-- What was given at a launch besides its limits, as JSON by the variable's name; of
-- secrets only that they were.
ALTER TABLE app_sessions ADD COLUMN given TEXT;

-- The secrets among it. They go a while after the session has ended.
CREATE TABLE app_secrets (
    session TEXT NOT NULL REFERENCES app_sessions (id),
    name    TEXT NOT NULL,
    -- sealed (see orchestrator::seal)
    sealed  TEXT NOT NULL,
    PRIMARY KEY (session, name)
);
