-- +goose Up
-- The ledger. The log is first in every key. A log is an organisation's id, or
-- empty for the instance's own.
CREATE TABLE ledger_logs (
    log        TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    origin     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (log, generation)
);
-- Leaves as they were written: each record prefixed by its length (uint16,
-- big endian). A group never changes.
CREATE TABLE ledger_groups (
    log        TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    first_leaf BIGINT NOT NULL,
    leaves     BIGINT NOT NULL,
    data       BLOB   NOT NULL,
    PRIMARY KEY (log, generation, first_leaf)
);
-- Tiles of the Merkle tree, height 8. Full ones are written once; the open
-- right edge is written anew with each checkpoint.
CREATE TABLE ledger_tiles (
    log        TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    level      BIGINT NOT NULL,
    tile       BIGINT NOT NULL,
    width      BIGINT NOT NULL,
    hashes     BLOB   NOT NULL,
    PRIMARY KEY (log, generation, level, tile)
);
CREATE TABLE ledger_checkpoints (
    log        TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    size       BIGINT NOT NULL,
    root       BLOB   NOT NULL,
    note       BLOB   NOT NULL,
    signed_at  BIGINT NOT NULL,
    open_from  BIGINT NOT NULL, -- no intent before this leaf was open then
    PRIMARY KEY (log, generation, size)
);
-- Signing keys, sealed. Both keys sign for 30 days after a rotation.
CREATE TABLE ledger_keys (
    log        TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    verifier   TEXT   NOT NULL,
    sealed     BLOB   NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (log, generation, seq)
);
-- Keys of content commitments (name: system and month) and of pseudonyms.
-- Destroying one leaves every proof intact.
CREATE TABLE ledger_secrets (
    log    TEXT NOT NULL,
    name   TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (log, name)
);
-- Records that are written once by id: changes, results, documents.
CREATE TABLE ledger_ids (
    log        TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    leaf       BIGINT NOT NULL,
    PRIMARY KEY (log, id)
);
-- Where each log's writer had got to at its last mark, and in which hour.
CREATE TABLE ledger_hours (
    log        TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    hour       BIGINT NOT NULL,
    leaf       BIGINT NOT NULL,
    PRIMARY KEY (log, generation, hour)
);
-- Groups that are durable but not numbered yet (PostgreSQL only: SQLite numbers
-- in the same transaction).
CREATE TABLE ledger_inbox (
    seq    SERIAL_KEY,
    log    TEXT   NOT NULL,
    writer TEXT   NOT NULL,
    number BIGINT NOT NULL,
    leaves BIGINT NOT NULL,
    data   BLOB   NOT NULL,
    UNIQUE (writer, log, number)
);
CREATE TABLE ledger_lease (
    name   TEXT   NOT NULL PRIMARY KEY,
    epoch  BIGINT NOT NULL,
    holder TEXT   NOT NULL,
    at     BIGINT NOT NULL
);
