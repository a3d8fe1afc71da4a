-- Accounts (spec §4). The global database holds several tenants, a tenant's own database only one; both have
-- this schema, and every statement names the tenant (S103).
CREATE TABLE users (
    tenant         text        NOT NULL CHECK (tenant ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    id             uuid        NOT NULL,
    email          text        NOT NULL CHECK (octet_length(email) BETWEEN 3 AND 254),
    -- Folded by the application (domain/email.rs): the rules do not depend on the database's collation.
    email_key      text        NOT NULL CHECK (octet_length(email_key) BETWEEN 3 AND 254),
    password_hash  text        CHECK (octet_length(password_hash) <= 1024),
    given_name     text        CHECK (octet_length(given_name) <= 1024),
    family_name    text        CHECK (octet_length(family_name) <= 1024),
    picture        text        CHECK (octet_length(picture) <= 2048),
    locale         text        CHECK (octet_length(locale) <= 64),
    custom         jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(custom) = 'object'),
    status         text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'locked')),
    email_verified boolean     NOT NULL DEFAULT false,
    failed_logins  integer     NOT NULL DEFAULT 0 CHECK (failed_logins >= 0),
    locked_until   timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    last_login_at  timestamptz,
    PRIMARY KEY (tenant, id),
    CONSTRAINT users_email_taken UNIQUE (tenant, email_key)
);
