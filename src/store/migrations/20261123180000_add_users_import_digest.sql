-- What an imported account was made from: SHA-256 of the line, as service/account/import.rs writes it. The same line
-- again is known by it, whatever the account's owner has changed since; a changed password hash among them.
ALTER TABLE users ADD COLUMN import_digest bytea CHECK (octet_length(import_digest) = 32);
