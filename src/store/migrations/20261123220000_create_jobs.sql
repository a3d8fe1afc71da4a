-- When each job on this database is due next. Whoever runs a portion of it holds its row locked meanwhile, in the transaction
-- of the portion: so one node works at a time, and one that dies leaves the job due and free. The time is the database's own.
CREATE TABLE jobs (
    name    text        PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 64),
    next_at timestamptz NOT NULL
);
