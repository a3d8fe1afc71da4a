-- Tokens of mailed links, by what they are good for. An account has one of each purpose at most: a new one takes the
-- place of the old one, so only the newest works. Kept until it expires, used or not: the row is also what remembers
-- when the last mail of its kind was asked for.
CREATE TABLE mail_tokens (
    tenant     text        NOT NULL,
    user_id    uuid        NOT NULL,
    purpose    text        NOT NULL CHECK (purpose IN ('verify', 'reset')),
    token_hash bytea       NOT NULL CHECK (octet_length(token_hash) = 32),
    -- The address that it was mailed to; worthless once the account has another one.
    email_key  text        NOT NULL CHECK (octet_length(email_key) BETWEEN 3 AND 254),
    client_id  text        CHECK (octet_length(client_id) BETWEEN 1 AND 128),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    PRIMARY KEY (tenant, user_id, purpose),
    CONSTRAINT mail_tokens_hash UNIQUE (tenant, token_hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX mail_tokens_expiry ON mail_tokens (expires_at);
