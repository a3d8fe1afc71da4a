-- How a family came about, the browser session that it goes with unless it may outlive it, and the resources that its access tokens
-- are for (RFC 8707). Families of the release before are of logins.
ALTER TABLE token_families
    ADD COLUMN grant_type text NOT NULL DEFAULT 'login' CHECK (grant_type IN ('login', 'authorization_code')),
    ADD COLUMN browser_session uuid,
    ADD COLUMN resources text[] NOT NULL DEFAULT '{}' CHECK (cardinality(resources) <= 256);
CREATE INDEX token_families_browser_session ON token_families (tenant, browser_session)
    WHERE browser_session IS NOT NULL AND revoked_at IS NULL;
-- An authorization request is among what a half login remembers.
ALTER TABLE mfa_tokens
    DROP CONSTRAINT mfa_tokens_return_to_check,
    ADD CONSTRAINT mfa_tokens_return_to_check CHECK (octet_length(return_to) BETWEEN 1 AND 4096);
