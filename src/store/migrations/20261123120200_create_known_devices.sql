-- From what an account was used before, so that its owner can be told of something new. `device` is a hash; a row is
-- forgotten some time after its last use.
CREATE TABLE known_devices (
    tenant     text        NOT NULL,
    user_id    uuid        NOT NULL,
    device     bytea       NOT NULL CHECK (octet_length(device) = 32),
    seen_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, user_id, device),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX known_devices_expiry ON known_devices (expires_at);
