-- What administrators search accounts by (EP129). The collation "C" makes a prefix a range of the index whatever the database's
-- own collation is; the length keeps entries, and cursors made of them, short.
CREATE INDEX users_by_email ON users (tenant, email_key COLLATE "C");
-- Names as they are searched, folded by the application like addresses are (domain/user.rs). Rows that a node of an earlier
-- release writes have none; those are folded by the database, as well as its locale can.
ALTER TABLE users
    ADD COLUMN given_key  text CHECK (octet_length(given_key) <= 512),
    ADD COLUMN family_key text CHECK (octet_length(family_key) <= 512);
CREATE INDEX users_by_family_name ON users (tenant, COALESCE(family_key, lower(left(family_name, 64))) COLLATE "C", id)
    WHERE family_name IS NOT NULL;
CREATE INDEX users_by_given_name ON users (tenant, COALESCE(given_key, lower(left(given_name, 64))) COLLATE "C", id)
    WHERE given_name IS NOT NULL;
-- Few accounts are not active, and those are looked for.
CREATE INDEX users_not_active ON users (tenant, status, email_key COLLATE "C") WHERE status <> 'active';
