-- What the second half of a login leads to: tokens of a client, or the session of a browser, which may go without one (S68).
ALTER TABLE mfa_tokens
    ALTER COLUMN client_uuid DROP NOT NULL,
    ALTER COLUMN client_id DROP NOT NULL,
    ADD COLUMN browser boolean NOT NULL DEFAULT false,
    ADD COLUMN return_to text CHECK (octet_length(return_to) BETWEEN 1 AND 2048);
