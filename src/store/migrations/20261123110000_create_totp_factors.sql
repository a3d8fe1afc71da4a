-- Second factors (spec §6 EP060-5). What is secret is sealed under the master key (S112), bound to tenant and account.
CREATE TABLE totp_factors (
    tenant     text        NOT NULL,
    user_id    uuid        NOT NULL,
    id         uuid        NOT NULL,
    secret     text        NOT NULL CHECK (secret LIKE 'GCMV1-MFA:%' AND octet_length(secret) <= 512),
    -- The newest time step whose code was accepted: it only ever grows, so a code is accepted once (S65).
    last_step  bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, user_id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);

-- A secret that was shown and waits for its first code; beside the active one, which stays until then (S66).
CREATE TABLE totp_enrolments (
    tenant      text        NOT NULL,
    user_id     uuid        NOT NULL,
    id          uuid        NOT NULL,
    secret      text        NOT NULL CHECK (secret LIKE 'GCMV1-MFA:%' AND octet_length(secret) <= 512),
    -- The factor that its owner proved to hold, and that the new one may replace.
    replaces    uuid,
    wrong_codes integer     NOT NULL DEFAULT 0 CHECK (wrong_codes >= 0),
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, user_id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX totp_enrolments_expiry ON totp_enrolments (expires_at);

-- Codes that were not used yet; a use removes its row (S67).
CREATE TABLE recovery_codes (
    tenant    text  NOT NULL,
    user_id   uuid  NOT NULL,
    code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    PRIMARY KEY (tenant, user_id, code_hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
