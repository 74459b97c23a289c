-- +goose Up
-- For each migration from here on, the oldest schema whose programs may still run on it.
-- Programs of before this one do not read it.
CREATE TABLE schema_state_oldest (
    version BIGINT NOT NULL PRIMARY KEY,
    oldest  BIGINT NOT NULL CHECK (oldest <= version)
);
INSERT INTO schema_state_oldest (version, oldest) VALUES (12, 12);
