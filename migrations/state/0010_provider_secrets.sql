-- +goose Up
-- Providers' secrets that people entered, sealed under the instance's key and bound to
-- organisation, provider, id and the host that they are sent to. A version of a provider
-- names one as sealed:ID; what no version in force or on its way names is deleted.
CREATE TABLE provider_secrets (
    org      TEXT NOT NULL,
    id       TEXT NOT NULL,
    provider TEXT NOT NULL,
    sealed   BLOB NOT NULL,
    PRIMARY KEY (org, id)
);
