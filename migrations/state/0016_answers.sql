-- +goose Up
-- Why a proposal on whether a control applies was decided as it was; one that was rejected
-- has it.
ALTER TABLE applicability ADD COLUMN answer TEXT NOT NULL DEFAULT '';
INSERT INTO schema_state_oldest (version, oldest) VALUES (16, 15);
