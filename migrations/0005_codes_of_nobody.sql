-- Codes are kept for addresses without an account, too: otherwise the time that
-- it takes to ask for one tells who has an account. There `account` names nobody,
-- so it refers to nothing.
CREATE TABLE challenges_anew (
    id         TEXT     NOT NULL PRIMARY KEY,
    account    TEXT     NOT NULL,
    -- 'verify' or 'reset'
    purpose    TEXT     NOT NULL,
    code_mac   TEXT     NOT NULL,
    attempts   SMALLINT NOT NULL DEFAULT 0,
    created_at BIGINT   NOT NULL,
    expires_at BIGINT   NOT NULL,
    -- when it was used, or replaced by a newer one
    closed_at  BIGINT
);
INSERT INTO challenges_anew (id, account, purpose, code_mac, attempts, created_at, expires_at, closed_at)
    SELECT id, account, purpose, code_mac, attempts, created_at, expires_at, closed_at FROM challenges;
DROP TABLE challenges;
ALTER TABLE challenges_anew RENAME TO challenges;
CREATE INDEX challenges_by_account ON challenges (account, purpose, created_at);
