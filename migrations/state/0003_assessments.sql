-- +goose Up
-- What people attach to controls. The records of it are in the ledger; texts and
-- files stay here.
CREATE TABLE human_evidence (
    id          TEXT   NOT NULL PRIMARY KEY,
    org         TEXT   NOT NULL,
    framework   TEXT   NOT NULL,
    control     TEXT   NOT NULL,
    system      TEXT   NOT NULL,
    type        TEXT   NOT NULL,
    title       TEXT   NOT NULL,
    form        TEXT   NOT NULL,
    link        TEXT   NOT NULL DEFAULT '',
    file_name   TEXT   NOT NULL DEFAULT '',
    content     BLOB,
    hash        TEXT   NOT NULL,
    from_at     BIGINT NOT NULL,
    until_at    BIGINT NOT NULL,
    author      TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    leaf        BIGINT NOT NULL DEFAULT -1,
    decision    TEXT   NOT NULL DEFAULT '',
    decided_by  TEXT   NOT NULL DEFAULT '',
    decided_at  BIGINT NOT NULL DEFAULT 0,
    decided_leaf BIGINT NOT NULL DEFAULT -1,
    reason      TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX human_evidence_control ON human_evidence (org, framework, control);
CREATE TABLE applicability (
    id         TEXT   NOT NULL PRIMARY KEY,
    org        TEXT   NOT NULL,
    framework  TEXT   NOT NULL,
    control    TEXT   NOT NULL,
    system     TEXT   NOT NULL,
    applies    BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    author     TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    approver   TEXT   NOT NULL DEFAULT '',
    decided_at BIGINT NOT NULL DEFAULT 0,
    leaf       BIGINT NOT NULL DEFAULT -1
);
CREATE INDEX applicability_control ON applicability (org, framework, control);
-- Full checks of a log, which test t.chain_verified reads.
CREATE TABLE chain_checks (
    org    TEXT   NOT NULL,
    at     BIGINT NOT NULL,
    ok     BIGINT NOT NULL,
    leaves BIGINT NOT NULL,
    reason TEXT   NOT NULL,
    PRIMARY KEY (org, at)
);
