-- What people let clients have (EP120-EP124). For a client's document and not for its name: a client that was deleted and made
-- again inherits nothing.
CREATE TABLE consents (
    tenant      text        NOT NULL,
    user_id     uuid        NOT NULL,
    client_uuid uuid        NOT NULL,
    client_id   text        NOT NULL CHECK (octet_length(client_id) BETWEEN 1 AND 128),
    scopes      text[]      NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 256),
    granted_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    PRIMARY KEY (tenant, user_id, client_uuid),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX consents_client ON consents (tenant, client_uuid, user_id);
-- For the question whether a scope may be removed from the catalogue (EP106).
CREATE INDEX consents_scopes ON consents USING gin (scopes) WHERE revoked_at IS NULL;
