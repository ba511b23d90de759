-- With a key, a program acts for a workspace.
CREATE TABLE api_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL REFERENCES workspaces (id),
    created_by  TEXT   NOT NULL REFERENCES accounts (id),
    name        TEXT   NOT NULL,
    -- names, parted by spaces
    scopes      TEXT   NOT NULL,
    -- addresses and ranges, parted by spaces; everywhere if there are none
    allowed_ips TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT,
    disabled_at BIGINT,
    revoked_at  BIGINT
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace, id);

-- What is sent as the bearer token. A key that is rotated has two for a while.
CREATE TABLE api_key_secrets (
    api_key         TEXT   NOT NULL REFERENCES api_keys (id),
    -- counts up with every rotation
    number          BIGINT NOT NULL,
    hash            TEXT   NOT NULL UNIQUE,
    -- the first seven and the last four characters, by which people know it
    head            TEXT   NOT NULL,
    tail            TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    -- when it stops working, once a newer one has taken its place
    valid_until     BIGINT,
    -- written down once a minute at most
    last_used_at    BIGINT,
    last_used_ip    TEXT,
    last_used_agent TEXT,
    PRIMARY KEY (api_key, number)
);
