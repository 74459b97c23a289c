-- +goose Up
-- Documents. A row goes through reserved (its number is taken), rendered (its
-- files and hashes are fixed, its record has an id) and issued (the record is in
-- the ledger, its proof beside the files).
CREATE TABLE documents (
    org         TEXT   NOT NULL,
    id          TEXT   NOT NULL, -- number and revision: AR-2026-0001-r2
    number      TEXT   NOT NULL, -- AR-2026-0001
    revision    BIGINT NOT NULL,
    kind        TEXT   NOT NULL,
    system      TEXT   NOT NULL DEFAULT '',
    framework   TEXT   NOT NULL DEFAULT '',
    vendor      TEXT   NOT NULL DEFAULT '',
    title       TEXT   NOT NULL DEFAULT '',
    subject     TEXT   NOT NULL DEFAULT '',
    template    TEXT   NOT NULL DEFAULT '',
    state       TEXT   NOT NULL, -- reserved, rendered, issued, superseded
    from_at     BIGINT NOT NULL,
    to_at       BIGINT NOT NULL,
    as_of_size  BIGINT NOT NULL DEFAULT 0,
    as_of_at    BIGINT NOT NULL DEFAULT 0,
    as_of_root  BLOB,
    pdf_hash    BLOB,
    json_hash   BLOB,
    pages       BIGINT NOT NULL DEFAULT 0,
    provided    BIGINT NOT NULL DEFAULT 0,
    required    BIGINT NOT NULL DEFAULT 0,
    summary     TEXT   NOT NULL DEFAULT '{}',
    simulated   BIGINT NOT NULL DEFAULT 0,
    record      TEXT   NOT NULL DEFAULT '', -- id of the document.issued record
    leaf        BIGINT NOT NULL DEFAULT -1,
    issued_by   TEXT   NOT NULL,
    issued_name TEXT   NOT NULL DEFAULT '',
    issued_at   BIGINT NOT NULL,
    PRIMARY KEY (org, id)
);
CREATE INDEX documents_subject ON documents (org, kind, system, framework, vendor, revision);

-- Documents that are written again and again.
CREATE TABLE document_schedules (
    org       TEXT   NOT NULL,
    id        TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    system    TEXT   NOT NULL DEFAULT '',
    framework TEXT   NOT NULL DEFAULT '',
    vendor    TEXT   NOT NULL DEFAULT '',
    cron      TEXT   NOT NULL,
    days      BIGINT NOT NULL,
    set_by    TEXT   NOT NULL,
    set_name  TEXT   NOT NULL DEFAULT '',
    set_at    BIGINT NOT NULL,
    PRIMARY KEY (org, id)
);

-- Runs of scheduled jobs. The tick is unique, so two processes that wake up for
-- the same one run it once.
CREATE TABLE job_runs (
    org        TEXT   NOT NULL DEFAULT '',
    job        TEXT   NOT NULL,
    tick       BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL DEFAULT 0,
    state      TEXT   NOT NULL, -- running, ok, failed
    detail     TEXT   NOT NULL DEFAULT '',
    by_actor   TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (job, tick)
);
CREATE INDEX job_runs_recent ON job_runs (org, started_at);
