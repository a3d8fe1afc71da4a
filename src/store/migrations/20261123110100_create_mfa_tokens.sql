-- First halves of logins that wait for the second (S68). A use removes its row.
CREATE TABLE mfa_tokens (
    tenant      text        NOT NULL,
    token_hash  bytea       NOT NULL CHECK (octet_length(token_hash) = 32),
    user_id     uuid        NOT NULL,
    client_uuid uuid        NOT NULL,
    client_id   text        NOT NULL CHECK (octet_length(client_id) BETWEEN 1 AND 128),
    -- SHA-256 of the password's hash that was verified: another password makes the token worthless.
    password    bytea       NOT NULL CHECK (octet_length(password) = 32),
    wrong_codes integer     NOT NULL DEFAULT 0 CHECK (wrong_codes >= 0),
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, token_hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX mfa_tokens_user ON mfa_tokens (tenant, user_id);
CREATE INDEX mfa_tokens_expiry ON mfa_tokens (expires_at);
