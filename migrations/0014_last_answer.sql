-- When a check of an app's service last passed: a later one that fails takes nothing
-- of that away.
ALTER TABLE app_services ADD COLUMN answered_at BIGINT;
UPDATE app_services SET answered_at = checked_at WHERE state = 'ready';
