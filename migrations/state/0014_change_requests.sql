-- +goose Up
-- The register has rows of a kind that programs of before do not know (change_request), and
-- settings that those programs would not obey (second_person).
INSERT INTO schema_state_oldest (version, oldest) VALUES (14, 14);
