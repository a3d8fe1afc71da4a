-- Sessions of browsers, known by a cookie (spec §6 EP020-1, §13.8). What the cookie holds is known here by its hash only.
CREATE TABLE browser_sessions (
    tenant        text        NOT NULL,
    id            uuid        NOT NULL,
    token_hash    bytea       NOT NULL CHECK (octet_length(token_hash) = 32),
    user_id       uuid        NOT NULL,
    -- The client that it was started through. The nil UUID stands for none: then the session is the tenant's alone.
    client_uuid   uuid        NOT NULL,
    client_id     text        CHECK (octet_length(client_id) BETWEEN 1 AND 128),
    amr           text[]      NOT NULL CHECK (cardinality(amr) <= 16),
    auth_time     timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL CHECK (expires_at > created_at),
    last_used_at  timestamptz NOT NULL,
    revoked_at    timestamptz,
    revoke_reason text        CHECK (revoke_reason IN (
        'logout', 'logout_all', 'reuse', 'revoked', 'password_changed', 'user_disabled',
        'client_revoked', 'tenant_revoked', 'consent_revoked', 'mfa_changed')),
    PRIMARY KEY (tenant, id),
    CONSTRAINT browser_sessions_hash UNIQUE (tenant, token_hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    CHECK ((client_id IS NULL) = (client_uuid = '00000000-0000-0000-0000-000000000000')),
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
);
CREATE INDEX browser_sessions_user ON browser_sessions (tenant, user_id);
CREATE INDEX browser_sessions_client ON browser_sessions (tenant, client_uuid) WHERE revoked_at IS NULL;
CREATE INDEX browser_sessions_expiry ON browser_sessions (expires_at);
