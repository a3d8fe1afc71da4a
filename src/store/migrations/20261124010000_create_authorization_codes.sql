-- Authorization codes (RFC 6749 §4.1.2), by the hash of the code. A used one stays for a while, so that its second use is known for
-- what it is and what the first yielded can be revoked (S30).
CREATE TABLE authorization_codes (
    tenant            text        NOT NULL,
    code_hash         bytea       NOT NULL CHECK (octet_length(code_hash) = 32),
    user_id           uuid        NOT NULL,
    -- The session in which it was given: of a browser, or of an access token.
    browser_session   uuid,
    family            uuid,
    client_uuid       uuid        NOT NULL,
    client_id         text        NOT NULL CHECK (octet_length(client_id) BETWEEN 1 AND 128),
    redirect_uri      text        NOT NULL CHECK (octet_length(redirect_uri) BETWEEN 1 AND 4096),
    redirect_uri_sent boolean     NOT NULL,
    scope             text[]      NOT NULL CHECK (cardinality(scope) <= 256),
    resources         text[]      NOT NULL CHECK (cardinality(resources) <= 256),
    nonce             text        CHECK (octet_length(nonce) BETWEEN 1 AND 1024),
    challenge         bytea       CHECK (octet_length(challenge) = 32),
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL CHECK (expires_at > created_at),
    used_at           timestamptz,
    -- What it yielded.
    yielded           uuid,
    PRIMARY KEY (tenant, code_hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    CHECK ((browser_session IS NULL) <> (family IS NULL)),
    CHECK (yielded IS NULL OR used_at IS NOT NULL)
);
CREATE INDEX authorization_codes_user ON authorization_codes (tenant, user_id);
CREATE INDEX authorization_codes_expiry ON authorization_codes (expires_at);

-- Assertions of clients that were used (RFC 7523 §3, S44). Kept until they expire by themselves.
CREATE TABLE client_assertions (
    tenant      text        NOT NULL,
    client_uuid uuid        NOT NULL,
    jti_hash    bytea       NOT NULL CHECK (octet_length(jti_hash) = 32),
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, client_uuid, jti_hash)
);
CREATE INDEX client_assertions_expiry ON client_assertions (expires_at);
