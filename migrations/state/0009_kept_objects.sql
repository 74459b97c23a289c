-- +goose Up
-- Files and batches that providers keep for AI systems: whose they are, and where. What
-- the provider says of one, such as a file's name, is sealed.
CREATE TABLE kept_objects (
    org      TEXT   NOT NULL,
    system   TEXT   NOT NULL, -- of the key that made it; '' for a key of none
    kind     TEXT   NOT NULL, -- file, batch or message_batch
    id       TEXT   NOT NULL, -- the provider's
    provider TEXT   NOT NULL,
    target   TEXT   NOT NULL, -- the model at the provider
    model    TEXT   NOT NULL, -- as it was asked for
    exchange TEXT   NOT NULL, -- of a batch and its results: the call that made it; '' for others
    made_at  BIGINT NOT NULL,
    known    TEXT   NOT NULL, -- JSON: what the gateway found in it
    said     BLOB,
    PRIMARY KEY (org, system, kind, id)
);
CREATE INDEX kept_objects_exchange ON kept_objects (org, exchange);
CREATE INDEX kept_objects_made ON kept_objects (org, system, kind, made_at);
