-- Devices that are not asked for a second factor (S69); what a device holds is known here by its hash only.
CREATE TABLE trusted_devices (
    tenant     text        NOT NULL,
    token_hash bytea       NOT NULL CHECK (octet_length(token_hash) = 32),
    user_id    uuid        NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, token_hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX trusted_devices_user ON trusted_devices (tenant, user_id);
CREATE INDEX trusted_devices_expiry ON trusted_devices (expires_at);
