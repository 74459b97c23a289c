-- +goose Up
-- What is computed from the ledger. Every table here can be dropped and built
-- again from the leaves. A table's rows and the cursor commit together.
CREATE TABLE proj_cursors (
    log        TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    next_leaf  BIGINT NOT NULL,
    hour       BIGINT NOT NULL,
    PRIMARY KEY (log, version)
);
CREATE TABLE proj_exchanges (
    org          TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    opened_leaf  BIGINT NOT NULL DEFAULT -1,
    closed_leaf  BIGINT NOT NULL DEFAULT -1,
    state        TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    system       TEXT   NOT NULL,
    key_id       TEXT   NOT NULL,
    endpoint     TEXT   NOT NULL,
    stream       BIGINT NOT NULL,
    simulated    BIGINT NOT NULL,
    model_asked  TEXT   NOT NULL,
    model_target TEXT   NOT NULL,
    model_served TEXT   NOT NULL,
    provider     TEXT   NOT NULL,
    region       TEXT   NOT NULL,
    status       BIGINT NOT NULL,
    code         TEXT   NOT NULL,
    end_kind     BIGINT NOT NULL,
    input        BIGINT NOT NULL,
    output       BIGINT NOT NULL,
    source       BIGINT NOT NULL,
    charge       BIGINT NOT NULL,
    held         BIGINT NOT NULL,
    tries        BIGINT NOT NULL,
    total_us     BIGINT NOT NULL,
    classes      TEXT   NOT NULL,
    rule         TEXT   NOT NULL,
    shadow_rule  TEXT   NOT NULL,
    PRIMARY KEY (org, id)
);
CREATE INDEX proj_exchanges_at ON proj_exchanges (org, at);
CREATE INDEX proj_exchanges_system ON proj_exchanges (org, system, at);
-- Counters by system and rollup hour: the range of leaves between two marks.
CREATE TABLE proj_counters (
    org    TEXT   NOT NULL,
    system TEXT   NOT NULL,
    hour   BIGINT NOT NULL,
    name   TEXT   NOT NULL,
    value  BIGINT NOT NULL,
    PRIMARY KEY (org, system, hour, name)
);
CREATE TABLE proj_hours (
    org        TEXT   NOT NULL,
    hour       BIGINT NOT NULL,
    first_leaf BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (org, hour)
);
CREATE TABLE proj_observed (
    org        TEXT   NOT NULL,
    system     TEXT   NOT NULL,
    provider   TEXT   NOT NULL,
    model      TEXT   NOT NULL,
    first_at   BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    first_leaf BIGINT NOT NULL,
    last_leaf  BIGINT NOT NULL,
    calls      BIGINT NOT NULL,
    simulated  BIGINT NOT NULL,
    PRIMARY KEY (org, system, provider, model)
);
CREATE TABLE proj_balances (
    org       TEXT   NOT NULL,
    budget    TEXT   NOT NULL,
    win       BIGINT NOT NULL,
    charged   BIGINT NOT NULL,
    overspent BIGINT NOT NULL,
    PRIMARY KEY (org, budget, win)
);
CREATE TABLE proj_changes (
    org       TEXT   NOT NULL,
    leaf      BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    id        TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    object    TEXT   NOT NULL,
    version   BIGINT NOT NULL,
    actor     TEXT   NOT NULL,
    approver  TEXT   NOT NULL,
    imported  BIGINT NOT NULL,
    reasoned  BIGINT NOT NULL,
    PRIMARY KEY (org, leaf)
);
CREATE TABLE proj_findings (
    org        TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    first_at   BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    first_leaf BIGINT NOT NULL,
    last_leaf  BIGINT NOT NULL,
    count      BIGINT NOT NULL,
    PRIMARY KEY (org, id)
);
CREATE TABLE proj_results (
    org        TEXT   NOT NULL,
    leaf       BIGINT NOT NULL,
    id         TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    test       TEXT   NOT NULL,
    system     TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    PRIMARY KEY (org, leaf)
);
CREATE INDEX proj_results_test ON proj_results (org, system, test, leaf);
CREATE TABLE proj_states (
    org       TEXT   NOT NULL,
    framework TEXT   NOT NULL,
    control   TEXT   NOT NULL,
    system    TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    leaf      BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (org, framework, control, system)
);
CREATE TABLE proj_writers (
    org    TEXT   NOT NULL,
    writer TEXT   NOT NULL,
    last   BIGINT NOT NULL,
    gaps   BIGINT NOT NULL,
    PRIMARY KEY (org, writer)
);
