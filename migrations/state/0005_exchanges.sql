-- +goose Up
-- What lists of exchanges are filtered by, and records beside an exchange's own
-- two. All of it is computed from the leaves.
ALTER TABLE proj_exchanges ADD COLUMN findings TEXT NOT NULL DEFAULT '';
CREATE INDEX proj_exchanges_findings ON proj_exchanges (org, at) WHERE findings <> '';
CREATE INDEX proj_exchanges_open ON proj_exchanges (org, at) WHERE closed_leaf < 0;
-- Refusals that were counted together and have no record each.
CREATE TABLE proj_refusals (
    org      TEXT   NOT NULL,
    leaf     BIGINT NOT NULL,
    id       TEXT   NOT NULL,
    system   TEXT   NOT NULL,
    key_id   TEXT   NOT NULL,
    code     TEXT   NOT NULL,
    count    BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (org, leaf)
);
CREATE INDEX proj_refusals_at ON proj_refusals (org, last_at);
-- Further attempts, adjustments and second ends of an exchange.
CREATE TABLE proj_further (
    org      TEXT   NOT NULL,
    exchange TEXT   NOT NULL,
    leaf     BIGINT NOT NULL,
    PRIMARY KEY (org, exchange, leaf)
);
-- What happened to the ledger itself: starts, stops, outages, rotations, forks.
CREATE TABLE proj_events (
    org  TEXT   NOT NULL,
    leaf BIGINT NOT NULL,
    at   BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    PRIMARY KEY (org, leaf)
);
