CREATE TABLE ledger_accounts (
    id              TEXT     NOT NULL PRIMARY KEY,
    workspace       TEXT     REFERENCES workspaces (id),
    kind            TEXT     NOT NULL,
    credit          BIGINT   NOT NULL DEFAULT 0,
    debit           BIGINT   NOT NULL DEFAULT 0,
    may_go_negative SMALLINT NOT NULL DEFAULT 0,
    CHECK (credit >= 0 AND debit >= 0),
    CHECK (may_go_negative = 1 OR credit >= debit)
);
CREATE INDEX ledger_accounts_by_workspace ON ledger_accounts (workspace);

-- Never updated, never deleted: triggers see to it.
CREATE TABLE transfers (
    id             TEXT   NOT NULL PRIMARY KEY,
    debit_account  TEXT   NOT NULL REFERENCES ledger_accounts (id),
    credit_account TEXT   NOT NULL REFERENCES ledger_accounts (id),
    amount         BIGINT NOT NULL CHECK (amount > 0),
    kind           TEXT   NOT NULL,
    about          TEXT   NOT NULL,
    at             BIGINT NOT NULL,
    CHECK (debit_account <> credit_account)
);
CREATE INDEX transfers_by_debit ON transfers (debit_account, at);
CREATE INDEX transfers_by_credit ON transfers (credit_account, at);
CREATE INDEX transfers_by_about ON transfers (about);

-- Each hold is resolved at most once.
CREATE TABLE hold_resolutions (
    hold TEXT   NOT NULL PRIMARY KEY REFERENCES transfers (id),
    how  TEXT   NOT NULL CHECK (how IN ('posted', 'voided')),
    at   BIGINT NOT NULL
);
