-- +goose Up
-- Leaves before open_from that are of batches, and of responses made in the background,
-- which were open then: each as its distance from the one before, as a varint.
ALTER TABLE ledger_checkpoints ADD COLUMN lasting BLOB;
