-- +goose Up
-- A proposal on whether a control applies can be rejected. applies is what was decided, also
-- then, so that programs of before this column read a rejected proposal rightly.
ALTER TABLE applicability ADD COLUMN rejected BIGINT NOT NULL DEFAULT 0;
INSERT INTO schema_state_oldest (version, oldest) VALUES (13, 12);
