-- +goose Up
-- What no list is filtered by goes into one column: a row is written for every
-- exchange, and what it costs grows with its columns. The table is computed from
-- the leaves and built again.
DROP TABLE proj_exchanges;
CREATE TABLE proj_exchanges (
    org          TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    opened_leaf  BIGINT NOT NULL,
    closed_leaf  BIGINT NOT NULL,
    state        TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    system       TEXT   NOT NULL,
    key_id       TEXT   NOT NULL,
    model_asked  TEXT   NOT NULL,
    model_target TEXT   NOT NULL,
    model_served TEXT   NOT NULL,
    provider     TEXT   NOT NULL,
    code         TEXT   NOT NULL,
    source       BIGINT NOT NULL,
    findings     TEXT   NOT NULL,
    details      TEXT   NOT NULL,
    PRIMARY KEY (org, id)
);
CREATE INDEX proj_exchanges_at ON proj_exchanges (org, at);
CREATE INDEX proj_exchanges_system ON proj_exchanges (org, system, at);
CREATE INDEX proj_exchanges_findings ON proj_exchanges (org, at) WHERE findings <> '';
CREATE INDEX proj_exchanges_open ON proj_exchanges (org, at) WHERE closed_leaf < 0;
