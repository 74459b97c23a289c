-- +goose Up
-- Pages and control tests ask of windows of days, months and a year; from the hours alone
-- each would read every hour of them. All of it is computed from the leaves: a program that
-- knows these rows builds the projection anew, and so does one of before that takes over.
CREATE TABLE proj_days (
    org    TEXT   NOT NULL,
    system TEXT   NOT NULL,
    day    BIGINT NOT NULL,
    name   TEXT   NOT NULL,
    value  BIGINT NOT NULL,
    PRIMARY KEY (org, system, day, name)
);
CREATE INDEX proj_days_day ON proj_days (org, day);
-- The newest hour with a fallback, of up to a year.
CREATE INDEX proj_counters_fallbacks ON proj_counters (org, system, hour) WHERE name = 'fallbacks';
-- When the oldest exchange began that was open at the mark: what a window of leaves holds
-- did not begin before it, so a list of the window need not look further back.
ALTER TABLE proj_hours ADD COLUMN open_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX proj_hours_leaf ON proj_hours (org, first_leaf);
CREATE INDEX proj_changes_at ON proj_changes (org, at);
-- The newest runs of a job.
CREATE INDEX job_runs_job ON job_runs (job, started_at);
INSERT INTO schema_state_oldest (version, oldest) VALUES (15, 14);
