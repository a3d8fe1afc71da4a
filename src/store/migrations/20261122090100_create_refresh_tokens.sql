-- A login's family of refresh tokens (spec §13.11). Revocation is a fact about the family, so that it reaches a
-- successor that another transaction is just inserting.
CREATE TABLE token_families (
    tenant        text        NOT NULL,
    id            uuid        NOT NULL,
    user_id       uuid        NOT NULL,
    client_uuid   uuid        NOT NULL,
    client_id     text        NOT NULL CHECK (octet_length(client_id) BETWEEN 1 AND 128),
    amr           text[]      NOT NULL CHECK (cardinality(amr) <= 16),
    auth_time     timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL CHECK (expires_at > created_at),
    revoked_at    timestamptz,
    revoke_reason text        CHECK (revoke_reason IN (
        'logout', 'logout_all', 'reuse', 'revoked', 'password_changed', 'user_disabled',
        'client_revoked', 'tenant_revoked', 'consent_revoked')),
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
);
-- For the cascade and for "log out everywhere"; the second for a deleted client. Both only touch live families.
CREATE INDEX token_families_user ON token_families (tenant, user_id);
CREATE INDEX token_families_client ON token_families (tenant, client_uuid) WHERE revoked_at IS NULL;
CREATE INDEX token_families_expiry ON token_families (expires_at);

CREATE TABLE refresh_tokens (
    tenant           text        NOT NULL,
    id               uuid        NOT NULL,
    family_id        uuid        NOT NULL,
    token_hash       bytea       NOT NULL CHECK (octet_length(token_hash) = 32),
    scope            text[]      NOT NULL CHECK (cardinality(scope) <= 256),
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    used_at          timestamptz,
    replaced_by      uuid,
    -- The successor, encrypted under a key derived from this row's token; cleared when the overlap is over.
    successor_sealed bytea       CHECK (octet_length(successor_sealed) <= 1024),
    overlap_until    timestamptz,
    PRIMARY KEY (tenant, id),
    CONSTRAINT refresh_tokens_hash UNIQUE (tenant, token_hash),
    FOREIGN KEY (tenant, family_id) REFERENCES token_families (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, replaced_by) REFERENCES refresh_tokens (tenant, id),
    -- A token is used and replaced in one step, and has one successor.
    CHECK ((used_at IS NULL) = (replaced_by IS NULL)),
    CHECK ((successor_sealed IS NULL) = (overlap_until IS NULL)),
    CHECK (successor_sealed IS NULL OR used_at IS NOT NULL),
    CONSTRAINT refresh_tokens_one_predecessor UNIQUE (tenant, replaced_by)
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (tenant, family_id);
CREATE INDEX refresh_tokens_overlap ON refresh_tokens (overlap_until) WHERE overlap_until IS NOT NULL;
