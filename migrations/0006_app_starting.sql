-- When there was no image left to wait for, and the app's process was being started.
ALTER TABLE app_sessions ADD COLUMN starting_at BIGINT;
