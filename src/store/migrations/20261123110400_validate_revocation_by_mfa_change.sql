-- In a transaction of its own: reading the table holds up no write here.
ALTER TABLE token_families VALIDATE CONSTRAINT token_families_revoke_reason_check;
