-- +goose Up
-- Pages and lists sum a period over all systems; without this they would read the
-- counters of all time.
CREATE INDEX proj_counters_hour ON proj_counters (org, hour);
