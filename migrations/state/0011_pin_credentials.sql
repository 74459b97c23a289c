-- +goose Up
-- Which of a provider's keys made a response: accounts do not know each other's. Items of
-- responses have rows of their own.
ALTER TABLE response_pins ADD COLUMN credential TEXT NOT NULL DEFAULT '';
