-- Access tokens that a logout killed before their end (S40).
CREATE TABLE denied_jti (
    tenant     text        NOT NULL,
    jti        text        NOT NULL CHECK (octet_length(jti) BETWEEN 1 AND 128),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, jti)
);
CREATE INDEX denied_jti_expiry ON denied_jti (expires_at);
