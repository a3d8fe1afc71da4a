-- Whether the account is a system administrator of this installation. Counts only in the tenants of ADMIN_TENANTS,
-- and only in the global database. Nothing that a person sends about themselves ever reaches it (S102).
ALTER TABLE users ADD COLUMN sys_admin boolean NOT NULL DEFAULT false;
