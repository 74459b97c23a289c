-- +goose Up
-- The register: every version of every row. A row whose leaf is below zero waits
-- for its record: it is its own outbox entry. What restricts is in force at once,
-- what permits once it is recorded.
CREATE TABLE register_rows (
    seq         SERIAL_KEY,
    org         TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    body        TEXT   NOT NULL,
    deleted     BIGINT NOT NULL DEFAULT 0,
    restricts   BIGINT NOT NULL DEFAULT 0,
    change_id   TEXT   NOT NULL UNIQUE,
    change_kind TEXT   NOT NULL,
    author      TEXT   NOT NULL,
    approver    TEXT   NOT NULL DEFAULT '',
    imported    BIGINT NOT NULL DEFAULT 0,
    reason      TEXT   NOT NULL DEFAULT '',
    request     TEXT   NOT NULL DEFAULT '',
    file        TEXT   NOT NULL DEFAULT '',
    line        BIGINT NOT NULL DEFAULT 0,
    at          BIGINT NOT NULL,
    leaf        BIGINT NOT NULL DEFAULT -1,
    before_hash BLOB,
    after_hash  BLOB,
    UNIQUE (org, kind, id, version)
);
CREATE INDEX register_rows_open ON register_rows (leaf) WHERE leaf < 0;

-- Accounts of people. What they may do in an organisation is a register row.
CREATE TABLE accounts (
    id         TEXT   NOT NULL PRIMARY KEY,
    email      TEXT   NOT NULL UNIQUE,
    name       TEXT   NOT NULL,
    password   TEXT   NOT NULL DEFAULT '',
    stamp      BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
-- One-time links. An empty account is the link of the first run.
CREATE TABLE signin_links (
    hash       TEXT   NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE sessions (
    token      TEXT   NOT NULL PRIMARY KEY,
    data       BLOB   NOT NULL,
    expires_at BIGINT NOT NULL
);
