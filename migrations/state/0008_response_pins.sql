-- +goose Up
-- Where responses were made that their providers keep, so that a call that names one
-- goes to the provider that has it. The id is a hash; rows live for 30 days.
CREATE TABLE response_pins (
    org      TEXT   NOT NULL,
    system   TEXT   NOT NULL, -- of the key that made it; '' for a key of none
    id       BLOB   NOT NULL, -- SHA-256
    provider TEXT   NOT NULL,
    target   TEXT   NOT NULL, -- the model at the provider
    model    TEXT   NOT NULL, -- as it was asked for
    made_at  BIGINT NOT NULL,
    PRIMARY KEY (org, system, id)
);
CREATE INDEX response_pins_made ON response_pins (org, made_at);
