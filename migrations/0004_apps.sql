-- An app that was launched from a template. The job that runs it carries its
-- state and its money; this carries what only an app has.
CREATE TABLE app_sessions (
    id             TEXT     NOT NULL PRIMARY KEY,
    workspace      TEXT     NOT NULL REFERENCES workspaces (id),
    account        TEXT     NOT NULL REFERENCES accounts (id),
    job            TEXT     NOT NULL UNIQUE REFERENCES jobs (id),
    template       TEXT     NOT NULL,
    -- the template as it was at the launch, as JSON
    manifest       TEXT     NOT NULL,
    -- what was chosen at the launch, as JSON
    settings       TEXT     NOT NULL,
    phase          TEXT     NOT NULL,
    phase_since    BIGINT   NOT NULL,
    -- counts up with every change; compared before each
    version        BIGINT   NOT NULL DEFAULT 0,
    last_event     BIGINT   NOT NULL DEFAULT 0,
    created_at     BIGINT   NOT NULL,
    reserved_at    BIGINT,
    image_at       BIGINT,
    started_at     BIGINT,
    ready_at       BIGINT,
    stopping_at    BIGINT,
    ended_at       BIGINT,
    -- bytes of the image that have come, of how many
    image_done     BIGINT,
    image_total    BIGINT,
    -- when it is stopped by itself, once that is known
    stops_at       BIGINT,
    last_used_at   BIGINT,
    -- why it ended or is ending: a code, and a sentence for people
    end_code       TEXT,
    end_reason     TEXT,
    -- the step during which it failed
    failed_step    TEXT,
    ended          SMALLINT NOT NULL DEFAULT 0
);
CREATE INDEX app_sessions_by_workspace ON app_sessions (workspace, ended, created_at, id);
CREATE INDEX app_sessions_by_template ON app_sessions (template, ready_at);
CREATE INDEX app_sessions_live ON app_sessions (ended, created_at);
-- their volumes are shared, so there is one at a time
CREATE UNIQUE INDEX app_sessions_one_live ON app_sessions (workspace, template) WHERE ended = 0;

CREATE TABLE app_services (
    session    TEXT     NOT NULL REFERENCES app_sessions (id),
    service    TEXT     NOT NULL,
    -- the first label of its host name; nobody can guess it
    origin     TEXT     NOT NULL UNIQUE,
    state      TEXT     NOT NULL,
    -- checks passed in a row
    passed     BIGINT   NOT NULL DEFAULT 0,
    checked_at BIGINT,
    outcome    TEXT,
    ready_at   BIGINT,
    PRIMARY KEY (session, service)
);

CREATE TABLE app_events (
    session    TEXT   NOT NULL REFERENCES app_sessions (id),
    seq        BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    phase      TEXT   NOT NULL,
    service    TEXT,
    title      TEXT   NOT NULL,
    message    TEXT   NOT NULL,
    level      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (session, seq)
);

-- Leave to enter an app once, given to a signed-in person for half a minute.
CREATE TABLE app_tickets (
    token_hash TEXT     NOT NULL PRIMARY KEY,
    session    TEXT     NOT NULL REFERENCES app_sessions (id),
    service    TEXT     NOT NULL,
    account    TEXT     NOT NULL REFERENCES accounts (id),
    -- the portal session that it came from
    bearer     TEXT     NOT NULL,
    expires_at BIGINT   NOT NULL,
    used       SMALLINT NOT NULL DEFAULT 0
);
CREATE INDEX app_tickets_by_age ON app_tickets (expires_at);

-- A browser that is inside an app.
CREATE TABLE app_passes (
    token_hash TEXT   NOT NULL PRIMARY KEY,
    session    TEXT   NOT NULL REFERENCES app_sessions (id),
    service    TEXT   NOT NULL,
    account    TEXT   NOT NULL REFERENCES accounts (id),
    bearer     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX app_passes_by_session ON app_passes (session);
CREATE INDEX app_passes_by_age ON app_passes (expires_at);

-- Where an ordinary job is billed from its start, an app is from when it is ready.
ALTER TABLE jobs ADD COLUMN billed_from BIGINT;
