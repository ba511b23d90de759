-- A search reads blocks in the order of its list and stops when its page is full; the
-- last column of each index tells without a look at the block whether it is needed.
CREATE INDEX job_texts_newest ON job_texts (workspace, last_at, block, first_at);
CREATE INDEX job_texts_oldest ON job_texts (workspace, first_at, block, last_at);
